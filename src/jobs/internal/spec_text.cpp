#include "jobs/internal/spec_text.h"

#include <fmt/format.h>

namespace trainyard::jobs::internal {
namespace {

/// What differs from `defaults` only.
template <typename T>
void write_changed(std::string_view key, const T& value, const T& by_default, JsonText& out) {
  if (value == by_default) return;
  if constexpr (std::is_same_v<T, Duration>) {
    out.member(key, format_duration(value));
  } else if constexpr (std::is_same_v<T, ByteSize>) {
    out.member(key, value.bytes);
  } else if constexpr (std::is_same_v<T, MilliCpu>) {
    out.member(key, fmt::format("{}m", value.milli));
  } else {
    out.member(key, value);
  }
}

void write_map(std::string_view key, const std::map<std::string, std::string>& map, JsonText& out) {
  if (map.empty()) return;
  out.begin_object(key);
  for (const auto& [name, value] : map) out.member_of_others(name, value);
  out.end_object();
}

/// An object that is left out when nothing stands in it.
template <typename Write>
void write_group(std::string_view key, JsonText& out, Write write) {
  const JsonText::Mark before = out.mark();
  out.begin_object(key);
  const std::size_t empty = out.mark().length;
  write();
  if (out.mark().length == empty) return out.rewind(before);
  out.end_object();
}

void write_resources(const ResourceRequest& resources, const ResourceRequest& defaults, JsonText& out) {
  write_group("resources", out, [&] {
    write_changed("cpu", resources.cpu, defaults.cpu, out);
    write_changed("memory", resources.memory, defaults.memory, out);
    write_changed("gpu", resources.gpu, defaults.gpu, out);
  });
}

void write_limits(const JobLimits& limits, const JobLimits& defaults, JsonText& out) {
  write_group("limits", out, [&] {
    write_changed("queue", limits.queue, defaults.queue, out);
    write_changed("total", limits.total, defaults.total, out);
    write_changed("attempt", limits.attempt, defaults.attempt, out);
    write_changed("step", limits.step, defaults.step, out);
    write_changed("no_progress", limits.no_progress, defaults.no_progress, out);
    write_changed("grace", limits.grace, defaults.grace, out);
  });
}

void write_retry(const RetryBudgets& retry, const RetryBudgets& defaults, JsonText& out) {
  write_group("retry", out, [&] {
    write_changed("user", retry.user, defaults.user, out);
    write_changed("oom", retry.oom, defaults.oom, out);
    write_changed("node_lost", retry.node_lost, defaults.node_lost, out);
    write_changed("infrastructure", retry.infrastructure, defaults.infrastructure, out);
    write_changed("backoff_base", retry.backoff_base, defaults.backoff_base, out);
    write_changed("backoff_cap", retry.backoff_cap, defaults.backoff_cap, out);
    write_changed("memory_factor", retry.memory_factor, defaults.memory_factor, out);
    write_changed("memory_max", retry.memory_max, defaults.memory_max, out);
  });
}

void write_shape(const JobSpec& spec, JsonText& out) {
  if (!spec.command.empty()) {
    out.begin_array("command");
    for (const std::string& argument : spec.command) out.item(argument);
    out.end_array();
  }
  if (!spec.after.empty()) write_dependencies("after", spec.after, out);
  if (!spec.array) return;
  out.begin_object("array");
  out.member("count", spec.array->count);
  out.member("max_running", spec.array->max_running);
  out.end_object();
}

}  // namespace

void write_dependencies(std::string_view key, const std::vector<JobDependency>& dependencies, JsonText& out) {
  out.begin_array(key);
  for (const JobDependency& dependency : dependencies) {
    out.begin_object();
    out.member("job", dependency.job);
    out.member("when", dependency.when);
    out.end_object();
  }
  out.end_array();
}

void write_spec(std::string_view key, const JobSpec& spec, JsonText& out) {
  static const JobSpec kDefaults;
  out.begin_object(key);
  write_changed("kind", spec.kind, kDefaults.kind, out);
  write_changed("name", spec.name, kDefaults.name, out);
  write_changed("namespace", spec.name_space, kDefaults.name_space, out);
  write_changed("class", spec.job_class, kDefaults.job_class, out);
  write_changed("tasks", spec.tasks, kDefaults.tasks, out);
  write_changed("queue", spec.queue, kDefaults.queue, out);
  write_changed("priority", spec.priority, kDefaults.priority, out);
  write_changed("hold", spec.hold, kDefaults.hold, out);
  write_changed("preemptible", spec.preemptible, kDefaults.preemptible, out);
  write_shape(spec, out);
  write_resources(spec.resources, kDefaults.resources, out);
  write_map("env", spec.env, out);
  write_map("inputs", spec.inputs, out);
  write_map("outputs", spec.outputs, out);
  if (!spec.config.is_null()) out.member("config", spec.config);
  write_limits(spec.limits, kDefaults.limits, out);
  write_retry(spec.retry, kDefaults.retry, out);
  write_changed("checkpoint_every", spec.checkpoint_every, kDefaults.checkpoint_every, out);
  write_map("labels", spec.labels, out);
  out.end_object();
}

}  // namespace trainyard::jobs::internal
