#include "jobs/job.h"

#include <gtest/gtest.h>

#include <string>

#include "base/rng.h"
#include "base/testing/random_document.h"
#include "jobs/testing/job_examples.h"

namespace trainyard::jobs {
namespace {

using namespace std::chrono_literals;

/// Every optional part is there.
Job full_job() {
  Job job = testing::running_job(2);
  job.spec.kind = "train";
  job.spec.config = parse_json(R"({"lr":0.1,"nested":{"deep":[1,null,"x"]}})").value();
  job.spec.env = {{"A", "1"}};
  job.spec.retry.user = 2;
  job.resolved = parse_json(R"({"inputs":{"data":{"version":3}}})").value();
  job.run = {"00000000000000010000000000000007"};
  job.owner = "ada";
  job.intent = StopIntent::kPreempt;
  job.state = JobState::kStopping;
  job.reason = "room for \"others\"\n";
  job.eligible_at = testing::kStart + 5s;
  job.retries = {1, 2, 3, 4};
  job.exit_code = 143;
  job.progress = Progress{1.5, 3, "half", testing::kStart + 1s};
  job.ready_url = "http://127.0.0.1:41234";
  job.checkpoint = CheckpointMark{400, "ty://checkpoints/7/400/MANIFEST"};
  job.metrics["loss"] = {0.5, 10, testing::kStart + 2s};
  job.rungs[10] = 0.75;
  job.artifacts.push(parse_json(R"({"name":"model.onnx","size":123})").value());
  job.result = parse_json(R"({"accuracy":0.9})").value();
  job.attempt.ranks[1].phase = RankStatus::Phase::kExited;
  job.attempt.ranks[1].exit = testing::out_of_memory_exit();
  job.attempt.ranks[1].events_taken = 17;
  return job;
}

TEST(JobCodec, full_job_reads_back_equal_in_every_part) {
  const Job job = full_job();
  const Job back = decode_job(encode_job(job)).value();
  EXPECT_EQ(encode_job(back), encode_job(job));
  EXPECT_EQ(back.id, job.id);
  EXPECT_EQ(encode(back.spec), encode(job.spec));
  EXPECT_EQ(back.resolved, job.resolved);
  EXPECT_EQ(back.run, job.run);
  EXPECT_EQ(back.owner, job.owner);
  EXPECT_EQ(back.state, job.state);
  EXPECT_EQ(back.intent, job.intent);
  EXPECT_EQ(back.reason, job.reason);
  EXPECT_EQ(back.submitted_at, job.submitted_at);
  EXPECT_EQ(back.queued_at, job.queued_at);
  EXPECT_EQ(back.eligible_at, job.eligible_at);
  EXPECT_EQ(back.started_at, job.started_at);
  EXPECT_EQ(back.ended_at, job.ended_at);
  EXPECT_EQ(back.retries.infrastructure, 4);
  EXPECT_EQ(back.exit_code, 143);
  EXPECT_EQ(back.progress->time, job.progress->time);
  EXPECT_EQ(back.checkpoint->manifest, job.checkpoint->manifest);
  EXPECT_EQ(back.metrics.at("loss").time, job.metrics.at("loss").time);
  EXPECT_EQ(back.rungs, job.rungs);
  EXPECT_EQ(back.artifacts, job.artifacts);
  EXPECT_EQ(back.result, job.result);
  ASSERT_EQ(back.attempt.ranks.size(), 2u);
  EXPECT_EQ(back.attempt.number, job.attempt.number);
  EXPECT_EQ(back.attempt.launched_at, job.attempt.launched_at);
  EXPECT_EQ(back.attempt.ranks[1].phase, RankStatus::Phase::kExited);
  EXPECT_TRUE(back.attempt.ranks[1].exit->oom);
  EXPECT_EQ(back.attempt.ranks[1].exit->signal, 9);
  EXPECT_EQ(back.attempt.ranks[1].exit->ended_at, job.attempt.ranks[1].exit->ended_at);
  EXPECT_EQ(back.attempt.ranks[1].events_taken, 17u);
}

TEST(JobCodec, bare_job_reads_back_with_its_optional_parts_absent) {
  const Job back = decode_job(encode_job(testing::queued_job())).value();
  EXPECT_FALSE(back.started_at.has_value());
  EXPECT_FALSE(back.ended_at.has_value());
  EXPECT_FALSE(back.exit_code.has_value());
  EXPECT_FALSE(back.progress.has_value());
  EXPECT_FALSE(back.checkpoint.has_value());
  EXPECT_FALSE(back.attempt.number.valid());
  EXPECT_TRUE(back.metrics.empty());
  EXPECT_TRUE(back.result.is_null());
}

TEST(JobCodec, random_texts_and_documents_inside_a_job_survive) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SeededRng rng(seed);
    trainyard::testing::RandomDocument random(rng);
    Job job = full_job();
    job.spec.config = random.object(4);
    job.spec.name = random.text();
    job.spec.labels[random.text()] = random.text();
    job.resolved = random.object(3);
    job.reason = random.text();
    job.result = random.draw(4);
    const std::string text = encode_job(job);
    const Result<Job> back = decode_job(text);
    ASSERT_TRUE(back.ok()) << "seed " << seed << ": " << back.error().describe();
    ASSERT_EQ(encode_job(*back), text) << "seed " << seed;
  }
}

