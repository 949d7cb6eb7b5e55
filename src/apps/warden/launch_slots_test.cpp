#include "apps/warden/launch_slots.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include "base/file.h"
#include "exec/testing/rank_probe.h"

namespace trainyard::warden {
namespace {

class LaunchSlotsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root = make_temporary_directory("trainyard-slots-test").value();
    slots.emplace(LaunchSlots::open(root + "/slots").value());
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(root).ok()); }
  LaunchFiles filled(std::uint64_t job) {
    LaunchFiles files = slots->take().value();
    EXPECT_TRUE(files.spec.write("{\"a\": \"rather long\"}\n").ok());
    EXPECT_TRUE(files.token.write("secret").ok());
    const exec::StartRecord started{.rank = exec::testing::rank_key(job), .boot_id = "boot", .started_at = time_from_micros(5)};
    EXPECT_TRUE(files.start_record.write(exec::to_text(started)).ok());
    return files;
  }

  std::string root;
  std::optional<LaunchSlots> slots;
};

TEST_F(LaunchSlotsTest, place_is_used_again_and_holds_nothing_of_the_last_rank) {
  LaunchFiles first = filled(1);
  const LaunchFiles other = filled(2);
  const std::string spec = first.spec.path();
  const std::string token = first.token.path();
  EXPECT_NE(spec, other.spec.path());
  slots->give_back(std::move(first));
  EXPECT_EQ(read_file(token).value().find("secret"), std::string::npos);
  LaunchFiles next = slots->take().value();
  EXPECT_EQ(next.spec.path(), spec);
  ASSERT_TRUE(next.spec.write("{}\n").ok());
  EXPECT_EQ(read_file(next.spec.path()).value(), "{}\n");
}

TEST_F(LaunchSlotsTest, started_ranks_are_found_until_their_place_is_given_back) {
  LaunchFiles first = filled(1);
  filled(2);
  LaunchSlots next = LaunchSlots::open(root + "/slots").value();
  EXPECT_EQ(next.started().size(), 2u);
  slots->give_back(std::move(first));
  const std::vector<exec::StartRecord> left = next.started();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].rank, exec::testing::rank_key(2));
  EXPECT_EQ(left[0].started_at, time_from_micros(5));
  ASSERT_TRUE(next.empty().ok());
  EXPECT_TRUE(next.started().empty());
}

TEST_F(LaunchSlotsTest, whatever_a_program_did_to_a_file_the_next_one_is_private_and_elsewhere_nothing_changes) {
  LaunchFiles files = filled(1);
  struct stat info {};
  ASSERT_EQ(::chmod(files.token.path().c_str(), 0644), 0);
  ASSERT_TRUE(files.token.write("next").ok());
  ASSERT_EQ(::stat(files.token.path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);

  ASSERT_EQ(::link(files.token.path().c_str(), (root + "/second").c_str()), 0);
  ASSERT_TRUE(files.token.write("third").ok());
  EXPECT_EQ(read_file(root + "/second").value(), "next");

  ASSERT_EQ(::unlink(files.token.path().c_str()), 0);
  ASSERT_EQ(::symlink((root + "/second").c_str(), files.token.path().c_str()), 0);
  ASSERT_TRUE(files.token.write("fourth").ok());
  EXPECT_EQ(read_file(root + "/second").value(), "next");
  EXPECT_EQ(read_file(files.token.path()).value(), "fourth");

  ASSERT_TRUE(remove_tree(root + "/slots").ok());
  ASSERT_TRUE(files.token.write("fifth").ok());
  EXPECT_EQ(read_file(files.token.path()).value(), "fifth");
}

TEST_F(LaunchSlotsTest, files_that_are_gone_are_no_trouble_when_they_are_given_back) {
  LaunchFiles files = filled(1);
  ASSERT_TRUE(remove_tree(root + "/slots").ok());
  slots->give_back(std::move(files));
  EXPECT_TRUE(slots->take().value().spec.write("x").ok());
}

}  // namespace
}  // namespace trainyard::warden
