#include "jobs/job.h"

#include <fmt/format.h>

namespace trainyard::jobs {
namespace {

Document time_document(const std::optional<TimePoint>& time) { return time ? Document(micros(*time)) : Document(); }

Document rank_document(const RankStatus& rank) {
  Document out = Document::object();
  out.set("node", rank.node.text);
  out.set("phase", static_cast<int>(rank.phase));
  out.set("started_at", micros(rank.started_at));
  if (rank.exit) out.set("exit", exec::to_document(*rank.exit));
  out.set("events_taken", rank.events_taken);
  return out;
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
  return rank;
}

Document metrics_document(const std::map<std::string, LatestMetric>& metrics) {
  Document out = Document::object();
  for (const auto& [key, metric] : metrics) {
    Document entry = Document::object();
    entry.set("value", metric.value);
    entry.set("step", metric.step);
    entry.set("time", to_rfc3339(metric.time));
    out.append_member(key, std::move(entry));
  }
  return out;
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

Document progress_document(const Progress& progress) {
  Document out = Document::object();
  out.set("done", progress.done);
  out.set("total", progress.total);
  out.set("message", progress.message);
  out.set("time", to_rfc3339(progress.time));
  return out;
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

Document retries_document(const RetryCounts& counts) {
  Document out = Document::object();
  out.set("user", counts.user);
  out.set("oom", counts.oom);
  out.set("node_lost", counts.node_lost);
  out.set("infrastructure", counts.infrastructure);
  return out;
}

Document attempt_document(const Attempt& attempt) {
  Document out = Document::object();
  out.set("number", static_cast<std::int64_t>(attempt.number.value));
  out.set("launched_at", micros(attempt.launched_at));
  Document ranks = Document::array();
  for (const RankStatus& rank : attempt.ranks) ranks.push(rank_document(rank));
  out.set("ranks", std::move(ranks));
  return out;
}

Result<Attempt> attempt_from(const Document& document) {
  Attempt attempt;
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

/// What both the durable form and the view hold of the events of a job.
void add_observations(const Job& job, Document& out) {
  if (job.exit_code) out.set("exit_code", *job.exit_code);
  if (job.progress) out.set("progress", progress_document(*job.progress));
  if (!job.ready_url.empty()) out.set("ready_url", job.ready_url);
  if (job.checkpoint) {
    Document checkpoint = Document::object();
    checkpoint.set("step", job.checkpoint->step);
    checkpoint.set("manifest", job.checkpoint->manifest);
    out.set("checkpoint", std::move(checkpoint));
  }
  if (!job.metrics.empty()) out.set("metrics", metrics_document(job.metrics));
  if (!job.rungs.empty()) {
    Document rungs = Document::object();
    for (const auto& [step, value] : job.rungs) rungs.append_member(std::to_string(step), value);
    out.set("rungs", std::move(rungs));
  }
  if (!job.artifacts.items().empty()) out.set("artifacts", job.artifacts);
  if (!job.result.is_null()) out.set("result", job.result);
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
  ASSIGN_OR_RETURN(const std::int64_t queued, in.int_at("queued_at"));
  ASSIGN_OR_RETURN(const std::int64_t eligible, in.int_at("eligible_at"));
  job.submitted_at = time_from_micros(submitted);
  job.queued_at = time_from_micros(queued);
  job.eligible_at = time_from_micros(eligible);
  if (!in["started_at"].is_null()) {
    ASSIGN_OR_RETURN(const std::int64_t started, in.int_at("started_at"));
    job.started_at = time_from_micros(started);
  }
  if (!in["ended_at"].is_null()) {
    ASSIGN_OR_RETURN(const std::int64_t ended, in.int_at("ended_at"));
    job.ended_at = time_from_micros(ended);
  }
  return {};
}

Result<void> read_retries(const Document& in, RetryCounts& counts) {
  ASSIGN_OR_RETURN(counts.user, in.int_at("user"));
  ASSIGN_OR_RETURN(counts.oom, in.int_at("oom"));
  ASSIGN_OR_RETURN(counts.node_lost, in.int_at("node_lost"));
  ASSIGN_OR_RETURN(counts.infrastructure, in.int_at("infrastructure"));
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
  ASSIGN_OR_RETURN(const std::string state, in.string_at("state"));
  ASSIGN_OR_RETURN(const std::string intent, in.string_or("intent", ""));
  const std::optional<JobState> known_state = job_state_from(state);
  const std::optional<StopIntent> known_intent = stop_intent_from(intent);
  if (!known_state || !known_intent) return invalid_argument("document.type", "unknown state or intent");
  job.state = *known_state;
  job.intent = *known_intent;
  ASSIGN_OR_RETURN(job.reason, in.string_or("reason", ""));
  TRY(read_times(in, job));
  ASSIGN_OR_RETURN(job.attempt, attempt_from(in["attempt"]));
  TRY(read_retries(in["retries"], job.retries));
  TRY(read_observations(in, job));
  return job;
}

}  // namespace

std::string encode_job(const Job& job) {
  Document out = Document::object();
  out.set("id", job.id.value);
  out.set("spec", encode(job.spec));
  if (!job.resolved.is_null()) out.set("resolved", job.resolved);
  out.set("run", job.run.text);
  out.set("owner", job.owner);
  out.set("state", name_of(job.state));
  out.set("intent", name_of(job.intent));
  out.set("reason", job.reason);
  out.set("submitted_at", micros(job.submitted_at));
  out.set("queued_at", micros(job.queued_at));
  out.set("eligible_at", micros(job.eligible_at));
  out.set("started_at", time_document(job.started_at));
  out.set("ended_at", time_document(job.ended_at));
  out.set("attempt", attempt_document(job.attempt));
  out.set("retries", retries_document(job.retries));
  add_observations(job, out);
  return to_json(out);
}

Result<Job> decode_job(std::string_view text) {
  // What clients and programs sent was within the usual limits; inside a job it lies deeper.
  constexpr ParseLimits kStoredLimits{.depth_max = 256, .nodes_max = 16'000'000};
  Result<Document> document = parse_json(text, kStoredLimits);
  if (!document.ok()) return data_loss("ledger.corrupt", "a stored job is no JSON: " + document.error().describe());
  Result<Job> job = job_from(document.value());
  if (!job.ok()) return data_loss("ledger.corrupt", "a stored job cannot be read: " + job.error().describe());
  return job;
}

bool uses_synthetic_data(const Job& job) {
  const auto& inputs = job.resolved["inputs"].members();
  return std::any_of(inputs.begin(), inputs.end(),
                     [](const auto& input) { return input.second["properties"]["synthetic"].as_bool().value_or(false); });
}

Document job_view(const Job& job) {
  Document out = Document::object();
  out.set("id", job.id.text());
  out.set("name", job.spec.name);
  out.set("kind", job.spec.kind);
  out.set("state", name_of(job.state));
  if (job.intent != StopIntent::kNone) out.set("stop_intent", name_of(job.intent));
  out.set("reason", job.reason);
  out.set("attempt", static_cast<std::int64_t>(job.attempt.number.value));
  out.set("run_id", job.run.text);
  out.set("owner", job.owner);
  out.set("submitted_at", to_rfc3339(job.submitted_at));
  if (job.started_at) out.set("started_at", to_rfc3339(*job.started_at));
  if (job.ended_at) out.set("ended_at", to_rfc3339(*job.ended_at));
  Document ranks = Document::array();
  for (const RankStatus& rank : job.attempt.ranks) {
    constexpr std::string_view kPhases[] = {"LAUNCHING", "RUNNING", "EXITED"};
    Document entry = Document::object();
    entry.set("node", rank.node.text);
    entry.set("phase", kPhases[static_cast<std::size_t>(rank.phase)]);
    if (rank.exit) entry.set("exit", exec::to_document(*rank.exit));
    ranks.push(std::move(entry));
  }
  out.set("ranks", std::move(ranks));
  out.set("retries", retries_document(job.retries));
  add_observations(job, out);
  if (uses_synthetic_data(job)) out.set("synthetic", true);
  out.set("spec", encode(job.spec));
  const std::string base = "/api/v1/jobs/" + job.id.text();
  Document links = Document::object();
  links.set("logs", base + "/logs");
  links.set("events", base + "/events");
  if (!job.run.text.empty()) links.set("run", "/api/v1/runs/" + job.run.text);
  out.set("links", std::move(links));
  return out;
}

}  // namespace trainyard::jobs
