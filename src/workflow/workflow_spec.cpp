#include "workflow/workflow_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>

#include "base/describe.h"

namespace trainyard::workflow {
namespace {

constexpr std::string_view kPrefix = "tasks.";

/// Calls `visit` with the inside of every ${...} of a text.
void for_each_reference(std::string_view text, const std::function<void(std::string_view)>& visit) {
  for (std::size_t at = text.find("${"); at != std::string_view::npos; at = text.find("${", at + 2)) {
    const std::size_t end = text.find('}', at);
    if (end == std::string_view::npos) return;
    visit(text.substr(at + 2, end - at - 2));
  }
}

std::string_view task_of_reference(std::string_view reference) {
  if (reference.substr(0, kPrefix.size()) != kPrefix) return {};
  reference.remove_prefix(kPrefix.size());
  return reference.substr(0, reference.find('.'));
}

void collect_references(const Document& body, std::vector<std::string>& tasks) {
  for_each_reference(body.text(), [&tasks](std::string_view reference) { tasks.emplace_back(task_of_reference(reference)); });
  for (const Document& item : body.items()) collect_references(item, tasks);
  for (const auto& [key, value] : body.members()) collect_references(value, tasks);
}

Error unknown_task(std::string_view name, const std::vector<std::string>& known, const std::string& where) {
  const std::optional<std::string> match = nearest(name, known);
  return invalid_argument("workflow.unknown_task",
                          fmt::format("no task is called \"{}\"{}; tasks: {}", name,
                                      match ? fmt::format("; did you mean \"{}\"?", *match) : "", fmt::join(known, ", ")),
                          where);
}

/// Names stand in references, which dots divide, and in the keys of effects, which slashes divide.
bool is_task_name(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  return !name.empty() && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

Result<TaskSpec> task_from(const std::string& name, const Document& node, const std::vector<std::string>& kinds) {
  if (!is_task_name(name)) {
    return invalid_argument("workflow.task_name",
                            fmt::format("a task name consists of letters, digits, '-' and '_'; rename the task \"{}\"", name),
                            node.where());
  }
  if (!node.is_object()) return invalid_argument("spec.type", fmt::format("task \"{}\" must be an object", name), node.where());
  TaskSpec task{name, {}, {}, {}};
  for (const auto& [key, value] : node.members()) {
    if (key == "after") {
      if (value.is_string()) {
        task.after.push_back(value.text());
        continue;
      }
      if (!value.is_array()) return invalid_argument("spec.type", "after must be a task name or a list of them", value.where());
      for (const Document& item : value.items()) {
        ASSIGN_OR_RETURN(std::string upstream, item.as_string());
        task.after.push_back(std::move(upstream));
      }
    } else if (std::find(kinds.begin(), kinds.end(), key) == kinds.end()) {
      const std::optional<std::string> match = nearest(key, kinds);
      return invalid_argument("workflow.kind",
                              fmt::format("task \"{}\": unknown kind \"{}\"{}; known kinds: {}", name, key,
                                          match ? fmt::format("; did you mean \"{}\"?", *match) : "", fmt::join(kinds, ", ")),
                              value.where());
    } else if (!task.kind.empty()) {
      return invalid_argument("workflow.kind", fmt::format("task \"{}\" has two kinds, {} and {}", name, task.kind, key), value.where());
    } else {
      task.kind = key;
      task.body = value;
    }
  }
  if (task.kind.empty()) {
    return invalid_argument("workflow.kind", fmt::format("task \"{}\" does nothing: give it one of {}", name, fmt::join(kinds, ", ")),
                            node.where());
  }
  return task;
}

/// Finds a cycle by depth-first search and writes it as "a -> b -> a".
class CycleFinder {
 public:
  explicit CycleFinder(const WorkflowSpec& spec) : spec_(spec) {}

  std::optional<std::string> find() {
    for (const TaskSpec& task : spec_.tasks) {
      if (visit(task)) return fmt::format("{}", fmt::join(path_, " -> "));
    }
    return std::nullopt;
  }

 private:
  enum class Mark { kNew, kOpen, kDone };

  bool visit(const TaskSpec& task) {
    Mark& mark = marks_[task.name];
    if (mark == Mark::kDone) return false;
    path_.push_back(task.name);
    if (mark == Mark::kOpen) {
      path_.erase(path_.begin(), std::find(path_.begin(), path_.end(), task.name));
      return true;
    }
    mark = Mark::kOpen;
    for (const std::string& upstream : task.after) {
      if (visit(*spec_.find(upstream))) return true;
    }
    marks_[task.name] = Mark::kDone;
    path_.pop_back();
    return false;
  }

  const WorkflowSpec& spec_;
  std::map<std::string, Mark> marks_;
  std::vector<std::string> path_;
};

Error bad_reference(std::string_view reference, const std::string& why, const Document& node) {
  return invalid_argument("workflow.reference", fmt::format("${{{}}}: {}", reference, why), node.where());
}

/// Where a task names this upstream in `after`, else where the task stands.
const std::string& where_named(const Document& task, const std::string& upstream) {
  const Document& after = task["after"];
  if (after.is_string()) return after.where();
  for (const Document& item : after.items()) {
    if (item.text() == upstream) return item.where();
  }
  return task.where();
}

/// Every reference names a task of this workflow, and is complete.
Result<void> check_references(const Document& body, const std::vector<std::string>& names) {
  const std::string_view text = body.text();
  for (std::size_t at = text.find("${"); at != std::string_view::npos; at = text.find("${", at + 2)) {
    const std::size_t end = text.find('}', at);
    if (end == std::string_view::npos) return bad_reference(text.substr(at + 2), "the closing brace is missing", body);
    const std::string_view reference = text.substr(at + 2, end - at - 2);
    const std::string_view task = task_of_reference(reference);
    if (task.empty()) return bad_reference(reference, "a reference starts with tasks.NAME", body);
    if (std::find(names.begin(), names.end(), task) == names.end()) return unknown_task(task, names, body.where());
  }
  for (const Document& item : body.items()) TRY(check_references(item, names));
  for (const auto& [key, value] : body.members()) TRY(check_references(value, names));
  return {};
}

Result<void> check_graph(WorkflowSpec& spec) {
  std::vector<std::string> names;
  for (const TaskSpec& task : spec.tasks) names.push_back(task.name);
  for (TaskSpec& task : spec.tasks) {
    TRY(check_references(task.body, names));
    for (std::string& reference : referenced_tasks(task.body)) task.after.push_back(std::move(reference));
    std::sort(task.after.begin(), task.after.end());
    task.after.erase(std::unique(task.after.begin(), task.after.end()), task.after.end());
    for (const std::string& upstream : task.after) {
      if (spec.find(upstream) == nullptr) {
        return unknown_task(upstream, names, where_named(spec.source["tasks"][task.name], upstream));
      }
    }
  }
  if (const std::optional<std::string> cycle = CycleFinder(spec).find()) {
    return invalid_argument("workflow.cycle",
                            fmt::format("the tasks wait for each other in a circle; take out one `after` or reference of it: {}", *cycle),
                            spec.source["tasks"].where());
  }
  return {};
}

Result<Document> look_up(std::string_view reference, const Document& outputs, const Document& node) {
  if (task_of_reference(reference).empty()) return bad_reference(reference, "a reference starts with tasks.NAME", node);
  const Document* at = &outputs;
  std::string_view rest = reference.substr(kPrefix.size());
  while (!rest.empty()) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    const std::string_view key = rest.substr(0, dot);
    const Document* next = at->find(key);
    if (next == nullptr) {
      std::vector<std::string_view> keys;
      for (const auto& [name, value] : at->members()) keys.push_back(name);
      return bad_reference(reference, fmt::format("there is no \"{}\"; there is: {}", key, fmt::join(keys, ", ")), node);
    }
    at = next;
    rest.remove_prefix(std::min(dot + 1, rest.size()));
  }
  return *at;
}

Result<Document> resolve_text(const Document& node, const Document& outputs) {
  const std::string& text = node.text();
  const std::size_t first = text.find("${");
  if (first == std::string::npos) return node;
  if (first == 0 && text.find('}') == text.size() - 1) return look_up(std::string_view(text).substr(2, text.size() - 3), outputs, node);
  std::string written;
  std::string_view rest = text;
  for (std::size_t at = rest.find("${"); at != std::string_view::npos; at = rest.find("${")) {
    const std::size_t end = rest.find('}', at);
    if (end == std::string_view::npos) return bad_reference(rest.substr(at + 2), "the closing brace is missing", node);
    ASSIGN_OR_RETURN(const Document value, look_up(rest.substr(at + 2, end - at - 2), outputs, node));
    written += rest.substr(0, at);
    written += value.is_string() ? value.text() : to_json(value);
    rest.remove_prefix(end + 1);
  }
  written += rest;
  return Document(std::move(written));
}

}  // namespace

const TaskSpec* WorkflowSpec::find(std::string_view task) const {
  const auto found = std::find_if(tasks.begin(), tasks.end(), [task](const TaskSpec& spec) { return spec.name == task; });
  return found == tasks.end() ? nullptr : &*found;
}

std::vector<std::string> referenced_tasks(const Document& body) {
  std::vector<std::string> tasks;
  collect_references(body, tasks);
  return tasks;
}

Result<Document> resolve_directory(const Document& source, const std::string& directory) {
  constexpr std::string_view kReference = "${workflow.directory}";
  Document out = source;
  if (out.is_string()) {
    std::string text = out.text();
    for (std::size_t at = text.find(kReference); at != std::string::npos; at = text.find(kReference, at + directory.size())) {
      if (directory.empty()) {
        return invalid_argument("workflow.directory",
                                "${workflow.directory} is not known: send the query parameter directory=", source.where());
      }
      text.replace(at, kReference.size(), directory);
    }
    out = Document(std::move(text));
    out.set_where(source.where());
    return out;
  }
  for (Document& item : out.items()) {
    ASSIGN_OR_RETURN(item, resolve_directory(item, directory));
  }
  for (const auto& [key, value] : source.members()) {
    ASSIGN_OR_RETURN(Document resolved, resolve_directory(value, directory));
    out.set(key, std::move(resolved));
  }
  return out;
}

Result<WorkflowSpec> workflow_spec_from(const Document& document, const std::vector<std::string>& known_kinds) {
  if (!document.is_object()) {
    return invalid_argument("spec.type",
                            fmt::format("a workflow is an object with `workflow` and `tasks`, found {}", name_of(document.kind())),
                            document.where());
  }
  for (const auto& [key, value] : document.members()) {
    if (key == "workflow" || key == "tasks") continue;
    const std::optional<std::string> match = nearest(key, {"workflow", "tasks"});
    return invalid_argument(
        "spec.unknown_key",
        fmt::format("unknown key \"{}\"{}; known keys: workflow, tasks", key, match ? fmt::format("; did you mean \"{}\"?", *match) : ""),
        value.where());
  }
  WorkflowSpec spec;
  spec.source = document;
  ASSIGN_OR_RETURN(spec.name, document.string_at("workflow"));
  const Document& tasks = document["tasks"];
  if (!tasks.is_object() || tasks.members().empty()) {
    return invalid_argument("workflow.empty", "a workflow needs `tasks`, an object with at least one task", document.where());
  }
  if (tasks.members().size() > kTasksMax) {
    return invalid_argument("workflow.too_large",
                            fmt::format("a workflow has at most {} tasks, found {}", kTasksMax, tasks.members().size()), tasks.where());
  }
  for (const auto& [name, node] : tasks.members()) {
    ASSIGN_OR_RETURN(TaskSpec task, task_from(name, node, known_kinds));
    spec.tasks.push_back(std::move(task));
  }
  TRY(check_graph(spec));
  return spec;
}

Result<Document> resolve_references(const Document& body, const Document& outputs) {
  if (body.is_string()) return resolve_text(body, outputs);
  if (body.is_array()) {
    Document items = Document::array();
    for (const Document& item : body.items()) {
      ASSIGN_OR_RETURN(Document value, resolve_references(item, outputs));
      items.push(std::move(value));
    }
    items.set_where(body.where());
    return items;
  }
  if (body.is_object()) {
    Document object = Document::object();
    for (const auto& [key, item] : body.members()) {
      ASSIGN_OR_RETURN(Document value, resolve_references(item, outputs));
      object.append_member(key, std::move(value));
    }
    object.set_where(body.where());
    return object;
  }
  return body;
}

}  // namespace trainyard::workflow
