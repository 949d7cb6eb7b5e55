#pragma once
#include <string>
#include <vector>

#include "base/document.h"
#include "base/result.h"

namespace trainyard::workflow {

/// One node of the graph: what to do and after which others.
struct TaskSpec {
  std::string name;
  std::string kind;                ///< An entry of the task kind table: job, tune, gate, register, deploy ...
  Document body;                   ///< The kind's own configuration; strings may hold ${...} references.
  std::vector<std::string> after;  ///< Upstream tasks: those named in `after` and those that references name.
};

/// A directed acyclic graph of tasks. In YAML:
///
///   workflow: fashion-mnist
///   tasks:
///     ingest: {job: {kind: ingest, ...}}
///     train:  {after: [ingest], job: {kind: train, config: {learning_rate: "${tasks.tune.result.learning_rate}"}}}
struct WorkflowSpec {
  std::string name;
  std::vector<TaskSpec> tasks;  ///< In the order of the file, which is also how they are shown.
  Document source;              ///< As it was sent.

  const TaskSpec* find(std::string_view task) const;
};

constexpr std::size_t kTasksMax = 1'000;

/// Decodes and checks a workflow. Errors: INVALID_ARGUMENT "workflow.*" and "spec.*" with positions: unknown keys and kinds, unknown
/// upstream tasks with a suggestion, a cycle (one is printed), a reference to a task that does not exist.
Result<WorkflowSpec> workflow_spec_from(const Document& document, const std::vector<std::string>& known_kinds);

/// Replaces "${workflow.directory}" in every string by the directory of the workflow file, as the client that sent it names it.
/// Errors: INVALID_ARGUMENT "workflow.directory" when it is needed and not known.
Result<Document> resolve_directory(const Document& source, const std::string& directory);

/// The tasks that the references of `body` name ("${tasks.NAME.result.x}").
std::vector<std::string> referenced_tasks(const Document& body);

/// Replaces every reference by what `outputs` holds: {"NAME": {"result": {..}, "job_id": "..", "run_id": "..", "ready_url": ".."}}. A
/// string that is one reference becomes the value itself, with its type; inside a longer text the value is written into it. Errors:
/// INVALID_ARGUMENT "workflow.reference" with what there is.
Result<Document> resolve_references(const Document& body, const Document& outputs);

}  // namespace trainyard::workflow
