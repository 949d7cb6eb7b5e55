#include <gtest/gtest.h>

#include <cmath>

#include "sched/testing/backfill_comparison.h"
#include "sched/testing/schedule_files.h"

namespace trainyard::sched::testing {
namespace {

const char* const kBatsimLog = "tests/data/scheduling/batsim/batsim_medium_late.csv";
constexpr std::size_t kBatsimHosts = 32;
constexpr double kTolerance = 1e-5;

/// Jobs whose start is not the published one, and jobs whose hosts are not.
struct Differences {
  std::size_t starts = 0;
  std::size_t hosts = 0;
};

Differences differences(const PublishedSchedule& published, const LoopOutcome& outcome) {
  Differences differences;
  for (const Segment& segment : outcome.segments) {
    const PublishedRun& run = published.runs.at(segment.job);
    if (std::abs(run.start_s - static_cast<double>(micros(segment.start)) / 1e6) >= kTolerance) ++differences.starts;
    if (run.hosts != segment.hosts) ++differences.hosts;
  }
  return differences;
}

LoopOutcome planned_log(const PublishedSchedule& log, const std::string& backfill) {
  return planned_schedule(backfill, kBatsimHosts, log.jobs, {.on_pass = deterministic});
}

TEST(EasyBackfill, batsim_log_gets_every_published_start_and_host_set) {
  const PublishedSchedule log = read_batsim_log(kBatsimLog);
  const LoopOutcome outcome = planned_log(log, "easy");
  ASSERT_FALSE(outcome.violation) << *outcome.violation;
  ASSERT_EQ(outcome.segments.size(), 801u);
  EXPECT_EQ(differences(log, outcome).starts, 0u);
  EXPECT_EQ(differences(log, outcome).hosts, 0u);
}

TEST(NaiveBackfill, easy_rule_gives_every_published_start_and_host_set) {
  const PublishedSchedule log = read_batsim_log(kBatsimLog);
  const HostSchedule schedule = naive_schedule(BackfillRule::kEasy, kBatsimHosts, log.jobs);
  ASSERT_EQ(schedule.runs.size(), 801u);
  for (const HostRun& run : schedule.runs) {
    EXPECT_NEAR(static_cast<double>(micros(run.start)) / 1e6, log.runs.at(run.job).start_s, kTolerance) << "job " << run.job.value;
    EXPECT_EQ(run.hosts, log.runs.at(run.job).hosts) << "job " << run.job.value;
  }
}

TEST(EasyBackfill, batsim_log_gets_the_published_totals) {
  const PublishedSchedule log = read_batsim_log(kBatsimLog);
  const WaitTotals totals = totals_of(planned_log(log, "easy"), log.jobs);
  EXPECT_NEAR(totals.mean_wait_s, 9.516326, 1e-6);
  EXPECT_NEAR(totals.max_wait_s, 316.742718, kTolerance);
  EXPECT_NEAR(totals.mean_turnaround_s, 160.927071, 1e-6);
  EXPECT_NEAR(totals.makespan_s, 16088.51, kTolerance);
  EXPECT_EQ(totals.waited, 182u);
}

TEST(EasyBackfill, count_rule_on_the_batsim_log_is_another_policy) {
  const PublishedSchedule log = read_batsim_log(kBatsimLog);
  const LoopOutcome outcome = planned_log(log, "easy_count");
  ASSERT_FALSE(outcome.violation) << *outcome.violation;
  ASSERT_EQ(outcome.segments.size(), 801u);
  EXPECT_EQ(differences(log, outcome).starts, 76u);
  EXPECT_NEAR(totals_of(outcome, log.jobs).mean_wait_s, 8.673, 0.0005);
}

TEST(StrictFifo, batsim_log_waits_twice_as_long_as_with_backfill) {
  const PublishedSchedule log = read_batsim_log(kBatsimLog);
  const LoopOutcome outcome = planned_log(log, "strict_fifo");
  ASSERT_FALSE(outcome.violation) << *outcome.violation;
  ASSERT_EQ(outcome.segments.size(), 801u);
  EXPECT_NEAR(totals_of(outcome, log.jobs).mean_wait_s, 19.736, 0.0005);
}

TEST(StrictFifo, random_workloads_run_as_the_naive_rule_says) {
  const Violation difference = compare_random_workloads(BackfillRule::kStrictFifo, 200, 8, 24);
  EXPECT_FALSE(difference) << *difference;
}

TEST(EasyBackfill, random_workloads_run_as_the_naive_rule_says) {
  const Violation difference = compare_random_workloads(BackfillRule::kEasy, 500, 10, 30);
  EXPECT_FALSE(difference) << *difference;
}

TEST(EasyBackfill, long_random_workloads_run_as_the_naive_rule_says) {
  const Violation difference = compare_random_workloads(BackfillRule::kEasy, 10, 40, 150);
  EXPECT_FALSE(difference) << *difference;
}

TEST(EasyCountBackfill, random_workloads_run_as_the_naive_rule_says) {
  const Violation difference = compare_random_workloads(BackfillRule::kEasyCount, 500, 10, 30);
  EXPECT_FALSE(difference) << *difference;
}

TEST(EasyBackfill, example_gets_its_published_schedule) {
  const PublishedSchedule example =
      read_example("tests/data/scheduling/examples/ex1_easy.trace.csv", "tests/data/scheduling/examples/ex1_easy.schedule.csv");
  const LoopOutcome outcome = planned_schedule("easy", 3, example.jobs, {.on_pass = check_pass});
  ASSERT_FALSE(outcome.violation) << *outcome.violation;
  ASSERT_EQ(outcome.segments.size(), example.runs.size());
  for (const Segment& segment : outcome.segments) {
    const PublishedRun& run = example.runs.at(segment.job);
    EXPECT_EQ(static_cast<double>(micros(segment.start)) / 1e6, run.start_s) << "job " << segment.job.value;
    EXPECT_EQ(static_cast<double>(micros(segment.end)) / 1e6, run.end_s) << "job " << segment.job.value;
    EXPECT_EQ(segment.hosts, run.hosts) << "job " << segment.job.value;
  }
}

}  // namespace
}  // namespace trainyard::sched::testing
