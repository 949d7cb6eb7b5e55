#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "jobs/internal/json_text.h"
#include "jobs/internal/spec_text.h"
#include "jobs/internal/stored_json.h"
#include "jobs/job.h"

namespace trainyard::jobs {
namespace {

using internal::JsonText;

constexpr std::array<std::pair<ExitCause, std::string_view>, 7> kCauses{{{ExitCause::kSucceeded, "succeeded"},
                                                                         {ExitCause::kCheckpointed, "checkpointed"},
                                                                         {ExitCause::kUserError, "user_error"},
                                                                         {ExitCause::kUserFailure, "user_failure"},
                                                                         {ExitCause::kOutOfMemory, "out_of_memory"},
                                                                         {ExitCause::kNodeLost, "node_lost"},
                                                                         {ExitCause::kInfrastructure, "infrastructure"}}};

// --- writing

void write_exit(const exec::RankExit& exit, JsonText& out) {
  out.begin_object("exit");
  out.member("code", exit.code);
  if (exit.signal != 0) out.member("signal", exit.signal);
  if (exit.oom) out.member("oom", true);
  if (exit.stop_requested) out.member("stop_requested", true);
  if (exit.lost) out.member("lost", true);
  if (!exit.launch_error.empty()) out.member("launch_error", exit.launch_error);
  out.member("ended_at_us", exit.ended_at);
  if (exit.usage) {
    out.begin_object("usage");
    out.member("cpu_us", exit.usage->cpu_us);
    out.member("max_rss_bytes", exit.usage->max_rss_bytes);
    out.end_object();
  }
  out.end_object();
}

void write_attempt(const Attempt& attempt, JsonText& out) {
  out.begin_object("attempt");
  out.member("number", std::uint64_t{attempt.number.value});
  out.member("launched_at", attempt.launched_at);
  out.begin_array("ranks");
  for (const RankStatus& rank : attempt.ranks) {
    out.begin_object();
    out.member("node", rank.node.text);
    out.member("phase", static_cast<int>(rank.phase));
    out.member("started_at", rank.started_at);
    if (rank.exit) write_exit(*rank.exit, out);
    out.member("events_taken", rank.events_taken);
    if (!rank.limited_by.empty()) out.member("limited_by", rank.limited_by);
    out.end_object();
  }
  out.end_array();
  out.end_object();
}

void write_history(const std::vector<EndedAttempt>& history, JsonText& out) {
  out.begin_array("history");
  for (const EndedAttempt& attempt : history) {
    out.begin_object();
    out.member("number", std::uint64_t{attempt.number.value});
    out.begin_array("nodes");
    for (const NodeName& node : attempt.nodes) out.item(node.text);
    out.end_array();
    out.member("launched_at", attempt.launched_at);
    if (attempt.started_at) out.member("started_at", *attempt.started_at);
    out.member("ended_at", attempt.ended_at);
    out.member("exit_code", attempt.exit_code);
    out.member("cause", name_of(attempt.cause));
    out.member("reason_code", name_of(attempt.reason_code));
    if (!attempt.limited_by.empty()) out.member("limited_by", attempt.limited_by);
    out.end_object();
  }
  out.end_array();
}

void write_nonzero(std::string_view key, std::int64_t value, JsonText& out) {
  if (value != 0) out.member(key, value);
}

void write_array_progress(const ArrayProgress& array, JsonText& out) {
  out.begin_object("array");
  write_nonzero("created", array.created, out);
  write_nonzero("started", array.started, out);
  write_nonzero("succeeded", array.succeeded, out);
  write_nonzero("failed", array.failed, out);
  write_nonzero("cancelled", array.cancelled, out);
  write_nonzero("timed_out", array.timed_out, out);
  if (!array.not_succeeded.empty()) {
    out.begin_array("not_succeeded");
    for (const std::int64_t index : array.not_succeeded) out.item(index);
    out.end_array();
  }
  if (!array.withdrawn.empty()) {
    out.begin_array("withdrawn");
    for (const auto& [first, last] : array.withdrawn) {
      out.item(first);
      out.item(last);
    }
    out.end_array();
  }
  out.end_object();
}

/// What holds a waiting job back, and what was changed since it was submitted.
void write_waiting(const Job& job, JsonText& out) {
  if (job.eligible_at != job.queued_at) out.member("eligible_at", job.eligible_at);
  if (job.waits_since) out.member("waits_since", *job.waits_since);
  if (job.hold) {
    out.begin_object("hold");
    out.member("by", job.hold->by);
    out.member("since", job.hold->since);
    out.end_object();
  }
  if (!job.waits_for.empty()) internal::write_dependencies("waits_for", job.waits_for, out);
  if (job.priority) out.member("priority", *job.priority);
  if (job.memory_bytes) out.member("memory_bytes", *job.memory_bytes);
}

void write_counts(const Job& job, JsonText& out) {
  const RetryCounts& retries = job.retries;
  if (retries.user != 0 || retries.oom != 0 || retries.node_lost != 0 || retries.infrastructure != 0) {
    out.begin_object("retries");
    write_nonzero("user", retries.user, out);
    write_nonzero("oom", retries.oom, out);
    write_nonzero("node_lost", retries.node_lost, out);
    write_nonzero("infrastructure", retries.infrastructure, out);
    out.end_object();
  }
  if (job.usage != JobUsage{}) {
    out.begin_object("usage");
    write_nonzero("cpu_us", job.usage.cpu_us, out);
    write_nonzero("gpu_us", job.usage.gpu_us, out);
    write_nonzero("memory_mib_ms", job.usage.memory_mib_ms, out);
    write_nonzero("cpu_used_us", job.usage.cpu_used_us, out);
    write_nonzero("max_rss_bytes", job.usage.max_rss_bytes, out);
    out.end_object();
  }
}

void write_metrics(const std::map<std::string, LatestMetric>& metrics, JsonText& out) {
  out.begin_object("metrics");
  for (const auto& [key, metric] : metrics) {
    out.begin_object_of_others(key);
    out.member("value", metric.value);
    out.member("step", metric.step);
    out.member("time", to_rfc3339(metric.time));
    out.end_object();
  }
  out.end_object();
}

/// What the events of the program said.
void write_observations(const Job& job, JsonText& out) {
  if (job.exit_code) out.member("exit_code", *job.exit_code);
  if (job.progress) {
    out.begin_object("progress");
    out.member("done", job.progress->done);
    out.member("total", job.progress->total);
    out.member("message", job.progress->message);
    out.member("time", to_rfc3339(job.progress->time));
    out.end_object();
  }
  if (!job.ready_url.empty()) out.member("ready_url", job.ready_url);
  if (job.checkpoint) {
    out.begin_object("checkpoint");
    out.member("step", job.checkpoint->step);
    out.member("manifest", job.checkpoint->manifest);
    out.end_object();
  }
  if (!job.metrics.empty()) write_metrics(job.metrics, out);
  if (!job.rungs.empty()) {
    out.begin_object("rungs");
    for (const auto& [step, value] : job.rungs) out.member(std::to_string(step), value);
    out.end_object();
  }
  if (!job.artifacts.items().empty()) out.member("artifacts", job.artifacts);
  if (!job.result.is_null()) out.member("result", job.result);
}

/// What stays as it is once the job is submitted.
void write_settled(const Job& job, JsonText& out) {
  out.member("id", job.id.value);
  internal::write_spec("spec", job.spec, out);
  if (!job.resolved.is_null()) out.member("resolved", job.resolved);
  if (!job.run.text.empty()) out.member("run", job.run.text);
  if (!job.owner.empty()) out.member("owner", job.owner);
  out.member("submitted_at", job.submitted_at);
  if (job.queued_at != job.submitted_at) out.member("queued_at", job.queued_at);
  if (job.array_parent.valid()) {
    out.member("array_parent", job.array_parent.value);
    out.member("array_index", job.array_index);
  }
  if (job.retried_from.valid()) out.member("retried_from", job.retried_from.value);
}

void write_changing(const Job& job, JsonText& out) {
  out.member("state", name_of(job.state));
  if (job.intent != StopIntent::kNone) out.member("intent", name_of(job.intent));
  if (!job.reason.empty()) out.member("reason", job.reason);
  if (job.reason_code != ReasonCode::kNone) out.member("reason_code", name_of(job.reason_code));
  write_waiting(job, out);
  if (is_array(job)) write_array_progress(job.array, out);
  if (job.started_at) out.member("started_at", *job.started_at);
  if (job.ended_at) out.member("ended_at", *job.ended_at);
  if (job.attempt.number.valid()) write_attempt(job.attempt, out);
  if (!job.history.empty()) write_history(job.history, out);
  write_counts(job, out);
  write_observations(job, out);
}

// --- reading

Result<std::optional<TimePoint>> time_if_there(const Document& in, std::string_view key) {
  const Document& value = in[key];
  if (value.is_null()) return std::optional<TimePoint>();
  ASSIGN_OR_RETURN(const std::int64_t count, value.as_int());
  return std::optional(time_from_micros(count));
}

Result<RankStatus> rank_from(const Document& document) {
  RankStatus rank;
  ASSIGN_OR_RETURN(rank.node.text, document.string_at("node"));
  ASSIGN_OR_RETURN(const std::int64_t phase, document.int_at("phase"));
  if (phase < 0 || phase > 2) return invalid_argument("document.type", "a rank phase lies between 0 and 2");
  rank.phase = static_cast<RankStatus::Phase>(phase);
  ASSIGN_OR_RETURN(const std::int64_t started, document.int_at("started_at"));
  rank.started_at = time_from_micros(started);
  if (const Document* exit = document.find("exit")) {
    ASSIGN_OR_RETURN(rank.exit, exec::rank_exit_from(*exit));
  }
  ASSIGN_OR_RETURN(rank.events_taken, document["events_taken"].as_unsigned());
  ASSIGN_OR_RETURN(rank.limited_by, document.string_or("limited_by", ""));
  return rank;
}

Result<std::map<std::string, LatestMetric>> metrics_from(const Document& document) {
  std::map<std::string, LatestMetric> metrics;
  for (const auto& [key, entry] : document.members()) {
    LatestMetric& metric = metrics[key];
    ASSIGN_OR_RETURN(metric.value, entry.double_at("value"));
    ASSIGN_OR_RETURN(metric.step, entry.int_at("step"));
    ASSIGN_OR_RETURN(const std::string time, entry.string_at("time"));
    ASSIGN_OR_RETURN(metric.time, parse_rfc3339(time));
  }
  return metrics;
}

Result<Progress> progress_from(const Document& document) {
  Progress progress;
  ASSIGN_OR_RETURN(progress.done, document.double_at("done"));
  ASSIGN_OR_RETURN(progress.total, document.double_at("total"));
  ASSIGN_OR_RETURN(progress.message, document.string_at("message"));
  ASSIGN_OR_RETURN(const std::string time, document.string_at("time"));
  ASSIGN_OR_RETURN(progress.time, parse_rfc3339(time));
  return progress;
}

Result<Attempt> attempt_from(const Document& document) {
  Attempt attempt;
  if (document.is_null()) return attempt;
  ASSIGN_OR_RETURN(const std::int64_t number, document.int_at("number"));
  attempt.number = AttemptNumber(static_cast<std::uint32_t>(number));
  ASSIGN_OR_RETURN(const std::int64_t launched, document.int_at("launched_at"));
  attempt.launched_at = time_from_micros(launched);
  for (const Document& item : document["ranks"].items()) {
    ASSIGN_OR_RETURN(RankStatus rank, rank_from(item));
    attempt.ranks.push_back(std::move(rank));
  }
  return attempt;
}

Result<EndedAttempt> ended_attempt_from(const Document& in) {
  EndedAttempt attempt;
  ASSIGN_OR_RETURN(const std::int64_t number, in.int_at("number"));
  attempt.number = AttemptNumber(static_cast<std::uint32_t>(number));
  for (const Document& node : in["nodes"].items()) {
    ASSIGN_OR_RETURN(std::string name, node.as_string());
    attempt.nodes.push_back({std::move(name)});
  }
  ASSIGN_OR_RETURN(const std::int64_t launched, in.int_at("launched_at"));
  attempt.launched_at = time_from_micros(launched);
  ASSIGN_OR_RETURN(attempt.started_at, time_if_there(in, "started_at"));
  ASSIGN_OR_RETURN(const std::int64_t ended, in.int_at("ended_at"));
  attempt.ended_at = time_from_micros(ended);
  ASSIGN_OR_RETURN(const std::int64_t exit_code, in.int_or("exit_code", 0));
  attempt.exit_code = static_cast<int>(exit_code);
  const std::optional<ExitCause> cause = exit_cause_from(in["cause"].text());
  const std::optional<ReasonCode> reason = reason_code_from(in["reason_code"].text());
  if (!cause || !reason) return invalid_argument("document.type", "unknown cause or reason of an ended attempt");
  attempt.cause = *cause;
  attempt.reason_code = *reason;
  ASSIGN_OR_RETURN(attempt.limited_by, in.string_or("limited_by", ""));
  return attempt;
}

Result<void> read_observations(const Document& in, Job& job) {
  if (const Document* code = in.find("exit_code")) {
    ASSIGN_OR_RETURN(const std::int64_t value, code->as_int());
    job.exit_code = static_cast<int>(value);
  }
  if (const Document* progress = in.find("progress")) {
    ASSIGN_OR_RETURN(job.progress, progress_from(*progress));
  }
  ASSIGN_OR_RETURN(job.ready_url, in.string_or("ready_url", ""));
  if (const Document* checkpoint = in.find("checkpoint")) {
    CheckpointMark mark;
    ASSIGN_OR_RETURN(mark.step, checkpoint->int_at("step"));
    ASSIGN_OR_RETURN(mark.manifest, checkpoint->string_at("manifest"));
    job.checkpoint = std::move(mark);
  }
  ASSIGN_OR_RETURN(job.metrics, metrics_from(in["metrics"]));
  for (const auto& [step, value] : in["rungs"].members()) {
    ASSIGN_OR_RETURN(const std::int64_t number, Document(step).as_int());
    ASSIGN_OR_RETURN(job.rungs[number], value.as_double());
  }
  if (const Document* artifacts = in.find("artifacts")) job.artifacts = *artifacts;
  job.result = in["result"];
  return {};
}

Result<void> read_times(const Document& in, Job& job) {
  ASSIGN_OR_RETURN(const std::int64_t submitted, in.int_at("submitted_at"));
  ASSIGN_OR_RETURN(const std::int64_t queued, in.int_or("queued_at", submitted));
  ASSIGN_OR_RETURN(const std::int64_t eligible, in.int_or("eligible_at", queued));
  job.submitted_at = time_from_micros(submitted);
  job.queued_at = time_from_micros(queued);
  job.eligible_at = time_from_micros(eligible);
  ASSIGN_OR_RETURN(job.started_at, time_if_there(in, "started_at"));
  ASSIGN_OR_RETURN(job.ended_at, time_if_there(in, "ended_at"));
  return {};
}

Result<void> read_counts(const Document& in, Job& job) {
  const Document& retries = in["retries"];
  ASSIGN_OR_RETURN(job.retries.user, retries.int_or("user", 0));
  ASSIGN_OR_RETURN(job.retries.oom, retries.int_or("oom", 0));
  ASSIGN_OR_RETURN(job.retries.node_lost, retries.int_or("node_lost", 0));
  ASSIGN_OR_RETURN(job.retries.infrastructure, retries.int_or("infrastructure", 0));
  const Document& usage = in["usage"];
  ASSIGN_OR_RETURN(job.usage.cpu_us, usage.int_or("cpu_us", 0));
  ASSIGN_OR_RETURN(job.usage.gpu_us, usage.int_or("gpu_us", 0));
  ASSIGN_OR_RETURN(job.usage.memory_mib_ms, usage.int_or("memory_mib_ms", 0));
  ASSIGN_OR_RETURN(job.usage.cpu_used_us, usage.int_or("cpu_used_us", 0));
  ASSIGN_OR_RETURN(job.usage.max_rss_bytes, usage.int_or("max_rss_bytes", 0));
  return {};
}

Result<void> read_array_progress(const Document& in, ArrayProgress& array) {
  ASSIGN_OR_RETURN(array.created, in.int_or("created", 0));
  ASSIGN_OR_RETURN(array.started, in.int_or("started", 0));
  ASSIGN_OR_RETURN(array.succeeded, in.int_or("succeeded", 0));
  ASSIGN_OR_RETURN(array.failed, in.int_or("failed", 0));
  ASSIGN_OR_RETURN(array.cancelled, in.int_or("cancelled", 0));
  ASSIGN_OR_RETURN(array.timed_out, in.int_or("timed_out", 0));
  for (const Document& item : in["not_succeeded"].items()) {
    ASSIGN_OR_RETURN(const std::int64_t index, item.as_int());
    array.not_succeeded.push_back(index);
  }
  const Document::Array& bounds = in["withdrawn"].items();
  for (std::size_t i = 0; i + 1 < bounds.size(); i += 2) {
    ASSIGN_OR_RETURN(const std::int64_t first, bounds[i].as_int());
    ASSIGN_OR_RETURN(const std::int64_t last, bounds[i + 1].as_int());
    array.withdrawn.emplace_back(first, last);
  }
  return {};
}

Result<void> read_waiting(const Document& in, Job& job) {
  ASSIGN_OR_RETURN(job.waits_since, time_if_there(in, "waits_since"));
  if (const Document* hold = in.find("hold")) {
    ASSIGN_OR_RETURN(std::string by, hold->string_at("by"));
    ASSIGN_OR_RETURN(const std::int64_t since, hold->int_at("since"));
    job.hold = Hold{std::move(by), time_from_micros(since)};
  }
  for (const Document& item : in["waits_for"].items()) {
    ASSIGN_OR_RETURN(JobDependency dependency, decode<JobDependency>(item));
    job.waits_for.push_back(std::move(dependency));
  }
  if (!in["priority"].is_null()) {
    ASSIGN_OR_RETURN(job.priority, in["priority"].as_int());
  }
  if (!in["memory_bytes"].is_null()) {
    ASSIGN_OR_RETURN(job.memory_bytes, in["memory_bytes"].as_int());
  }
  return {};
}

Result<void> read_relations(const Document& in, Job& job) {
  ASSIGN_OR_RETURN(const std::int64_t parent, in.int_or("array_parent", 0));
  ASSIGN_OR_RETURN(job.array_index, in.int_or("array_index", 0));
  ASSIGN_OR_RETURN(const std::int64_t repeated, in.int_or("retried_from", 0));
  job.array_parent = JobId(static_cast<std::uint64_t>(parent));
  job.retried_from = JobId(static_cast<std::uint64_t>(repeated));
  return read_array_progress(in["array"], job.array);
}

Result<void> read_state(const Document& in, Job& job) {
  const std::optional<JobState> state = job_state_from(in["state"].text());
  const std::optional<StopIntent> intent = stop_intent_from(in["intent"].text());
  const std::optional<ReasonCode> code = reason_code_from(in["reason_code"].text());
  if (!state || !intent || !code) return invalid_argument("document.type", "unknown state, intent or reason");
  job.state = *state;
  job.intent = *intent;
  job.reason_code = *code;
  ASSIGN_OR_RETURN(job.reason, in.string_or("reason", ""));
  return {};
}

Result<Job> job_from(const Document& in) {
  Job job;
  ASSIGN_OR_RETURN(const std::int64_t id, in.int_at("id"));
  job.id = JobId(static_cast<std::uint64_t>(id));
  if (!in["spec"].is_object()) return invalid_argument("document.missing", "the spec is missing");
  ASSIGN_OR_RETURN(job.spec, decode<JobSpec>(in["spec"]));
  job.resolved = in["resolved"];
  ASSIGN_OR_RETURN(job.run.text, in.string_or("run", ""));
  ASSIGN_OR_RETURN(job.owner, in.string_or("owner", ""));
  TRY(read_state(in, job));
  TRY(read_times(in, job));
  TRY(read_waiting(in, job));
  TRY(read_relations(in, job));
  ASSIGN_OR_RETURN(job.attempt, attempt_from(in["attempt"]));
  for (const Document& item : in["history"].items()) {
    ASSIGN_OR_RETURN(EndedAttempt attempt, ended_attempt_from(item));
    job.history.push_back(std::move(attempt));
  }
  TRY(read_counts(in, job));
  TRY(read_observations(in, job));
  return job;
}

}  // namespace

std::string_view name_of(ExitCause cause) {
  return std::find_if(kCauses.begin(), kCauses.end(), [cause](const auto& entry) { return entry.first == cause; })->second;
}

std::optional<ExitCause> exit_cause_from(std::string_view name) {
  const auto found = std::find_if(kCauses.begin(), kCauses.end(), [name](const auto& entry) { return entry.second == name; });
  return found == kCauses.end() ? std::nullopt : std::optional(found->first);
}

Resources task_resources(const Job& job) {
  Resources resources = job.spec.resources.resources();
  resources.memory_bytes = job.memory_bytes.value_or(resources.memory_bytes);
  return resources;
}

std::string encode_settled_part(const Job& job) {
  JsonText out;
  out.begin_object();
  write_settled(job, out);
  return std::string(out.text());
}

std::string encode_job(const Job& job, std::string_view settled_part) {
  JsonText out(JsonText::Where::kInside);
  write_changing(job, out);
  out.end_object();
  std::string text;
  text.reserve(settled_part.size() + out.text().size());
  text += settled_part;
  text += out.text();
  return text;
}

std::string encode_job(const Job& job) {
  JsonText out;
  out.begin_object();
  write_settled(job, out);
  write_changing(job, out);
  out.end_object();
  return std::string(out.text());
}

Result<Job> decode_job(std::string_view text) {
  if (const std::optional<Document> stored = internal::parse_stored_json(text)) {
    Result<Job> job = job_from(*stored);
    if (job.ok()) return job;
  }
  // Anything else is read by the parser that says what is wrong and where. What clients and programs sent was within the usual limits;
  // inside a job it lies deeper.
  constexpr ParseLimits kStoredLimits{.depth_max = 256, .nodes_max = 16'000'000};
  Result<Document> document = parse_json(text, kStoredLimits);
  if (!document.ok()) return data_loss("ledger.corrupt", "a stored job is no JSON: " + document.error().describe());
  Result<Job> job = job_from(document.value());
  if (!job.ok()) return data_loss("ledger.corrupt", "a stored job cannot be read: " + job.error().describe());
  return job;
}

}  // namespace trainyard::jobs
