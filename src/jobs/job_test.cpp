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
  job.reason_code = ReasonCode::kPreempted;
  job.waits_since = testing::kStart + 3s;
  job.hold = Hold{"bob", testing::kStart + 4s};
  job.waits_for = {{5, "any"}, {6, "ok"}};
  job.priority = -7;
  job.memory_bytes = 3LL << 30;
  job.retried_from = JobId(3);
  job.array_parent = JobId(4);
  job.array_index = 11;
  job.usage = {1, 2, 3, 4, 5};
  job.history.push_back({AttemptNumber(1),
                         {{"a"}, {"b"}},
                         testing::kStart,
                         testing::kStart + 1s,
                         testing::kStart + 2s,
                         137,
                         ExitCause::kOutOfMemory,
                         ReasonCode::kOutOfMemory});
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
  EXPECT_EQ(back.reason_code, job.reason_code);
  EXPECT_EQ(back.waits_since, job.waits_since);
  EXPECT_EQ(back.hold->by, "bob");
  EXPECT_EQ(back.hold->since, job.hold->since);
  EXPECT_EQ(back.waits_for, job.waits_for);
  EXPECT_EQ(back.priority, -7);
  EXPECT_EQ(back.memory_bytes, 3LL << 30);
  EXPECT_EQ(back.retried_from, JobId(3));
  EXPECT_EQ(back.array_parent, JobId(4));
  EXPECT_EQ(back.array_index, 11);
  EXPECT_EQ(back.usage, job.usage);
  ASSERT_EQ(back.history.size(), 1u);
  EXPECT_EQ(back.history[0].nodes, job.history[0].nodes);
  EXPECT_EQ(back.history[0].started_at, job.history[0].started_at);
  EXPECT_EQ(back.history[0].cause, ExitCause::kOutOfMemory);
  EXPECT_EQ(back.history[0].reason_code, ReasonCode::kOutOfMemory);
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

/// Sets every field to something else than it is, whatever it is called.
class EveryFieldChanged final : public FieldVisitor {
 public:
  void visit(std::string_view, const Slot& slot, std::string_view) override {
    std::visit([this](const auto& kind) { change(kind); }, slot.value);
  }
  void required() override {}

 private:
  void change(const ScalarSlot& slot) {
    std::visit([this, &slot](auto* value) { change_value(*value, slot); }, slot.value);
  }
  void change(const ObjectSlot& slot) { slot.visit(*this); }
  void change(const ListSlot& slot) {
    slot.resize(2);
    for (std::size_t i = 0; i < 2; ++i) slot.item(i, [this](const Slot& item) { visit("", item, ""); });
  }
  void change(const MapSlot& slot) {
    slot.add("key", [this](const Slot& item) { visit("", item, ""); });
  }
  void change(const OptionalSlot& slot) {
    slot.create();
    slot.value([this](const Slot& value) { visit("", value, ""); });
  }
  void change_value(bool& value, const ScalarSlot&) { value = !value; }
  void change_value(std::int64_t& value, const ScalarSlot&) { value += ++count_; }
  void change_value(double& value, const ScalarSlot&) { value += static_cast<double>(++count_); }
  void change_value(std::string& value, const ScalarSlot& slot) {
    value = slot.allowed == nullptr ? "text " + std::to_string(++count_) : std::string(slot.allowed->back());
  }
  void change_value(Duration& value, const ScalarSlot&) { value += Duration(++count_); }
  void change_value(TimePoint& value, const ScalarSlot&) { value += Duration(++count_); }
  void change_value(ByteSize& value, const ScalarSlot&) { value.bytes += ++count_; }
  void change_value(MilliCpu& value, const ScalarSlot&) { value.milli += ++count_; }
  void change_value(std::vector<std::string>& value, const ScalarSlot&) { value = {"one", std::to_string(++count_)}; }
  void change_value(std::map<std::string, std::string>& value, const ScalarSlot&) { value["key"] = std::to_string(++count_); }
  void change_value(Document& value, const ScalarSlot&) { value = Document::array({++count_}); }

  std::int64_t count_ = 0;
};

