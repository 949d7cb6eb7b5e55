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
    EXPECT_TRUE(LaunchSlots::write(files.spec, "{\"a\": \"rather long\"}\n").ok());
    EXPECT_TRUE(LaunchSlots::write(files.token, "secret").ok());
    const exec::StartRecord started{.rank = exec::testing::rank_key(job), .boot_id = "boot", .started_at = time_from_micros(5)};
    EXPECT_TRUE(LaunchSlots::write(files.start_record, exec::to_text(started)).ok());
    return files;
  }

  std::string root;
  std::optional<LaunchSlots> slots;
};

TEST_F(LaunchSlotsTest, place_is_used_again_and_holds_nothing_of_the_last_rank) {
  LaunchFiles first = filled(1);
  const LaunchFiles other = filled(2);
  EXPECT_NE(first.spec, other.spec);
  slots->give_back(first);
  EXPECT_EQ(read_file(first.token).value().find("secret"), std::string::npos);
  const LaunchFiles next = slots->take().value();
  EXPECT_EQ(next.spec, first.spec);
  ASSERT_TRUE(LaunchSlots::write(next.spec, "{}\n").ok());
  EXPECT_EQ(read_file(next.spec).value(), "{}\n");
}

TEST_F(LaunchSlotsTest, started_ranks_are_found_until_their_place_is_given_back) {
  LaunchFiles first = filled(1);
  filled(2);
  LaunchSlots next = LaunchSlots::open(root + "/slots").value();
  EXPECT_EQ(next.started().size(), 2u);
  slots->give_back(first);
  const std::vector<exec::StartRecord> left = next.started();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].rank, exec::testing::rank_key(2));
  EXPECT_EQ(left[0].started_at, time_from_micros(5));
  ASSERT_TRUE(next.empty().ok());
  EXPECT_TRUE(next.started().empty());
}

TEST_F(LaunchSlotsTest, whatever_a_program_did_to_a_file_the_next_one_is_private_and_elsewhere_nothing_changes) {
  const LaunchFiles files = filled(1);
  struct stat info {};
  ASSERT_EQ(::chmod(files.token.c_str(), 0644), 0);
  ASSERT_TRUE(LaunchSlots::write(files.token, "next").ok());
  ASSERT_EQ(::stat(files.token.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);

  ASSERT_EQ(::link(files.token.c_str(), (root + "/second").c_str()), 0);
  ASSERT_TRUE(LaunchSlots::write(files.token, "third").ok());
  EXPECT_EQ(read_file(root + "/second").value(), "next");

  ASSERT_EQ(::unlink(files.token.c_str()), 0);
  ASSERT_EQ(::symlink((root + "/second").c_str(), files.token.c_str()), 0);
  ASSERT_TRUE(LaunchSlots::write(files.token, "fourth").ok());
  EXPECT_EQ(read_file(root + "/second").value(), "next");
  EXPECT_EQ(read_file(files.token).value(), "fourth");

  ASSERT_TRUE(remove_tree(root + "/slots").ok());
  ASSERT_TRUE(LaunchSlots::write(files.token, "fifth").ok());
  EXPECT_EQ(read_file(files.token).value(), "fifth");
}

TEST_F(LaunchSlotsTest, files_that_are_gone_are_no_trouble_when_they_are_given_back) {
  LaunchFiles files = filled(1);
  ASSERT_TRUE(remove_tree(root + "/slots").ok());
  slots->give_back(files);
  EXPECT_TRUE(LaunchSlots::write(slots->take().value().spec, "x").ok());
}

}  // namespace
}  // namespace trainyard::warden
