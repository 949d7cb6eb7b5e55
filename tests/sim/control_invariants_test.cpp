#include "tests/sim/control_invariants.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/testing/fake_clock.h"
#include "jobs/array.h"
#include "jobs/testing/job_examples.h"

// Each invariant accepts a short sound history and notices what it is there for.
namespace trainyard::sim_test {
namespace {

using namespace std::chrono_literals;
using jobs::testing::kStart;

constexpr std::uint64_t kJob = 7;  // Of the example jobs.

std::size_t breaches(Invariant& invariant, const std::vector<Happening>& history) {
  std::size_t count = 0;
  for (const Happening& happening : history) {
    invariant.see(happening);
    count += invariant.take_violations().size();
  }
  return count;
}

template <typename Watched>
std::size_t breach_count(const std::vector<Happening>& history) {
  Watched invariant;
  return breaches(invariant, history);
}

EventDurable event(const std::string& type, std::uint64_t job = kJob) {
  return {{EventNumber(1), JobId(job), kStart, type, R"({"state":"QUEUED"})"}};
}

jobs::Job queued(std::uint64_t id) {
  jobs::Job job = jobs::testing::queued_job();
  job.id = JobId(id);
  return job;
}

jobs::Job ended(std::uint64_t id, JobState state) {
  jobs::Job job = queued(id);
  job.state = state;
  return job;
}

TEST(HeldJobsStay, notices_a_launch_of_a_held_job_and_of_an_element_and_an_early_answer) {
  using I = HeldJobsStay;
  const HoldAcknowledged answered{JobId(kJob)};
  EXPECT_EQ(breach_count<I>({event("held"), BatchDurable{}, answered, event("released"), event("launching"), BatchDurable{}}), 0u);
  EXPECT_EQ(breach_count<I>({event("held"), BatchDurable{}, event("launching"), BatchDurable{}}), 1u);
  EXPECT_EQ(breach_count<I>({answered}), 1u);
  jobs::Job born_held = queued(kJob);
  born_held.spec.hold = true;
  EXPECT_EQ(breach_count<I>({event("submitted"), JobDurable{born_held}, BatchDurable{}, event("launching"), BatchDurable{}}), 1u);
  jobs::Job element = queued(9);
  element.array_parent = JobId(kJob);
  EXPECT_EQ(breach_count<I>({event("held"), JobDurable{element}, BatchDurable{}, event("launching", 9), BatchDurable{}}), 1u);
}

TEST(DependenciesHold, notices_an_early_launch_and_a_cancel_without_need) {
  using I = DependenciesHold;
  jobs::Job waiting = queued(9);
  waiting.spec.after = {{static_cast<std::int64_t>(kJob), "ok"}};
  const JobDurable first{queued(kJob)}, good{ended(kJob, JobState::kSucceeded)}, bad{ended(kJob, JobState::kFailed)};
  const EventDurable launching = event("launching", 9);
  EXPECT_EQ(breach_count<I>({first, good, launching, JobDurable{waiting}, BatchDurable{}}), 0u);
  EXPECT_EQ(breach_count<I>({first, launching, JobDurable{waiting}, BatchDurable{}}), 1u);
  EXPECT_EQ(breach_count<I>({bad, launching, JobDurable{waiting}, BatchDurable{}}), 1u);
  jobs::Job given_up = waiting;
  given_up.reason_code = ReasonCode::kDependencyFailed;
  EXPECT_EQ(breach_count<I>({bad, JobDurable{given_up}, BatchDurable{}}), 0u);
  EXPECT_EQ(breach_count<I>({good, JobDurable{given_up}, BatchDurable{}}), 1u);
}

TEST(ArrayElementsOnce, notices_doubled_missing_and_too_many_elements_and_a_wrong_end) {
  using I = ArrayElementsOnce;
  jobs::Job array = queued(kJob);
  array.spec.array = JobArray{.count = 2, .max_running = 1};
  jobs::Job one_made = array;
  const JobDurable first{jobs::make_element(one_made, JobId(8), kStart)};
  jobs::Job both_made = one_made;
  const JobDurable second{jobs::make_element(both_made, JobId(9), kStart)};
  JobDurable first_ended = first;
  first_ended.job.state = JobState::kSucceeded;
  both_made.array.succeeded = 1;
  EXPECT_EQ(breach_count<I>({JobDurable{one_made}, first, BatchDurable{}, JobDurable{both_made}, first_ended, second, BatchDurable{}}), 0u);
  EXPECT_EQ(breach_count<I>({JobDurable{one_made}, BatchDurable{}}), 1u) << "the element is missing";
  both_made.array.succeeded = 0;
  EXPECT_EQ(breach_count<I>({JobDurable{both_made}, first, second, BatchDurable{}}), 1u) << "two at a time";
  JobDurable again = second;
  again.job.array_index = 0;
  array.spec.array->max_running = 0;
  array.array.created = 2;
  EXPECT_EQ(breach_count<I>({JobDurable{array}, first, again, BatchDurable{}}), 1u) << "one index twice";
  jobs::Job done = one_made;
  done.state = JobState::kFailed;
  EXPECT_EQ(breach_count<I>({JobDurable{done}, first, BatchDurable{}}), 1u) << "it ended before its element";
  done.state = JobState::kSucceeded;
  done.array.succeeded = 1;
  EXPECT_EQ(breach_count<I>({JobDurable{done}, first_ended, BatchDurable{}}), 1u) << "one of two";
}

TEST(PriorityHolds, notices_an_early_answer_and_a_priority_that_goes_back) {
  using I = PriorityHolds;
  jobs::Job raised = queued(kJob);
  raised.priority = 3;
  const PriorityAcknowledged answered{JobId(kJob), 3};
  EXPECT_EQ(breach_count<I>({JobDurable{raised}, answered, JobDurable{raised}}), 0u);
  EXPECT_EQ(breach_count<I>({JobDurable{queued(kJob)}, answered}), 1u);
  EXPECT_EQ(breach_count<I>({JobDurable{raised}, answered, JobDurable{queued(kJob)}}), 1u);
}

TEST(OrderedNodesGetNothing, notices_a_launch_long_after_the_order) {
  const JobDurable launched{jobs::testing::starting_job()};
  const NodeName node = launched.job.attempt.ranks.front().node;
  trainyard::testing::FakeClock clock;
  const auto count = [&](const std::vector<Happening>& before, Duration wait) {
    OrderedNodesGetNothing invariant(clock);
    EXPECT_EQ(breaches(invariant, before), 0u);
    clock.advance(wait);
    return breaches(invariant, {launched, launched});
  };
  const NodeOrdered cordoned{node, exec::NodeState::kCordoned}, ready{node, exec::NodeState::kReady};
  EXPECT_EQ(count({cordoned}, 1s), 0u) << "decided before";
  EXPECT_EQ(count({cordoned}, 1min), 1u);
  EXPECT_EQ(count({cordoned, ready}, 1min), 0u);
}

TEST(DrainedNodesEmpty, notices_a_rank_that_stays) {
  const RankKey rank{{JobId(kJob), AttemptNumber(1)}, 0};
  const RankStarted started{rank, {"a"}, {}};
  const NodeOrdered draining{{"a"}, exec::NodeState::kDraining};
  trainyard::testing::FakeClock clock;
  const auto count = [&](const std::vector<Happening>& before, Duration wait) {
    DrainedNodesEmpty invariant(clock);
    EXPECT_EQ(breaches(invariant, before), 0u);
    clock.advance(wait);
    return breaches(invariant, {BatchDurable{}, BatchDurable{}});
  };
  EXPECT_EQ(count({Healed{}, started, draining}, 1min), 0u);
  EXPECT_EQ(count({Healed{}, started, draining}, 2min), 1u);
  EXPECT_EQ(count({started, draining}, 2min), 0u) << "amid faults";
  EXPECT_EQ(count({Healed{}, started, draining, RankEnded{rank, {"a"}, 143, EndedBy::kStop}}, 2min), 0u);
}

TEST(OnlyTheLeaderWrites, notices_a_batch_of_a_server_that_was_replaced) {
  using I = OnlyTheLeaderWrites;
  EXPECT_EQ(breach_count<I>({ServerStarted{EventNumber(), 1}, BatchDurable{1}, ServerStarted{EventNumber(), 2}, BatchDurable{2}}), 0u);
  EXPECT_EQ(breach_count<I>({ServerStarted{EventNumber(), 1}, ServerStarted{EventNumber(), 2}, BatchDurable{1}}), 1u);
}

TEST(GangMeetsBeforeItStarts, notices_a_rank_that_runs_ahead) {
  using I = GangMeetsBeforeItStarts;
  jobs::Job job = jobs::testing::running_job(2);
  const AttemptKey attempt{job.id, job.attempt.number};
  const RankPrepared first{{attempt, 0}}, second{{attempt, 1}};
  const RankStarted started{{attempt, 0}, {"a"}, {}};
  job.attempt.ranks[0].node = job.attempt.ranks[1].node = NodeName{"a"};
  EXPECT_EQ(breach_count<I>({JobDurable{job}, started}), 0u) << "on one node";
  job.attempt.ranks[1].node = NodeName{"b"};
  EXPECT_EQ(breach_count<I>({JobDurable{job}, first, second, started}), 0u);
  EXPECT_EQ(breach_count<I>({JobDurable{job}, first, started}), 1u);
}

TEST(PreemptionIsFree, notices_a_charge) {
  using I = PreemptionIsFree;
  jobs::Job leaving = jobs::testing::running_job();
  jobs::request_stop(leaving, StopIntent::kPreempt, "asked", kStart);
  jobs::Job back = queued(kJob);
  EXPECT_EQ(breach_count<I>({JobDurable{leaving}, JobDurable{back}}), 0u);
  back.retries.node_lost = 1;
  EXPECT_EQ(breach_count<I>({JobDurable{leaving}, JobDurable{back}}), 1u);
  EXPECT_EQ(breach_count<I>({JobDurable{back}}), 0u);
}

}  // namespace
}  // namespace trainyard::sim_test
