#include "apps/cli/resources.h"

#include <fmt/format.h>

#include <cmath>

#include "base/describe.h"

namespace trainyard::apps {
namespace {

std::string number_text(const Document& value) {
  const Result<double> number = value.as_double();
  if (!number.ok()) return value.is_null() ? "-" : cell("", value);
  return std::abs(*number) < 1000 ? fmt::format("{:.4g}", *number) : fmt::format("{:.0f}", *number);
}

/// A memory size, which may be a number of bytes or a text as "16384MiB".
std::string memory_text(const Document& value) {
  if (value.is_null()) return "-";
  const Result<ByteSize> size = value.is_string() ? parse_byte_size(value.text()) : Result<ByteSize>(ByteSize{value.as_int().value_or(0)});
  if (!size.ok()) return cell("", value);
  const double mib = static_cast<double>(size->bytes) / (1 << 20);
  return mib >= 1024 ? fmt::format("{:.1f}GiB", mib / 1024) : fmt::format("{:.0f}MiB", mib);
}

std::string held_or_state(const Document& job) {
  const bool held = job["held"].as_bool().value_or(false);
  return job["state"].text() + (held ? " (held)" : "");
}

std::string job_id(const Document& job) {
  const Document& index = job["array_index"];
  if (job["array_parent"].is_null() || index.is_null()) return job["id"].text();
  return fmt::format("{} ({}[{}])", job["id"].text(), cell("", job["array_parent"]), to_json(index));
}

std::string job_progress(const Document& job) {
  const Document& array = job["array"];
  if (array["count"].is_number()) {
    return fmt::format("{}/{}", array["succeeded"].as_int().value_or(0) + array["failed"].as_int().value_or(0),
                       array["count"].as_int().value_or(0));
  }
  const double done = job["progress"]["done"].as_double().value_or(0);
  const double total = job["progress"]["total"].as_double().value_or(0);
  return total > 0 ? fmt::format("{:.0f}%", 100 * done / total) : "-";
}

std::string node_state(const Document& node) {
  if (const std::string& state = node["state"].text(); !state.empty()) return state;
  return node["ready"].as_bool().value_or(false) ? "ready" : "down";
}

std::string node_cpu(const Document& node) { return used_of(node["used"]["cpu"], node["cpu"]); }
std::string node_memory(const Document& node) {
  const std::string used = memory_text(node["used"]["memory"]);
  return used == "-" ? memory_text(node["memory"]) : used + "/" + memory_text(node["memory"]);
}
std::string node_gpus(const Document& node) {
  const Document& gpus = node["gpus"];
  if (const Document* count = node.find("gpu")) return used_of(node["used"]["gpu"], *count);
  if (!gpus.is_array()) return "-";
  return used_of(node["used"]["gpu"], Document(static_cast<std::int64_t>(gpus.items().size())));
}

std::string queue_state(const Document& queue) {
  if (const std::string& state = queue["state"].text(); !state.empty()) return state;
  return queue["stopped"].as_bool().value_or(false) ? "stopped" : "open";
}
std::string queue_share(const Document& queue) {
  const Result<double> share = queue["share"].as_double();
  return share.ok() ? fmt::format("{:.0f}%", 100 * *share) : "-";
}

/// Seconds as hours, the unit that usage is talked about in.
std::string hours(const Document& seconds) {
  const Result<double> value = seconds.as_double();
  return value.ok() ? fmt::format("{:.2f}", *value / 3600) : "-";
}
std::string cpu_hours(const Document& item) { return hours(item["cpu_seconds"]); }
std::string gpu_hours(const Document& item) { return hours(item["gpu_seconds"]); }
std::string memory_hours(const Document& item) { return hours(item["memory_gib_seconds"]); }

std::string user_grants(const Document& user) {
  std::string text = user["disabled"].as_bool().value_or(false) ? "(disabled)" : "";
  for (const Document& grant : user["grants"].items()) {
    const std::string& where = grant["namespace"].text();
    text += fmt::format("{}{}:{}", text.empty() ? "" : ", ", where.empty() ? "*" : where, grant["role"].text());
  }
  return text.empty() ? cell("role", user["role"]) : text;
}

std::string event_values(const Document& event) {
  std::string text;
  for (const auto& [key, value] : event["values"].members()) text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, cell("", value));
  return text;
}

}  // namespace

std::string used_of(const Document& used, const Document& total) {
  return used.is_null() ? number_text(total) : number_text(used) + "/" + number_text(total);
}

const ResourceView& jobs_view() {
  static const ResourceView view{"job",
                                 "jobs",
                                 "id",
                                 {{"ID", "id", job_id},
                                  {"NAME", "name"},
                                  {"KIND", "kind"},
                                  {.title = "STATE", .key = "state", .show = held_or_state, .state = true},
                                  {"ATTEMPT", "attempt"},
                                  {"PROGRESS", "progress", job_progress},
                                  {"SUBMITTED", "submitted_at"},
                                  {.title = "QUEUE", .key = "queue", .wide = true},
                                  {.title = "PRIORITY", .key = "priority", .wide = true},
                                  {.title = "OWNER", .key = "owner", .wide = true},
                                  {.title = "NAMESPACE", .key = "namespace", .wide = true},
                                  {.title = "STARTED", .key = "started_at", .wide = true},
                                  {.title = "ENDED", .key = "ended_at", .wide = true},
                                  {.title = "EXIT", .key = "exit_code", .wide = true},
                                  {"REASON", "reason"}}};
  return view;
}

