#include "domain/job_spec.h"

#include <fmt/format.h>

#include <algorithm>

namespace trainyard {

void JobLimits::describe(FieldVisitor& fields) {
  fields.field("queue", queue, "Longest wait for the first start; 0s = none.");
  fields.field("total", total, "Longest time from the first start over all attempts; 0s = none.");
  fields.field("attempt", attempt, "Longest time of one attempt; 0s = none.");
  fields.field("no_progress", no_progress, "Longest silence on the event channel; 0s = none.");
  fields.field("grace", grace, "Time between the stop request (SIGTERM) and the kill.");
}

void RetryBudgets::describe(FieldVisitor& fields) {
  fields.field("user", user, {.min = 0, .max = 1000}, "Restarts after the program itself failed.");
  fields.field("oom", oom, {.min = 0, .max = 1000}, "Restarts after it ran out of memory.");
  fields.field("node_lost", node_lost, {.min = 0, .max = 1000}, "Restarts after its node or warden was lost.");
  fields.field("infrastructure", infrastructure, {.min = 0, .max = 1000}, "Restarts after a failed launch or a kill from outside.");
  fields.field("backoff_base", backoff_base, "Upper bound of the first wait before a restart.");
  fields.field("backoff_cap", backoff_cap, "Upper bound of every wait before a restart.");
}

void JobSpec::describe(FieldVisitor& fields) {
  fields.field("kind", kind, "Kind of work: command, ingest, curate, train, serve, predict.");
  fields.field("name", name, "A name for people.");
  fields.choice("class", job_class, {"batch", "service"}, "batch ends by itself; service runs until it is stopped.");
  fields.field("command", command, "Program and arguments; for kind command.");
  fields.field("tasks", tasks, {.min = 1, .max = 4096}, "Ranks of the gang, started all or nothing.");
  fields.field("queue", queue, "Queue that it waits in.");
  fields.field("priority", priority, {.min = -1'000'000, .max = 1'000'000}, "Higher comes first within its queue; waiting adds to it.");
  fields.field("preemptible", preemptible, "Whether it may be asked to give its room to others and go on later.");
  fields.field("resources", resources, "What one task needs.");
  fields.field("env", env, "Environment variables.");
  fields.field("inputs", inputs, "Dataset references by the name the program knows them by.");
  fields.field("outputs", outputs, "Dataset layers that the job publishes.");
  fields.field("config", config, "Configuration of the kind.");
  fields.field("limits", limits, "Time limits.");
  fields.field("retry", retry, "Restart budgets by cause.");
  fields.field("checkpoint_every", checkpoint_every, "Time between checkpoints.");
  fields.field("labels", labels, "Labels for selections.");
}

namespace {

/// A config travels inside other documents (ledger, launch, spec file) and must stay within their depth.
constexpr std::size_t kConfigDepthMax = 32;

std::size_t depth_of(const Document& document) {
  std::size_t deepest = 0;
  for (const Document& item : document.items()) deepest = std::max(deepest, depth_of(item));
  for (const auto& [key, value] : document.members()) deepest = std::max(deepest, depth_of(value));
  return deepest + (document.is_array() || document.is_object() ? 1 : 0);
}

constexpr std::size_t kNameBytesMax = 256;

/// What the shape of the document cannot say: texts that no process could be started with, names that no table could show.
Result<void> check_texts(const JobSpec& spec, const Document& document) {
  const auto has_nul = [](const std::string& text) { return text.find('\0') != std::string::npos; };
  if (spec.name.size() > kNameBytesMax) {
    return invalid_argument("spec.name", fmt::format("a name has at most {} bytes; put what is longer into a label", kNameBytesMax),
                            document["name"].where());
  }
  if (std::any_of(spec.command.begin(), spec.command.end(), has_nul)) {
    return invalid_argument("spec.command", "an argument of the command holds a NUL byte", document["command"].where());
  }
  for (const auto& [name, value] : spec.env) {
    if (!name.empty() && name.find('=') == std::string::npos && !has_nul(name) && !has_nul(value)) continue;
    return invalid_argument("spec.env", fmt::format("an environment variable has a name without '=' and no NUL byte: \"{}\"", name),
                            document["env"].where());
  }
  return {};
}

}  // namespace

Result<JobSpec> job_spec_from(const Document& document) {
  if (!document.is_object()) {
    return invalid_argument("spec.type", fmt::format("a job spec is an object, found {}", name_of(document.kind())), document.where());
  }
  ASSIGN_OR_RETURN(JobSpec spec, decode<JobSpec>(document));
  if (spec.kind == "command" && spec.command.empty()) {
    const Document* command = document.find("command");
    return invalid_argument("spec.command", "a command job needs a command, like [\"echo\", \"hello\"]",
                            command != nullptr ? command->where() : document.where());
  }
  TRY(check_texts(spec, document));
  if (depth_of(spec.config) > kConfigDepthMax) {
    return invalid_argument("document.too_deep", fmt::format("config is nested deeper than {} levels", kConfigDepthMax),
                            document["config"].where());
  }
  if (spec.name.empty()) spec.name = spec.kind == "command" ? spec.command.front().substr(0, kNameBytesMax) : spec.kind;
  return spec;
}

}  // namespace trainyard
