#include "domain/job_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/advice.h"

namespace trainyard {

void JobLimits::describe(FieldVisitor& fields) {
  fields.field("queue", queue, "Longest wait for the first start; 0s = none.");
  fields.field("total", total, "Longest time from the first start over all attempts; 0s = none.");
  fields.field("attempt", attempt, "Longest time of one attempt; 0s = none.");
  fields.field("step", step, "Longest time between two events that show more done or a later step of a metric; 0s = none.");
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
  fields.field("memory_factor", memory_factor, {.min = 1, .max = 64},
               "After the first end for want of memory the request is this many times as large; 1 = it stays.");
  fields.field("memory_max", memory_max, "Bound of the raised memory request of a task; 0 = none but what the nodes have.");
}

void JobDependency::describe(FieldVisitor& fields) {
  fields.field("job", job, {.min = 1, .max = 9e15}, "Id of the job that is waited for.");
  fields.required();
  fields.choice("when", when, {"ok", "any", "failed"}, "ok: it succeeded; failed: it ended in any other way; any: it ended.");
}

void JobArray::describe(FieldVisitor& fields) {
  fields.field("count", count, Range{.min = 1, .max = static_cast<double>(kArrayElementsMax)}, "Number of elements.");
  fields.required();
  fields.field("max_running", max_running, {.min = 0, .max = static_cast<double>(kArrayElementsMax)},
               "Elements that may be live at the same time; 0 = no limit.");
}

void JobSpec::describe(FieldVisitor& fields) {
  fields.field("kind", kind, "Kind of work: command, ingest, curate, train, serve, predict.");
  fields.field("name", name, "A name for people.");
  fields.field("namespace", name_space, "Whose it is: lower-case letters, digits and '-', at most 63.");
  fields.choice("class", job_class, {"batch", "service"}, "batch ends by itself; service runs until it is stopped.");
  fields.field("command", command, "Program and arguments; for kind command.");
  fields.field("tasks", tasks, {.min = 1, .max = 4096}, "Ranks of the gang, started all or nothing.");
  fields.field("queue", queue, "Queue that it waits in.");
  fields.field("priority", priority, {.min = -static_cast<double>(kPriorityMax), .max = static_cast<double>(kPriorityMax)},
               "Higher comes first within its queue; waiting adds to it.");
  fields.field("hold", hold, "Whether it waits until it is released.");
  fields.field("after", after, "Jobs that must have ended before it starts; also written \"12\" or \"12:any\".");
  fields.field("array", array, "Many jobs out of one spec, told apart by TRAINYARD_ARRAY_INDEX; also written \"0-1999%64\".");
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

/// Of a task, in bytes: less is a unit that was forgotten.
constexpr std::int64_t kMemoryMin = std::int64_t{64} << 10;
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
    return invalid_argument("spec.command", "an argument of the command holds a NUL byte, which no program can be given; remove it",
                            document["command"].where());
  }
  for (const auto& [name, value] : spec.env) {
    if (!name.empty() && name.find('=') == std::string::npos && !has_nul(name) && !has_nul(value)) continue;
    return invalid_argument("spec.env",
                            fmt::format("an environment variable has a name without '=' and no NUL byte; change it: \"{}\"", name),
                            document["env"].where());
  }
  for (const auto& [name, value] : spec.labels) {
    if (!name.empty() && name.find('=') == std::string::npos && !has_nul(name) && !has_nul(value)) continue;
    return invalid_argument("spec.labels", fmt::format("a label has a name, without '=' and NUL bytes; change it: \"{}\"", name),
                            document["labels"].where());
  }
  return {};
}

/// The whole of `text` as a number.
std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// "12" or "12:any" as the object it stands for.
Result<Document> dependency_from_text(const Document& item) {
  const std::string_view text = item.text();
  const std::size_t colon = text.find(':');
  const std::optional<std::int64_t> job = whole_number(text.substr(0, colon));
  const std::string_view when = colon == std::string_view::npos ? "ok" : text.substr(colon + 1);
  if (!job || *job < 1 || (when != "ok" && when != "any" && when != "failed")) {
    return invalid_argument("spec.after",
                            fmt::format("a dependency is a job id with a condition, like 12, \"12:any\" or \"12:failed\": \"{}\"", text),
                            item.where());
  }
  Document object = Document::object();
  object.set("job", *job).set_where(item.where());
  object.set("when", when);
  object.set_where(item.where());
  return object;
}

/// "0-1999%64" as the object it stands for.
Result<Document> array_from_text(const Document& node) {
  const std::string_view text = node.text();
  const std::size_t percent = std::min(text.find('%'), text.size());
  const std::size_t dash = std::min(text.find('-'), percent);
  const std::optional<std::int64_t> first = whole_number(text.substr(0, dash));
  const std::optional<std::int64_t> last = dash == percent ? first : whole_number(text.substr(dash + 1, percent - dash - 1));
  const std::optional<std::int64_t> limit = percent == text.size() ? 0 : whole_number(text.substr(percent + 1));
  if (first && *first != 0) {
    return invalid_argument("spec.array", fmt::format("indices of an array start at 0: write \"0-N\" and add in the program: \"{}\"", text),
                            node.where());
  }
  if (!first || !last || !limit || *last < 0 || *last >= kArrayElementsMax || *limit < 0 || *limit > kArrayElementsMax) {
    return invalid_argument(
        "spec.array",
        fmt::format("an array is written like \"0-1999\" or \"0-1999%64\", with at most {} elements: \"{}\"", kArrayElementsMax, text),
        node.where());
  }
  Document object = Document::object();
  object.set("count", *last + 1);
  object.set("max_running", *limit);
  object.set_where(node.where());
  return object;
}