const ResourceView& attempts_view() {
  static const ResourceView view{"attempt",
                                 "attempts",
                                 "number",
                                 {{"ATTEMPT", "number"},
                                  {"NODES", "nodes"},
                                  {"LAUNCHED", "launched_at"},
                                  {"STARTED", "started_at"},
                                  {"ENDED", "ended_at"},
                                  {"EXIT", "exit_code"},
                                  {"CAUSE", "cause"},
                                  {.title = "CODE", .key = "reason_code", .wide = true}}};
  return view;
}

const ResourceView& events_view() {
  static const ResourceView view{"event",
                                 "events",
                                 "number",
                                 {{"NUMBER", "number"},
                                  {"WHEN", "time"},
                                  {"TYPE", "type"},
                                  {.title = "JOB", .key = "job", .wide = true},
                                  {"VALUES", "values", event_values}}};
  return view;
}

const ResourceView& workflows_view() {
  static const ResourceView view{
      "workflow",
      "workflows",
      "id",
      {{"ID", "id"}, {"WORKFLOW", "workflow"}, {.title = "STATE", .key = "state", .state = true}, {"CREATED", "created_at"}}};
  return view;
}

const ResourceView& queues_view() {
  static const ResourceView view{"queue",
                                 "queues",
                                 "name",
                                 {{"NAME", "name"},
                                  {.title = "STATE", .key = "stopped", .show = queue_state, .state = true},
                                  {"PENDING", "pending"},
                                  {"RUNNING", "running"},
                                  {"SHARE", "share", queue_share},
                                  {"USED", "used"},
                                  {"QUOTA", "quota"},
                                  {.title = "LIMITS", .key = "limits", .wide = true},
                                  {"REASON", "reason"}}};
  return view;
}

const ResourceView& nodes_view() {
  static const ResourceView view{"node",
                                 "nodes",
                                 "name",
                                 {{"NAME", "name"},
                                  {.title = "STATE", .key = "state", .show = node_state, .state = true},
                                  {"POOL", "pool"},
                                  {"CPU", "cpu", node_cpu},
                                  {"MEMORY", "memory", node_memory},
                                  {"GPU", "gpus", node_gpus},
                                  {"RANKS", "ranks"},
                                  {"SEEN", "last_seen"},
                                  {.title = "LABELS", .key = "labels", .wide = true},
                                  {.title = "VERSION", .key = "agent_version", .wide = true},
                                  {.title = "REASON", .key = "reason", .wide = true}}};
  return view;
}

const ResourceView& pools_view() {
  static const ResourceView view{"pool",
                                 "pools",
                                 "name",
                                 {{"NAME", "name"},
                                  {"BACKEND", "backend"},
                                  {"NODES", "nodes"},
                                  {"READY", "ready"},
                                  {"CPU", "cpu", node_cpu},
                                  {"MEMORY", "memory", node_memory},
                                  {"GPU", "gpu"}}};
  return view;
}

const ResourceView& usage_view() {
  static const ResourceView view{"usage",
                                 "usage",
                                 "key",
                                 {{"KEY", "key"},
                                  {"JOBS", "jobs"},
                                  {"CPU-HOURS", "cpu_seconds", cpu_hours},
                                  {"GPU-HOURS", "gpu_seconds", gpu_hours},
                                  {"GIB-HOURS", "memory_gib_seconds", memory_hours}}};
  return view;
}

const ResourceView& users_view() {
  static const ResourceView view{"user", "users", "name", {{"NAME", "name"}, {"GRANTS", "grants", user_grants}, {"CREATED", "created_at"}}};
  return view;
}

const ResourceView& tokens_view() {
  static const ResourceView view{"token",
                                 "tokens",
                                 "id",
                                 {{"ID", "id"},
                                  {"NAME", "name"},
                                  {"USER", "user"},
                                  {"ROLE", "role"},
                                  {"NAMESPACE", "namespace"},
                                  {"CREATED", "created_at"},
                                  {.title = "EXPIRES", .key = "expires_at", .show = [](const Document& token) {
                                     const std::string& time = token["expires_at"].text();
                                     return time.empty() ? std::string("-") : time.substr(0, 10);
                                   }}}};
  return view;
}

const ResourceView& runs_view() {
  static const ResourceView view{
      "run",
      "runs",
      "id",
      {{"ID", "id"}, {"NAME", "name"}, {.title = "STATUS", .key = "status", .state = true}, {"STARTED", "started_at"}}};
  return view;
}

const ResourceView& models_view() {
  static const ResourceView view{
      "model", "models", "name", {{"NAME", "name"}, {"LATEST VERSION", "latest_version"}, {"ALIASES", "aliases"}}};
  return view;
}

const ResourceView& datasets_view() {
  static const ResourceView view{"dataset", "datasets", "name", {{"NAME", "name"}, {"LAYERS", "layers"}, {"CREATED", "created_at"}}};
  return view;
}

std::vector<const ResourceView*> all_views() {
  return {&jobs_view(),  &attempts_view(), &events_view(), &workflows_view(), &queues_view(), &nodes_view(),   &pools_view(),
          &usage_view(), &users_view(),    &tokens_view(), &runs_view(),      &models_view(), &datasets_view()};
}

}  // namespace trainyard::apps