// The ledger writes specs by hand: a field that it does not know would be lost.
TEST(JobCodec, every_described_field_of_a_spec_is_stored) {
  Job job = testing::queued_job();
  EveryFieldChanged changes;
  job.spec.describe(changes);
  const Result<Job> back = decode_job(encode_job(job));
  ASSERT_TRUE(back.ok()) << back.error().describe();
  EXPECT_EQ(to_json(encode(back->spec)), to_json(encode(job.spec)));
}

TEST(JobCodec, record_of_an_earlier_version_is_read) {
  const std::string text =
      R"({"id":3,"spec":{"kind":"command","name":"w","class":"batch","command":["w"],"tasks":1,"queue":"default","priority":0,)"
      R"("preemptible":true,"resources":{"cpu":"1000m","memory":"512MiB","gpu":"0m"},"env":{},"inputs":{},"outputs":{},)"
      R"("limits":{"queue":"0s","total":"0s","attempt":"0s","no_progress":"0s","grace":"30s"},"retry":{"user":0,"oom":1,"node_lost":5,)"
      R"("infrastructure":3,"backoff_base":"1s","backoff_cap":"1m"},"checkpoint_every":"1m","labels":{}},"run":"00","owner":"ada",)"
      R"("state":"STARTING","intent":"","reason":"launching","submitted_at":5,"queued_at":5,"eligible_at":5,"started_at":6,)"
      R"("ended_at":null,"attempt":{"number":1,"launched_at":6,"ranks":[{"node":"a","phase":1,"started_at":7,"events_taken":2}]},)"
      R"("retries":{"user":0,"oom":0,"node_lost":0,"infrastructure":0}})";
  const Result<Job> job = decode_job(text);
  ASSERT_TRUE(job.ok()) << job.error().describe();
  EXPECT_EQ(job->state, JobState::kStarting);
  EXPECT_EQ(job->spec.name_space, "default");
  EXPECT_EQ(job->attempt.ranks.at(0).events_taken, 2u);
  EXPECT_FALSE(job->ended_at.has_value());
}

TEST(JobCodec, array_reads_back_with_its_progress) {
  Job job = testing::queued_job();
  job.spec.array = JobArray{100, 8};
  job.array = {50, 40, 20, 5, 2, 1, {3, 9}};
  const Job back = decode_job(encode_job(job)).value();
  EXPECT_EQ(back.spec.array, job.spec.array);
  EXPECT_EQ(back.array.created, 50);
  EXPECT_EQ(back.array.started, 40);
  EXPECT_EQ(back.array.ended(), 28);
  EXPECT_EQ(back.array.not_succeeded, (std::vector<std::int64_t>{3, 9}));
  const Document view = job_view(job);
  EXPECT_EQ(view["array"]["count"].as_int().value(), 100);
  EXPECT_EQ(view["array"]["failed"].as_int().value(), 5);
}

TEST(JobCodec, fresh_job_is_stored_without_what_is_as_usual) {
  Job job = testing::queued_job();
  job.reason = "waiting";
  EXPECT_EQ(encode_job(job), R"({"id":7,"spec":{"name":"work","command":["work"]},"submitted_at":1700000000000000,"state":"QUEUED",)"
                             R"("reason":"waiting"})");
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
  for (const char* key : {"id", "spec", "state", "submitted_at"}) {
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
  EXPECT_EQ(view["reason_code"].text(), "preempted");
  EXPECT_EQ(view["namespace"].text(), "default");
  EXPECT_EQ(view["priority"].as_int().value(), -7);
  EXPECT_EQ(view["held"], Document(true));
  EXPECT_EQ(view["hold"]["by"].text(), "bob");
  EXPECT_EQ(view["waits_for"].items()[0]["when"].text(), "any");
  EXPECT_EQ(view["memory_raised_to"].text(), "3GiB");
  EXPECT_EQ(view["array_parent"].text(), "4");
  EXPECT_EQ(view["retried_from"].text(), "3");
  EXPECT_EQ(view["attempts"].items()[0]["cause"].text(), "out_of_memory");
  EXPECT_EQ(view["attempts"].items()[0]["nodes"].items()[1].text(), "b");
  EXPECT_EQ(view["usage"]["cpu_seconds"].as_double().value(), 1e-6);
}

}  // namespace
}  // namespace trainyard::jobs
