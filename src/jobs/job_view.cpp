#include <algorithm>
#include <initializer_list>

#include "jobs/job.h"

namespace trainyard::jobs {
namespace {

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

Document progress_document(const Progress& progress) {
  Document out = Document::object();
  out.set("done", progress.done);
  out.set("total", progress.total);
  out.set("message", progress.message);
  out.set("time", to_rfc3339(progress.time));
  return out;
}

Document retries_document(const RetryCounts& counts) {
  Document out = Document::object();
  out.set("user", counts.user);
  out.set("oom", counts.oom);
  out.set("node_lost", counts.node_lost);
  out.set("infrastructure", counts.infrastructure);
  return out;
}

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

Document rank_view(const RankStatus& rank) {
  constexpr std::string_view kPhases[] = {"LAUNCHING", "RUNNING", "EXITED"};
  Document entry = Document::object();
  entry.set("node", rank.node.text);
  entry.set("phase", kPhases[static_cast<std::size_t>(rank.phase)]);
  if (!rank.limited_by.empty()) entry.set("limited_by", rank.limited_by);
  if (rank.exit) entry.set("exit", exec::to_document(*rank.exit));
  return entry;
}

/// The attempt that goes on.
Document attempt_view(const Attempt& attempt) {
  Document out = Document::object();
  out.set("number", static_cast<std::int64_t>(attempt.number.value));
  Document nodes = Document::array();
  std::optional<TimePoint> started;
  for (const RankStatus& rank : attempt.ranks) {
    nodes.push(rank.node.text);
    if (rank.phase != RankStatus::Phase::kLaunching && (!started || rank.started_at < *started)) started = rank.started_at;
  }
  out.set("nodes", std::move(nodes));
  out.set("launched_at", to_rfc3339(attempt.launched_at));
  if (started) out.set("started_at", to_rfc3339(*started));
  return out;
}

Document attempt_view(const EndedAttempt& attempt) {
  Document out = Document::object();
  out.set("number", static_cast<std::int64_t>(attempt.number.value));
  Document nodes = Document::array();
  for (const NodeName& node : attempt.nodes) nodes.push(node.text);
  out.set("nodes", std::move(nodes));
  out.set("launched_at", to_rfc3339(attempt.launched_at));
  if (attempt.started_at) out.set("started_at", to_rfc3339(*attempt.started_at));
  out.set("ended_at", to_rfc3339(attempt.ended_at));
  out.set("exit_code", attempt.exit_code);
  out.set("cause", name_of(attempt.cause));
  out.set("reason_code", name_of(attempt.reason_code));
  if (!attempt.limited_by.empty()) out.set("limited_by", attempt.limited_by);
  return out;
}

Document usage_view(const JobUsage& usage) {
  constexpr double kMicros = 1e6;
  constexpr double kMibMillisPerGibSecond = 1024.0 * 1000.0;
  Document out = Document::object();
  out.set("cpu_seconds", static_cast<double>(usage.cpu_us) / kMicros);
  out.set("gpu_seconds", static_cast<double>(usage.gpu_us) / kMicros);
  out.set("memory_gib_seconds", static_cast<double>(usage.memory_mib_ms) / kMibMillisPerGibSecond);
  if (usage.cpu_used_us > 0) out.set("cpu_used_seconds", static_cast<double>(usage.cpu_used_us) / kMicros);
  if (usage.max_rss_bytes > 0) out.set("max_rss_bytes", usage.max_rss_bytes);
  return out;
}

Document array_view(const Job& job) {
  const ArrayProgress& progress = job.array;
  Document out = Document::object();
  out.set("count", job.spec.array->count);
  out.set("max_running", job.spec.array->max_running);
  out.set("created", progress.created);
  out.set("started", progress.started);
  out.set("succeeded", progress.succeeded);
  out.set("failed", progress.failed);
  out.set("cancelled", progress.cancelled);
  out.set("timed_out", progress.timed_out);
  Document indices = Document::array();
  for (const std::int64_t index : progress.not_succeeded) indices.push(index);
  out.set("not_succeeded", std::move(indices));
  return out;
}

/// What it waits for and what it belongs to.
void add_relations(const Job& job, Document& out) {
  if (job.hold && !is_terminal(job.state)) {
    Document hold = Document::object();
    hold.set("by", job.hold->by);
    hold.set("since", to_rfc3339(job.hold->since));
    out.set("hold", std::move(hold));
  }
  if (!job.waits_for.empty()) {
    Document list = Document::array();
    for (const JobDependency& dependency : job.waits_for) list.push(encode(dependency));
    out.set("waits_for", std::move(list));
  }
  if (is_array(job)) out.set("array", array_view(job));
  if (job.array_parent.valid()) {
    out.set("array_parent", job.array_parent.text());
    out.set("array_index", job.array_index);
  }
  if (job.retried_from.valid()) out.set("retried_from", job.retried_from.text());
  if (job.memory_bytes) out.set("memory_raised_to", format_byte_size({*job.memory_bytes}));
}

Document links_of(const Job& job) {
  const std::string base = "/api/v1/jobs/" + job.id.text();
  Document links = Document::object();
  links.set("logs", base + "/logs");
  links.set("events", base + "/events");
  links.set("attempts", base + "/attempts");
  links.set("checkpoints", base + "/events?type=checkpoint");
  if (job.run.text.empty()) return links;
  links.set("run", "/api/v1/runs/" + job.run.text);
  links.set("history", "/api/v1/runs/" + job.run.text + "/metrics");
  return links;
}

}  // namespace

bool uses_synthetic_data(const Job& job) {
  const auto& inputs = job.resolved["inputs"].members();
  return std::any_of(inputs.begin(), inputs.end(),
                     [](const auto& input) { return input.second["properties"]["synthetic"].as_bool().value_or(false); });
}

namespace {

/// What is told in a word or a number.
void add_facts(const Job& job, Document& out) {
  out.set("id", job.id.text());
  out.set("name", job.spec.name);
  out.set("namespace", job.spec.name_space);
  out.set("kind", job.spec.kind);
  out.set("queue", job.spec.queue);
  out.set("priority", priority_of(job));
  out.set("state", name_of(job.state));
  if (job.intent != StopIntent::kNone) out.set("stop_intent", name_of(job.intent));
  out.set("reason", job.reason);
  if (job.reason_code != ReasonCode::kNone) out.set("reason_code", name_of(job.reason_code));
  out.set("held", job.hold.has_value());
  out.set("attempt", static_cast<std::int64_t>(job.attempt.number.value));
  out.set("run_id", job.run.text);
  out.set("owner", job.owner);
  out.set("submitted_at", to_rfc3339(job.submitted_at));
  if (job.started_at) out.set("started_at", to_rfc3339(*job.started_at));
  if (job.ended_at) out.set("ended_at", to_rfc3339(*job.ended_at));
}

void add_attempts(const Job& job, Document& out) {
  Document ranks = Document::array();
  for (const RankStatus& rank : job.attempt.ranks) ranks.push(rank_view(rank));
  out.set("ranks", std::move(ranks));
  Document attempts = Document::array();
  for (const EndedAttempt& attempt : job.history) attempts.push(attempt_view(attempt));
  out.set("attempts", std::move(attempts));
  out.set("retries", retries_document(job.retries));
  out.set("usage", usage_view(job.usage));
}

}  // namespace

Document attempts_view(const Job& job) {
  Document attempts = Document::array();
  for (const EndedAttempt& attempt : job.history) attempts.push(attempt_view(attempt));
  const AttemptNumber last = job.history.empty() ? AttemptNumber() : job.history.back().number;
  if (job.attempt.number > last && !is_terminal(job.state)) attempts.push(attempt_view(job.attempt));
  return attempts;
}

Document job_view(const Job& job) {
  Document out = Document::object();
  add_facts(job, out);
  add_relations(job, out);
  add_attempts(job, out);
  add_observations(job, out);
  if (uses_synthetic_data(job)) out.set("synthetic", true);
  out.set("spec", encode(job.spec));
  out.set("links", links_of(job));
  return out;
}

Document job_view(const Job& job, const std::set<std::string>& members) {
  // The parts that cost most are made only when they are wanted.
  const auto wanted = [&members](std::initializer_list<const char*> names) {
    return std::any_of(names.begin(), names.end(), [&members](const char* name) { return members.contains(name); });
  };
  Document all = Document::object();
  add_facts(job, all);
  add_relations(job, all);
  if (wanted({"ranks", "attempts", "retries", "usage"})) add_attempts(job, all);
  add_observations(job, all);
  if (wanted({"synthetic"}) && uses_synthetic_data(job)) all.set("synthetic", true);
  if (wanted({"spec"})) all.set("spec", encode(job.spec));
  if (wanted({"links"})) all.set("links", links_of(job));
  Document out = Document::object();
  for (const auto& [key, value] : all.members()) {
    if (members.contains(key)) out.append_member(key, value);
  }
  return out;
}

}  // namespace trainyard::jobs
