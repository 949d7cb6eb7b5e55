#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "jobs/testing/service_world.h"

namespace trainyard::jobs {
namespace {

using namespace std::chrono_literals;
using testing::exit_with;
using Calls = std::vector<std::string>;

class JobDependenciesTest : public testing::ServiceWorld {};

TEST_F(JobDependenciesTest, job_starts_when_the_one_it_waits_for_has_succeeded) {
  const JobId first = submit();
  const JobId second = submit(after({{1, "ok"}}));
  EXPECT_EQ(take_calls(), (Calls{"launch 1.1"}));
  const Result<sched::Explanation> why = service->explain(second);
  ASSERT_TRUE(why.ok());
  EXPECT_EQ(why->reason, sched::Reason::kDependencyNotMet);
  EXPECT_EQ(why->blocking, (std::vector<JobId>{first}));
  EXPECT_NE(why->message.find("job 1 to succeed"), std::string::npos) << why->message;
  exits(rank(first, 1), exit_with(0));
  EXPECT_EQ(job(second).state, JobState::kStarting);
  EXPECT_EQ(job(second).waits_since, clock.now());
}

TEST_F(JobDependenciesTest, chain_of_jobs_that_can_never_start_is_cancelled_with_the_job_that_is_the_cause) {
  submit();
  for (std::int64_t i = 1; i <= 300; ++i) submit(after({{i, "ok"}}));
  const JobId rescue = submit(after({{300, "failed"}}));
  exits(rank(JobId(1), 1), exit_with(1));
  for (std::uint64_t id = 2; id <= 301; ++id) {
    const Job cancelled = job(JobId(id));
    ASSERT_EQ(cancelled.state, JobState::kCancelled) << id;
    ASSERT_EQ(cancelled.reason_code, ReasonCode::kDependencyFailed);
  }
  EXPECT_NE(job(JobId(2)).reason.find("job 1 to succeed, and that is FAILED"), std::string::npos) << job(JobId(2)).reason;
  EXPECT_EQ(job(rescue).state, JobState::kStarting);
}

TEST_F(JobDependenciesTest, each_condition_waits_for_its_end) {
  submit();
  submit();
  const JobId any = submit(after({{1, "any"}, {2, "any"}}));
  const JobId failed = submit(after({{1, "failed"}}));
  exits(rank(JobId(1), 1), exit_with(3));
  EXPECT_EQ(job(any).state, JobState::kQueued);
  EXPECT_EQ(job(any).waits_for.size(), 1u);
  EXPECT_EQ(job(failed).state, JobState::kStarting);
  exits(rank(JobId(2), 1), exit_with(0));
  EXPECT_EQ(job(any).state, JobState::kStarting);
}

TEST_F(JobDependenciesTest, job_that_is_not_there_yet_cannot_be_waited_for) {
  for (const std::int64_t id : {1, 2, 99}) {
    const Result<JobId> answer = try_submit(after({{id, "ok"}}));
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().id, "spec.unknown_dependency");
    EXPECT_EQ(answer.error().where, "/after/0");
  }
  EXPECT_EQ(service->live_count(), 0u);
}

TEST_F(JobDependenciesTest, job_that_ended_before_is_looked_up_in_the_ledger) {
  const JobId succeeded = submit(), failed = submit();
  exits(rank(succeeded, 1), exit_with(0));
  exits(rank(failed, 1), exit_with(1));
  EXPECT_TRUE(service->dependencies_to_look_up(after({{1, "ok"}}).spec).empty()) << "the newest ends are known";
  crash();
  boot();
  const std::vector<JobDependency> on_both{{1, "ok"}, {2, "any"}};
  EXPECT_EQ(service->dependencies_to_look_up(after(on_both).spec), (std::vector<JobId>{succeeded, failed}));
  EXPECT_EQ(try_submit(after(on_both)).error().id, "dependency.not_looked_up");
  Submission informed = after(on_both);
  informed.ended_dependencies = ended_states(ledger, {succeeded, failed}).value();
  EXPECT_EQ(job(submit(informed)).state, JobState::kStarting);
  informed.spec.after = {{2, "ok"}};
  const JobId impossible = submit(informed);
  EXPECT_EQ(job(impossible).state, JobState::kCancelled);
  EXPECT_EQ(job(impossible).reason_code, ReasonCode::kDependencyFailed);
}

TEST_F(JobDependenciesTest, dependencies_go_on_after_a_crash_at_any_commit) {
  for (const bool durable : {false, true}) {
    const JobId first = submit();
    const JobId second = submit(after({{static_cast<std::int64_t>(first.value), "ok"}}));
    ledger.hold_commits();
    service->on_rank_exited(rank(first, 1), exit_with(0));
    strand.run_ready();
    ASSERT_TRUE(durable ? ledger.lose_answer() : ledger.lose_waiting());
    crash();
    ledger.stop_holding();
    boot();
    if (!durable) {
      EXPECT_EQ(job(second).waits_for.size(), 1u);
      exits(rank(first, 1), exit_with(0));
    }
    EXPECT_EQ(job(second).state, JobState::kStarting);
    exits(rank(second, 1), exit_with(0));
  }
}

TEST_F(JobDependenciesTest, cancelled_dependant_is_not_woken) {
  const JobId first = submit();
  const JobId second = submit(after({{1, "ok"}}));
  EXPECT_TRUE(stop(second).ok());
  exits(rank(first, 1), exit_with(0));
  EXPECT_EQ(job(second).state, JobState::kCancelled);
}

class JobArrayTest : public testing::ServiceWorld {
 protected:
  /// Lets every launched element that has not ended run and exit.
  void finish_running(int code = 0) {
    for (const std::string& call : take_calls()) {
      if (!call.starts_with("launch ")) continue;
      const std::string key = call.substr(7);
      const auto dot = key.find('.');
      exits(rank(JobId(std::stoull(key.substr(0, dot))), static_cast<std::uint32_t>(std::stoul(key.substr(dot + 1)))), exit_with(code));
    }
  }
};

TEST_F(JobArrayTest, elements_are_cancelled_before_and_after_they_are_made) {
  const auto cancel = [this](JobId id, std::int64_t first, std::int64_t last) {
    std::optional<Result<void>> answer;
    service->cancel_elements(id, first, last, "asked", [&answer](Result<void> result) { answer = std::move(result); });
    strand.run_ready();
    return answer.value();
  };
  const JobId id = submit(array(600));
  EXPECT_EQ(cancel(id, 5, 600).error().id, "job.unknown_element");
  EXPECT_EQ(cancel(id, 5, 4).error().id, "job.elements");
  ASSERT_TRUE(cancel(id, 0, 0).ok());
  ASSERT_TRUE(cancel(id, 500, 599).ok());
  crash();
  boot();
  for (int rounds = 0; !is_terminal(job(id).state) && rounds < 1000; ++rounds) finish_running();
  const Job done = job(id);
  EXPECT_EQ(done.state, JobState::kFailed);
  EXPECT_EQ(done.array.succeeded, 499);
  EXPECT_EQ(done.array.cancelled, 101);
  EXPECT_EQ(done.array.created, 600);
  EXPECT_EQ(cancel(id, 1, 1).error().id, "job.ended");
  EXPECT_EQ(cancel(submit(), 0, 0).error().id, "job.no_array");

  jobs::Submission held = array(4);
  held.spec.hold = true;
  const JobId second = submit(std::move(held));
  ASSERT_TRUE(cancel(second, 0, 3).ok());
  EXPECT_EQ(job(second).state, JobState::kFailed) << "nothing of it is left";
}

TEST_F(JobArrayTest, every_element_runs_once_and_the_array_succeeds_with_the_last) {
  const JobId id = submit(array(600));
  EXPECT_EQ(job(id).state, JobState::kRunning);
  EXPECT_LE(service->live_count(), 1u + 256u + 8u) << "elements are made as they are needed";
  int rounds = 0;
  while (!is_terminal(job(id).state) && ++rounds < 1000) finish_running();
  const Job done = job(id);
  EXPECT_EQ(done.state, JobState::kSucceeded);
  EXPECT_EQ(done.array.succeeded, 600);
  EXPECT_EQ(done.array.started, 600);
  EXPECT_EQ(done.attempt.number, AttemptNumber()) << "it holds nothing itself";
  std::set<std::int64_t> indices;
  for (std::uint64_t element = 2; element <= 601; ++element) {
    const Job one = job(JobId(element));
    ASSERT_EQ(one.state, JobState::kSucceeded);
    ASSERT_EQ(one.array_parent, id);
    ASSERT_EQ(one.attempt.number, AttemptNumber(1));
    indices.insert(one.array_index);
  }
  EXPECT_EQ(indices.size(), 600u);
  EXPECT_EQ(*indices.rbegin(), 599);
  EXPECT_EQ(service->live_count(), 0u);
}

TEST_F(JobArrayTest, no_more_than_allowed_are_live_at_a_time) {
  const JobId id = submit(array(10, 3));
  std::size_t launched = 0;
  while (!is_terminal(job(id).state)) {
    EXPECT_LE(service->live_count(), 4u);
    launched += backend.calls.size();
    ASSERT_LT(launched, 100u);
    finish_running();
  }
  EXPECT_EQ(job(id).array.succeeded, 10);
}

TEST_F(JobArrayTest, array_with_failures_fails_and_names_them) {
  const JobId id = submit(array(3));
  const Calls launches = take_calls();
  ASSERT_EQ(launches.size(), 3u);
  exits(rank(JobId(2), 1), exit_with(0));
  exits(rank(JobId(3), 1), exit_with(9));
  EXPECT_EQ(job(id).state, JobState::kRunning);
  exits(rank(JobId(4), 1), exit_with(0));
  EXPECT_EQ(job(id).state, JobState::kFailed);
  EXPECT_EQ(job(id).array.not_succeeded, (std::vector<std::int64_t>{1}));
  EXPECT_EQ(job(id).reason_code, ReasonCode::kElementsFailed);
}

TEST_F(JobArrayTest, element_that_is_restarted_counts_once) {
  Submission flaky = array(1);
  flaky.spec.retry.node_lost = 5;
  flaky.spec.retry.backoff_cap = 0s;
  const JobId id = submit(flaky);
  service->on_ranks_lost({rank(JobId(2), 1)}, "gone");
  strand.run_ready();
  exits(rank(JobId(2), 2), exit_with(0));
  EXPECT_EQ(job(id).state, JobState::kSucceeded);
  EXPECT_EQ(job(id).array.started, 1);
}

TEST_F(JobArrayTest, cancelled_array_stops_what_runs_and_makes_no_more) {
  const JobId id = submit(array(1000));
  take_calls();
  EXPECT_TRUE(stop(id).ok());
  EXPECT_EQ(job(id).state, JobState::kStopping);
  Calls stops = take_calls();
  EXPECT_EQ(stops.size(), 8u) << "as many as there are cores";
  for (std::uint64_t element = 2; element <= 9; ++element) exits(rank(JobId(element), 1), exit_with(143));
  const Job cancelled = job(id);
  EXPECT_EQ(cancelled.state, JobState::kCancelled);
  EXPECT_EQ(cancelled.array.cancelled, cancelled.array.created);
  EXPECT_EQ(service->live_count(), 0u);
  EXPECT_TRUE(stop(id).ok()) << "again";
}

TEST_F(JobArrayTest, held_array_makes_nothing_and_holds_back_what_it_has_made) {
  const JobId blocker = submit(submission(4, 2));
  Submission held = array(5);
  held.spec.hold = true;
  const JobId first = submit(held);
  EXPECT_EQ(service->live_count(), 2u) << "it has no elements";
  EXPECT_EQ(service->explain(first)->reason, sched::Reason::kSuspended);
  const JobId second = submit(array(5));
  EXPECT_EQ(service->live_count(), 8u);
  EXPECT_EQ(service->explain(second)->reason, sched::Reason::kWaitingForResources) << "why its first element waits";
  EXPECT_EQ(service->explain(second)->job, second);
  EXPECT_TRUE(hold(second).ok());
  take_calls();
  exits(rank(blocker, 1, 0), exit_with(0));
  exits(rank(blocker, 1, 1), exit_with(0));
  EXPECT_EQ(take_calls(), (Calls{"forget 1.1"}));
  EXPECT_EQ(service->explain(JobId(second.value + 1))->reason, sched::Reason::kSuspended);
  crash();
  boot();
  EXPECT_EQ(take_calls(), (Calls{}));
  EXPECT_TRUE(release(second).ok());
  EXPECT_EQ(take_calls().size(), 5u);
}

TEST_F(JobArrayTest, priority_of_an_array_is_that_of_its_elements) {
  const JobId blocker = submit(submission(4, 2));
  const JobId patient = submit(submission(4, 2));
  const JobId urgent = submit(array(20));
  EXPECT_TRUE(set_priority(urgent, 50).ok());
  exits(rank(blocker, 1, 0), exit_with(0));
  exits(rank(blocker, 1, 1), exit_with(0));
  EXPECT_EQ(job(patient).state, JobState::kQueued);
  EXPECT_EQ(job(urgent).state, JobState::kRunning);
  EXPECT_EQ(priority_of(job(JobId(urgent.value + 1))), 50);
}

TEST_F(JobArrayTest, job_waits_for_a_whole_array_and_an_array_for_a_job) {
  const JobId first = submit();
  Submission waiting = array(2);
  waiting.spec.after = {{1, "ok"}};
  const JobId second = submit(waiting);
  const JobId last = submit(after({{static_cast<std::int64_t>(second.value), "ok"}}));
  EXPECT_EQ(service->live_count(), 3u);
  EXPECT_EQ(service->explain(second)->reason, sched::Reason::kDependencyNotMet);
  take_calls();
  exits(rank(first, 1), exit_with(0));
  EXPECT_EQ(take_calls(), (Calls{"forget 1.1", "launch 4.1", "launch 5.1"}));
  exits(rank(JobId(4), 1), exit_with(0));
  EXPECT_EQ(job(last).state, JobState::kQueued);
  exits(rank(JobId(5), 1), exit_with(0));
  EXPECT_EQ(job(last).state, JobState::kStarting);
}

TEST_F(JobArrayTest, array_that_can_never_start_is_cancelled_without_elements) {
  const JobId first = submit();
  Submission waiting = array(2);
  waiting.spec.after = {{1, "failed"}};
  const JobId second = submit(waiting);
  exits(rank(first, 1), exit_with(0));
  EXPECT_EQ(job(second).state, JobState::kCancelled);
  EXPECT_EQ(job(second).reason_code, ReasonCode::kDependencyFailed);
  EXPECT_EQ(job(second).array.created, 0);
}

TEST_F(JobArrayTest, preempt_of_an_array_concerns_those_that_run) {
  const JobId id = submit(array(2));
  runs(rank(JobId(2), 1));
  take_calls();
  EXPECT_TRUE(stop(id, StopIntent::kPreempt).ok());
  EXPECT_EQ(take_calls(), (Calls{"stop 2.1 preempt", "stop 3.1 preempt"}));
  EXPECT_EQ(job(id).state, JobState::kRunning);
}

TEST_F(JobArrayTest, elements_give_way_when_too_many_jobs_are_live) {
  crash();
  settings.live_jobs_max = 10;
  boot();
  const JobId id = submit(array(40));
  EXPECT_LE(service->live_count(), 257u);
  int rounds = 0;
  while (!is_terminal(job(id).state) && ++rounds < 200) finish_running();
  EXPECT_EQ(job(id).state, JobState::kSucceeded);
}

}  // namespace
}  // namespace trainyard::jobs