/// Answers of the API write job ids as texts.
Document with_job_as_number(const Document& dependency) {
  const Document* const job = dependency.find("job");
  const std::optional<std::int64_t> id = job != nullptr && job->is_string() ? whole_number(job->text()) : std::nullopt;
  if (!id) return dependency;
  Document full = dependency;
  full.set("job", *id).set_where(job->where());
  return full;
}

/// The document with the short forms of `after` and `array` written out.
Result<Document> without_short_forms(const Document& document) {
  Document full = document;
  if (document["after"].is_array()) {
    Document list = Document::array();
    list.set_where(document["after"].where());
    for (const Document& item : document["after"].items()) {
      const bool number = item.is_number();
      Document text = number ? Document(to_json(item)) : item;
      text.set_where(item.where());
      if (!text.is_string()) {
        list.push(with_job_as_number(item));
        continue;
      }
      ASSIGN_OR_RETURN(Document object, dependency_from_text(text));
      list.push(std::move(object));
    }
    full.set("after", std::move(list));
  }
  if (document["array"].is_string()) {
    ASSIGN_OR_RETURN(Document object, array_from_text(document["array"]));
    full.set("array", std::move(object));
  }
  return full;
}

bool is_namespace_name(std::string_view text) {
  constexpr std::size_t kBytesMax = 63;
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (text.empty() || text.size() > kBytesMax || !plain(text.front()) || !plain(text.back())) return false;
  return std::all_of(text.begin(), text.end(), [&plain](char c) { return plain(c) || c == '-'; });
}

/// "; write X" when a namespace may be called like the text, written otherwise.
std::string namespace_instead(std::string_view text) {
  std::string plain;
  for (const char c : text) plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c == '_' || c == ' ' ? '-' : c;
  return write_instead(is_namespace_name(plain) ? fmt::format("\"{}\"", plain) : std::string());
}

/// What says where and when the job may run.
Result<void> check_placing(const JobSpec& spec, const Document& document) {
  if (!is_namespace_name(spec.name_space)) {
    return invalid_argument("spec.namespace",
                            fmt::format("a namespace has at most 63 lower-case letters, digits and '-', and begins and ends with a letter "
                                        "or digit, not \"{}\"{}",
                                        spec.name_space, namespace_instead(spec.name_space)),
                            document["namespace"].where());
  }
  if (spec.after.size() > kDependenciesMax) {
    return invalid_argument("spec.after",
                            fmt::format("a job waits for at most {} others: wait for one that waits for them", kDependenciesMax),
                            document["after"].where());
  }
  std::set<std::int64_t> seen;
  for (std::size_t i = 0; i < spec.after.size(); ++i) {
    if (seen.insert(spec.after[i].job).second) continue;
    return invalid_argument("spec.after", fmt::format("a job is waited for twice, name it once: {}", spec.after[i].job),
                            document["after"].items()[i].where());
  }
  if (spec.array && spec.job_class == "service") {
    return invalid_argument("spec.array", "a service is no array: its elements would never end; submit several services",
                            document["array"].where());
  }
  const std::int64_t memory = spec.resources.memory.bytes;
  if (memory > 0 && memory < kMemoryMin) {
    return invalid_argument("spec.memory_small",
                            fmt::format("no program runs in so little memory; a number without a unit counts bytes: write \"{0}GiB\" or "
                                        "\"{0}MiB\" if that is meant, or leave it out: {0} bytes",
                                        memory),
                            document["resources"]["memory"].where());
  }
  const bool bounded = spec.retry.memory_max.bytes > 0;
  if (bounded && spec.retry.memory_max.bytes < spec.resources.memory.bytes) {
    return invalid_argument(
        "spec.memory_max",
        fmt::format("the bound of a raised memory request lies below the request itself; raise it or leave it out: {} < {}",
                    format_byte_size(spec.retry.memory_max), format_byte_size(spec.resources.memory)),
        document["retry"]["memory_max"].where());
  }
  return {};
}

}  // namespace

Result<JobSpec> job_spec_from(const Document& source) {
  if (!source.is_object()) {
    return invalid_argument("spec.type",
                            fmt::format("a job spec is an object, found {}; write at least a command, like {{\"command\": [\"echo\", "
                                        "\"hello\"]}}",
                                        shown_value(source)),
                            source.where());
  }
  std::optional<Document> full;
  if (!source["after"].is_null() || !source["array"].is_null()) {
    ASSIGN_OR_RETURN(full, without_short_forms(source));
  }
  const Document& document = full ? *full : source;
  ASSIGN_OR_RETURN(JobSpec spec, decode<JobSpec>(document, {.numbers_as_text = false}));
  if (spec.kind == "command" && spec.command.empty()) {
    const Document* command = document.find("command");
    return invalid_argument("spec.command", "a command job needs a command, like [\"echo\", \"hello\"]",
                            command != nullptr         ? command->where()
                            : document.where().empty() ? "/command"  // The root of JSON has no name of its own.
                                                       : document.where());
  }
  TRY(check_texts(spec, document));
  TRY(check_placing(spec, document));
  if (depth_of(spec.config) > kConfigDepthMax) {
    return invalid_argument("document.too_deep", fmt::format("config is nested deeper than {} levels; make it flatter", kConfigDepthMax),
                            document["config"].where());
  }
  if (spec.name.empty()) spec.name = spec.kind == "command" ? spec.command.front().substr(0, kNameBytesMax) : spec.kind;
  return spec;
}

}  // namespace trainyard
