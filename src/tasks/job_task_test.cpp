#include "tasks/job_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tasks/testing/task_bench.h"

namespace trainyard::tasks {
namespace {

using ::testing::HasSubstr;

constexpr const char* kJob = R"({"command":["work"],"resources":{"cpu":1}})";
constexpr const char* kService = R"({"command":["serve"],"class":"service"})";

class JobTaskTest : public testing::TaskBench {
 protected:
  JobTaskKind kind() { return JobTaskKind(*gateway); }
  void start_job(const char* body = kJob) {
    JobTaskKind made = kind();
    start(made, body);
  }
};

TEST_F(JobTaskTest, task_follows_its_job_to_the_end_and_hands_on_what_it_made) {
  start_job();
  EXPECT_EQ(take_calls(), (std::vector<std::string>{"launch 1.1"}));
  run_job(JobId(1));
  emit(JobId(1), 0,
       {R"({"event":"progress","done":1,"total":2,"message":"half"})", R"({"event":"result","values":{"accuracy":0.9}})",
        R"({"event":"artifact","name":"m","uri":"ty://models/m"})"});
  EXPECT_EQ(reported->state(), "");
  ASSERT_FALSE(reported->progress.empty());
  EXPECT_EQ(reported->progress.back()["job_id"].text(), "1");
  EXPECT_EQ(reported->progress.back()["state"].text(), "RUNNING");
  end_job(JobId(1), 0);
  ASSERT_EQ(reported->state(), "SUCCEEDED");
  const Document& output = reported->end().output;
  EXPECT_EQ(to_json(output["result"]), R"({"accuracy":0.9})");
  EXPECT_EQ(output["inputs"]["data"].text(), "fashion@3/curated");
  EXPECT_EQ(output["artifacts"].items().size(), 1u);
  EXPECT_EQ(output["run_id"].text(), job(JobId(1)).run.text);
  EXPECT_EQ(job(JobId(1)).owner, "ann");
}

TEST_F(JobTaskTest, task_started_twice_has_one_job) {
  start_job();
  start_job();
  EXPECT_EQ(job_count(), 1u);
  run_job(JobId(1));
  end_job(JobId(1), 0);
  EXPECT_EQ(reported->state(), "SUCCEEDED");
}

TEST_F(JobTaskTest, other_task_and_other_run_have_jobs_of_their_own) {
  start_job();
  JobTaskKind made = kind();
  start(made, kJob, testing::context_of("evaluate"));
  start(made, kJob, testing::context_of("train", 2));
  EXPECT_EQ(job_count(), 3u);
}

TEST_F(JobTaskTest, restarted_task_finds_its_running_job) {
  start_job();
  run_job(JobId(1));
  crash_all();
  boot_all();
  start_job();
  EXPECT_EQ(job_count(), 1u);
  end_job(JobId(1), 0);
  EXPECT_EQ(reported->state(), "SUCCEEDED");
}

TEST_F(JobTaskTest, restarted_task_finds_the_job_that_ended_meanwhile) {
  start_job();
  run_job(JobId(1));
  emit(JobId(1), 0, {R"({"event":"result","values":{"accuracy":0.9}})"});
  end_job(JobId(1), 0);
  crash_all();
  boot_all();
  start_job();
  ASSERT_EQ(reported->state(), "SUCCEEDED") << "an ended job is no longer live: the ledger has it";
  EXPECT_EQ(to_json(reported->end().output["result"]), R"({"accuracy":0.9})");
  EXPECT_EQ(job_count(), 1u);
}

TEST_F(JobTaskTest, service_ends_its_task_once_when_it_is_ready_and_stays) {
  start_job(kService);
  run_job(JobId(1));
  EXPECT_EQ(reported->state(), "");
  emit(JobId(1), 0, {R"({"event":"ready","url":"http://127.0.0.1:9"})"});
  ASSERT_EQ(reported->state(), "SUCCEEDED");
  EXPECT_EQ(reported->end().output["ready_url"].text(), "http://127.0.0.1:9");
  emit(JobId(1), 1, {R"({"event":"ready","url":"http://127.0.0.1:10"})"});
  EXPECT_EQ(reported->state(), "SUCCEEDED") << "reported again";
  EXPECT_EQ(job(JobId(1)).state, JobState::kRunning);
}

TEST_F(JobTaskTest, failure_names_the_job_and_what_it_said) {
  start_job();
  run_job(JobId(1));
  emit(JobId(1), 0, {R"({"event":"result","values":{"error":{"id":"data.truncated","message":"the file ends early"}}})"});
  end_job(JobId(1), 65);
  ASSERT_EQ(reported->state(), "FAILED");
  EXPECT_THAT(reported->end().reason, HasSubstr("job 1 FAILED"));
  EXPECT_THAT(reported->end().reason, HasSubstr("the file ends early"));
  EXPECT_EQ(reported->end().output["job_id"].text(), "1");
}

TEST_F(JobTaskTest, job_that_takes_too_long_fails_its_task) {
  start_job(R"({"command":["work"],"limits":{"total":"10s"}})");
  run_job(JobId(1));
  strand.advance(std::chrono::seconds(11));
  end_job(JobId(1), 143);
  ASSERT_EQ(reported->state(), "FAILED");
  EXPECT_THAT(reported->end().reason, HasSubstr("TIMED_OUT"));
}

TEST_F(JobTaskTest, cancel_stops_the_job_and_the_task_ends_with_it) {
  start_job();
  run_job(JobId(1));
  take_calls();
  task->cancel("not needed");
  settle();
  EXPECT_EQ(take_calls(), (std::vector<std::string>{"stop 1.1 cancel"}));
  EXPECT_EQ(reported->state(), "");
  end_job(JobId(1), 143);
  ASSERT_EQ(reported->state(), "CANCELLED");
  EXPECT_THAT(reported->end().reason, HasSubstr("not needed"));
}

TEST_F(JobTaskTest, cancel_before_the_job_is_known_still_stops_it) {
  reported = std::make_unique<testing::Reported>();
  task = kind().start(testing::context_of("train"), parse_json(kJob).value(), reported->report());
  task->cancel("at once");
  settle();
  EXPECT_EQ(job(JobId(1)).state, JobState::kStopping);
  end_job(JobId(1), 143);
  EXPECT_EQ(reported->state(), "CANCELLED");
}

TEST_F(JobTaskTest, job_cancelled_by_somebody_else_cancels_the_task) {
  start_job();
  ASSERT_TRUE(stop(JobId(1)).ok());
  end_job(JobId(1), 143);
  EXPECT_EQ(reported->state(), "CANCELLED");
}

TEST_F(JobTaskTest, forgotten_task_reports_nothing_and_its_job_goes_on) {
  reported = std::make_unique<testing::Reported>();
  task = kind().start(testing::context_of("train"), parse_json(kJob).value(), reported->report());
  task.reset();  // Before the submit is answered.
  settle();
  run_job(JobId(1));
  end_job(JobId(1), 0);
  EXPECT_TRUE(reported->progress.empty() && reported->ends.empty());
  EXPECT_EQ(job(JobId(1)).state, JobState::kSucceeded);
}

TEST_F(JobTaskTest, inputs_that_cannot_be_resolved_fail_the_task) {
  resolve_error = not_found("catalog.unknown_dataset", "no dataset is called x; to get it, ingest it");
  start_job();
  ASSERT_EQ(reported->state(), "FAILED");
  EXPECT_THAT(reported->end().reason, HasSubstr("to get it"));
  EXPECT_EQ(job_count(), 0u);
}

TEST_F(JobTaskTest, job_that_never_fits_fails_the_task) {
  start_job(R"({"command":["work"],"resources":{"cpu":400}})");
  ASSERT_EQ(reported->state(), "FAILED");
  EXPECT_THAT(reported->end().reason, HasSubstr("spec.impossible_resources"));
}

TEST_F(JobTaskTest, faulty_bodies_are_refused_with_their_place) {
  const auto refusal = [this](const std::string& yaml) {
    const Result<void> checked = kind().validate(parse_yaml(yaml, "f.yaml").value());
    EXPECT_FALSE(checked.ok()) << yaml;
    return checked.ok() ? Error{} : checked.error();
  };
  EXPECT_TRUE(kind().validate(parse_json(kJob).value()).ok());
  EXPECT_TRUE(kind().validate(parse_yaml("command: [a]\nconfig: {rate: \"${tasks.tune.result.rate}\"}\n", "f.yaml").value()).ok());
  const Error typo = refusal("command: [a]\ncomand: 5\n");
  EXPECT_EQ(typo.id, "spec.unknown_key");
  EXPECT_THAT(typo.where, HasSubstr("f.yaml:2:"));
  EXPECT_EQ(refusal("command: [a]\ntasks: 0\n").id, "spec.range");
  const Error impossible = refusal("command: [a]\nresources:\n  cpu: 400\n");
  EXPECT_EQ(impossible.id, "spec.impossible_resources");
  EXPECT_THAT(impossible.where, HasSubstr("f.yaml:"));
}

class JobGatewayTest : public testing::TaskBench {};

TEST_F(JobGatewayTest, watch_hears_the_job_at_once_and_at_every_change_until_it_is_taken_back) {
  const JobId id = submit();
  std::vector<std::string> seen;
  const std::uint64_t watch = gateway->watch(id, [&seen](const jobs::Job& job) { seen.emplace_back(name_of(job.state)); });
  settle();
  EXPECT_EQ(seen, (std::vector<std::string>{"STARTING"}));
  run_job(id);
  EXPECT_EQ(seen.back(), "RUNNING");
  gateway->unwatch(watch);
  end_job(id, 0);
  EXPECT_EQ(seen.back(), "RUNNING");
}

TEST_F(JobGatewayTest, job_that_cannot_be_read_is_heard_as_failed) {
  std::vector<jobs::Job> heard;
  gateway->watch(JobId(99), [&heard](const jobs::Job& job) { heard.push_back(job); });
  settle();
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(heard[0].state, JobState::kFailed);
  EXPECT_NE(heard[0].reason.find("cannot be read"), std::string::npos);
}

TEST_F(JobGatewayTest, watch_may_end_another_watch_of_the_same_job) {
  const JobId id = submit();
  std::uint64_t second = 0;
  int heard = 0;
  gateway->watch(id, [&](const jobs::Job&) {
    if (second != 0) gateway->unwatch(second);
  });
  second = gateway->watch(id, [&heard](const jobs::Job&) { ++heard; });
  run_job(id);
  EXPECT_EQ(heard, 1);
}

TEST_F(JobGatewayTest, gateway_that_is_gone_hears_nothing_of_a_read_that_waited_for_a_commit) {
  const JobId id = submit();
  int heard = 0;
  ledger.hold_commits();
  service->on_rank_running(rank(id, 1), clock.now());
  strand.run_ready();
  gateway->watch(id, [&heard](const jobs::Job&) { ++heard; });
  gateway.reset();
  ledger.stop_holding();
  settle();
  EXPECT_EQ(heard, 0);
}

TEST_F(JobGatewayTest, same_key_with_other_inputs_is_the_same_job) {
  std::vector<JobId> ids;
  const Document spec = parse_json(kJob).value();
  gateway->submit(spec, "k", "ann", [&ids](const Result<JobId>& id) { ids.push_back(id.value()); });
  settle();
  Document changed = spec;
  changed.set("inputs", Document::object({{"data", "fashion@4/curated"}}));
  gateway->submit(changed, "k", "ann", [&ids](const Result<JobId>& id) { ids.push_back(id.value()); });
  settle();
  ASSERT_EQ(ids.size(), 2u);
  EXPECT_EQ(ids[0], ids[1]);
}

}  // namespace
}  // namespace trainyard::tasks
