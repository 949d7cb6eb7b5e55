#include "base/failpoint.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <thread>

#include "base/file.h"

namespace trainyard {
namespace {

/// Disarms everything at the end, so that tests do not see each other's failpoints.
class Failpoint : public ::testing::Test {
 protected:
  ~Failpoint() override { EXPECT_TRUE(arm_failpoints("").ok()); }
};

Result<void> guarded_commit() {
  FAILPOINT("ledger.before_commit");
  return {};
}

TEST_F(Failpoint, unarmed_failpoint_does_nothing) {
  EXPECT_TRUE(hit_failpoint("ledger.before_commit").ok());
  EXPECT_TRUE(guarded_commit().ok());
}

TEST_F(Failpoint, armed_io_failpoint_fails_once_at_its_hit) {
  ASSERT_TRUE(arm_failpoints("ledger.before_commit=io@3").ok());
  EXPECT_TRUE(guarded_commit().ok());
  EXPECT_TRUE(hit_failpoint("ledger.after_commit").ok());
  EXPECT_TRUE(guarded_commit().ok());
  const Result<void> third = guarded_commit();
  ASSERT_FALSE(third.ok());
  EXPECT_EQ(third.error().category, Category::kUnavailable);
  EXPECT_EQ(third.error().id, "failpoint.injected");
  EXPECT_TRUE(guarded_commit().ok());
}

TEST_F(Failpoint, disk_full_failpoint_reads_like_a_full_disk) {
  ASSERT_TRUE(arm_failpoints("etl.disk_full=disk_full").ok());
  const Result<void> hit = hit_failpoint("etl.disk_full");
  ASSERT_FALSE(hit.ok());
  EXPECT_EQ(hit.error().category, Category::kResourceExhausted);
  EXPECT_EQ(hit.error().id, "io.disk_full");
}

TEST_F(Failpoint, several_failpoints_are_armed_by_one_list) {
  ASSERT_TRUE(arm_failpoints("ledger.before_commit=io,ledger.after_commit=io@2").ok());
  EXPECT_FALSE(hit_failpoint("ledger.before_commit").ok());
  EXPECT_TRUE(hit_failpoint("ledger.after_commit").ok());
  EXPECT_FALSE(hit_failpoint("ledger.after_commit").ok());
}

TEST_F(Failpoint, arming_replaces_what_was_armed) {
  ASSERT_TRUE(arm_failpoints("ledger.before_commit=io").ok());
  ASSERT_TRUE(arm_failpoints("ledger.after_commit=io").ok());
  EXPECT_TRUE(hit_failpoint("ledger.before_commit").ok());
}

TEST_F(Failpoint, malformed_lists_are_refused_and_change_nothing) {
  ASSERT_TRUE(arm_failpoints("ledger.before_commit=io").ok());
  for (const char* list : {"ledger.before_commit", "ledger.before_commit=", "ledger.before_commit=boom", "ledger.before_commit=io@0",
                           "ledger.before_commit=io@", "ledger.before_commit=io@-1", "ledger.before_commit=io@2x", "no.such.point=io",
                           "ledger.before_commit@2=io", "=io", "ledger.after_commit=io,nonsense"}) {
    const Result<void> armed = arm_failpoints(list);
    ASSERT_FALSE(armed.ok()) << list;
    EXPECT_EQ(armed.error().id, "failpoint.syntax") << list;
  }
  EXPECT_FALSE(hit_failpoint("ledger.before_commit").ok());
}

TEST_F(Failpoint, names_are_sorted_and_unique) {
  const auto& names = failpoint_names();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST(FailpointDeathTest, exit_action_ends_the_process_like_a_kill) {
  EXPECT_EXIT(
      {
        (void)arm_failpoints("jobs.before_launch=exit");
        (void)hit_failpoint("jobs.before_launch");
      },
      ::testing::ExitedWithCode(137), "");
}

TEST(FailpointDeathTest, stalled_thread_lets_others_go_on_before_the_process_ends) {
  EXPECT_EXIT(
      {
        (void)arm_failpoints("jobs.before_launch=stall");
        const std::jthread stalled([] { (void)hit_failpoint("jobs.before_launch"); });
        for (int i = 0; i < 10; ++i) {
          (void)hit_failpoint("jobs.after_launch");
          (void)::poll(nullptr, 0, 1);
        }
        (void)!::write(STDERR_FILENO, "went on", 7);
        (void)::poll(nullptr, 0, 10'000);
      },
      ::testing::ExitedWithCode(137), "went on");
}

TEST(FailpointDeathTest, one_process_dies_for_each_mark_file) {
  const std::string mark = ::testing::TempDir() + "failpoint-mark-" + std::to_string(::getpid());
  ::setenv("TRAINYARD_FAILPOINT_MARK", mark.c_str(), 1);
  const auto die = [] {
    (void)arm_failpoints("jobs.before_launch=exit");
    (void)hit_failpoint("jobs.before_launch");
    std::_Exit(3);
  };
  EXPECT_EXIT(die(), ::testing::ExitedWithCode(137), "");
  EXPECT_EXIT(die(), ::testing::ExitedWithCode(3), "") << "the next one lives";
  EXPECT_EQ(read_file(mark).value(), "jobs.before_launch");
  ::unsetenv("TRAINYARD_FAILPOINT_MARK");
  ::unlink(mark.c_str());
}

TEST(FailpointDeathTest, unlisted_name_aborts_when_anything_is_armed) {
  EXPECT_DEATH(
      {
        (void)arm_failpoints("jobs.before_launch=io");
        (void)hit_failpoint("no.such.point");
      },
      "no.such.point");
}

}  // namespace
}  // namespace trainyard