TEST(JobCodec, config_and_resolved_inputs_as_deep_as_any_request_read_back) {
  const std::string nested = std::string(63, '[') + std::string(63, ']');
  Job job = testing::queued_job();
  job.spec.config = parse_json(nested).value();
  job.resolved = job.spec.config;
  const Result<Job> back = decode_job(encode_job(job));
  ASSERT_TRUE(back.ok()) << back.error().describe();
  EXPECT_EQ(back->spec.config, job.spec.config);
  EXPECT_EQ(back->resolved, job.resolved);
}

TEST(JobCodec, damaged_text_is_data_loss_and_never_aborts) {
  const std::string text = encode_job(full_job());
  for (std::size_t length = 0; length < text.size(); length += 7) {
    const Result<Job> job = decode_job(text.substr(0, length));
    ASSERT_FALSE(job.ok()) << length;
    ASSERT_EQ(job.error().category, Category::kDataLoss);
    ASSERT_EQ(job.error().id, "ledger.corrupt");
  }
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    SeededRng rng(seed);
    std::string damaged = text;
    for (int i = 0; i < 2; ++i) damaged[rng.below(damaged.size())] = static_cast<char>(' ' + rng.below(95));
    const Result<Job> job = decode_job(damaged);
    ASSERT_TRUE(job.ok() || job.error().category == Category::kDataLoss) << "seed " << seed << ": " << damaged;
  }
}

TEST(JobCodec, missing_parts_are_data_loss) {
  const Document whole = parse_json(encode_job(full_job())).value();
  for (const char* key : {"id", "spec", "state", "submitted_at", "queued_at", "eligible_at", "attempt", "retries"}) {
    Document damaged = Document::object();
    for (const auto& [name, value] : whole.members()) {
      if (name != key) damaged.append_member(name, value);
    }
    EXPECT_EQ(decode_job(to_json(damaged)).error().id, "ledger.corrupt") << key;
  }
}

TEST(JobView, view_shows_id_as_text_times_as_rfc3339_and_links) {
  const Document view = job_view(full_job());
  EXPECT_EQ(view["id"], Document("7"));
  EXPECT_EQ(view["state"].text(), "STOPPING");
  EXPECT_EQ(view["stop_intent"].text(), "preempt");
  EXPECT_EQ(view["attempt"].as_int().value(), 1);
  EXPECT_EQ(view["submitted_at"].text(), to_rfc3339(testing::kStart));
  EXPECT_EQ(view["started_at"].text(), to_rfc3339(testing::kStart));
  EXPECT_EQ(view.find("ended_at"), nullptr);
  EXPECT_EQ(view["ranks"].items()[0]["phase"].text(), "RUNNING");
  EXPECT_EQ(view["ranks"].items()[1]["phase"].text(), "EXITED");
  EXPECT_EQ(view["ranks"].items()[1]["exit"]["oom"], Document(true));
  EXPECT_EQ(view["links"]["logs"].text(), "/api/v1/jobs/7/logs");
  EXPECT_EQ(view["links"]["run"].text(), "/api/v1/runs/00000000000000010000000000000007");
  EXPECT_EQ(view["metrics"]["loss"]["value"].as_double().value(), 0.5);
  EXPECT_EQ(view["result"]["accuracy"].as_double().value(), 0.9);
  EXPECT_EQ(view["spec"]["kind"].text(), "train");
}

}  // namespace
}  // namespace trainyard::jobs
