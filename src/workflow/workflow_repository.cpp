#include "workflow/workflow_repository.h"

#include <fmt/format.h>

namespace trainyard::workflow {

const std::vector<store::Migration>& workflow_migrations() {
  static const std::vector<store::Migration> migrations{
      {1,
       "CREATE TABLE workflow_run (id BIGINT PRIMARY KEY, live BIGINT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL);\n"
       "CREATE INDEX workflow_run_live ON workflow_run (live, id)"},
      {2,
       "ALTER TABLE workflow_run ADD COLUMN idempotency_key TEXT;\n"
       "CREATE UNIQUE INDEX workflow_run_key ON workflow_run (idempotency_key)"},
  };
  return migrations;
}

Result<void> WorkflowRepository::save(const WorkflowRun& run) {
  const std::string body = to_json(to_document(run));
  const store::SqlValue key = run.idempotency_key.empty() ? store::SqlValue() : store::SqlValue(run.idempotency_key);
  return database_.write([&](store::Connection& connection) -> Result<void> {
    TRY(connection.execute(
        "INSERT INTO workflow_run (id, live, name, body, idempotency_key) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET live = excluded.live, body = excluded.body",
        {static_cast<std::int64_t>(run.id.value), std::int64_t{is_terminal(run.state) ? 0 : 1}, run.spec.name, body, key}));
    return {};
  });
}

Result<std::vector<WorkflowRun>> WorkflowRepository::select(std::string_view sql, const std::vector<store::SqlValue>& parameters) {
  std::vector<WorkflowRun> runs;
  TRY(database_.read([&](store::Connection& connection) -> Result<void> {
    ASSIGN_OR_RETURN(const std::vector<store::Row> rows, connection.query(sql, parameters));
    for (const store::Row& row : rows) {
      Result<Document> document = parse_json(row.text(0));
      if (!document.ok()) return data_loss("workflow.corrupt", "a stored workflow run is no JSON: " + document.error().describe());
      ASSIGN_OR_RETURN(WorkflowRun run, workflow_run_from(*document, kinds_));
      runs.push_back(std::move(run));
    }
    return {};
  }));
  return runs;
}

Result<WorkflowRun> WorkflowRepository::get(WorkflowRunId id) {
  ASSIGN_OR_RETURN(std::vector<WorkflowRun> runs,
                   select("SELECT body FROM workflow_run WHERE id = ?", {static_cast<std::int64_t>(id.value)}));
  if (runs.empty()) {
    return not_found("workflow.unknown_run", fmt::format("there is no workflow run {}; `trainyard workflow ls` lists them", id.value));
  }
  return std::move(runs.front());
}

Result<std::optional<WorkflowRun>> WorkflowRepository::find_by_key(const std::string& idempotency_key) {
  ASSIGN_OR_RETURN(std::vector<WorkflowRun> runs, select("SELECT body FROM workflow_run WHERE idempotency_key = ?", {idempotency_key}));
  if (runs.empty()) return std::optional<WorkflowRun>();
  return std::optional(std::move(runs.front()));
}

Result<std::vector<WorkflowRun>> WorkflowRepository::live() {
  return select("SELECT body FROM workflow_run WHERE live = 1 ORDER BY id", {});
}

Result<std::vector<WorkflowRun>> WorkflowRepository::list(std::size_t limit) {
  return select("SELECT body FROM workflow_run ORDER BY id DESC LIMIT ?", {static_cast<std::int64_t>(limit)});
}

Result<WorkflowRunId> WorkflowRepository::last_id() {
  WorkflowRunId last;
  TRY(database_.read([&last](store::Connection& connection) -> Result<void> {
    ASSIGN_OR_RETURN(const std::vector<store::Row> rows, connection.query("SELECT COALESCE(MAX(id), 0) FROM workflow_run"));
    last = WorkflowRunId(static_cast<std::uint64_t>(rows.front().integer(0)));
    return {};
  }));
  return last;
}

}  // namespace trainyard::workflow
