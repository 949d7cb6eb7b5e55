#include "jobs/accounting.h"

#include <gtest/gtest.h>

#include <limits>

#include "jobs/testing/job_examples.h"
#include "jobs/transitions.h"

namespace trainyard::jobs {
namespace {

using namespace std::chrono_literals;
using testing::exit_with;
using testing::kStart;

TEST(Accounting, room_times_time_is_counted_in_each_resource) {
  const JobUsage usage = usage_of({2500, 3LL << 30, 1000}, 10s);
  EXPECT_EQ(usage.cpu_us, 25'000'000);
  EXPECT_EQ(usage.gpu_us, 10'000'000);
  EXPECT_EQ(usage.memory_mib_ms, 3 * 1024 * 10'000);
}

TEST(Accounting, large_node_over_years_does_not_overflow_and_the_absurd_saturates) {
  const Duration ten_years = std::chrono::hours(24 * 3650);
  const JobUsage usage = usage_of({1'000'000, 16LL << 40, 64'000}, ten_years);
  EXPECT_EQ(usage.cpu_us, 1000 * ten_years.count());
  EXPECT_EQ(usage.memory_mib_ms, (16LL << 20) * (ten_years.count() / 1000));
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  JobUsage absurd = usage_of({kMost, kMost, kMost}, Duration(kMost));
  EXPECT_EQ(absurd.cpu_us, kMost);
  absurd += absurd;
  EXPECT_EQ(absurd.memory_mib_ms, kMost);
}

TEST(Accounting, clock_that_went_back_charges_nothing) { EXPECT_EQ(usage_of({1000, 1 << 30, 0}, -5s), JobUsage{}); }

TEST(Accounting, each_rank_is_charged_from_the_launch_to_its_own_end) {
  Job job = testing::running_job(2);
  exec::RankExit measured = exit_with(0);
  measured.usage = exec::RankUsage{.cpu_us = 700, .max_rss_bytes = 9};
  ASSERT_TRUE(rank_exited(job, 0, measured));
  charge_rank(job, 0, kStart + 10s);
  EXPECT_EQ(job.usage.cpu_us, 10'000'000);
  measured.usage = exec::RankUsage{.cpu_us = 50, .max_rss_bytes = 4};
  ASSERT_TRUE(rank_exited(job, 1, measured));
  charge_rank(job, 1, kStart + 30s);
  EXPECT_EQ(job.usage.cpu_us, 40'000'000);
  EXPECT_EQ(job.usage.memory_mib_ms, 512 * 40'000);
  EXPECT_EQ(job.usage.cpu_used_us, 750);
  EXPECT_EQ(job.usage.max_rss_bytes, 9) << "the largest process, not the sum";
}

TEST(Accounting, later_attempts_add_to_the_earlier_with_the_memory_they_had) {
  Job job = testing::running_job();
  ASSERT_TRUE(rank_exited(job, 0, testing::out_of_memory_exit()));
  charge_rank(job, 0, kStart + 1s);
  SeededRng rng(1);
  finish_attempt(job, kStart + 1s, rng);
  ASSERT_EQ(job.state, JobState::kQueued);
  start(job, {{"n"}}, kStart + 5s);
  ASSERT_TRUE(rank_exited(job, 0, exit_with(0)));
  charge_rank(job, 0, kStart + 7s);
  EXPECT_EQ(job.usage.cpu_us, 3'000'000);
  EXPECT_EQ(job.usage.memory_mib_ms, 512 * 1000 + 768 * 2000) << "half as much again after it did not suffice";
}

}  // namespace
}  // namespace trainyard::jobs
