#pragma once
#include <optional>
#include <vector>

#include "store/database.h"
#include "workflow/workflow_run.h"

namespace trainyard::workflow {

/// Table workflow_run: component "workflow".
const std::vector<store::Migration>& workflow_migrations();

/// The durable truth about workflow runs. Blocks; may be called from any thread. Errors: those of the database, DATA_LOSS
/// "workflow.corrupt", NOT_FOUND "workflow.unknown_run".
class WorkflowRepository {
 public:
  WorkflowRepository(store::Database& database, std::vector<std::string> kinds) : database_(database), kinds_(std::move(kinds)) {}

  /// Writes the whole run, replacing what was there.
  Result<void> save(const WorkflowRun& run);
  Result<WorkflowRun> get(WorkflowRunId id);
  /// The run that a request with this key made, if any.
  Result<std::optional<WorkflowRun>> find_by_key(const std::string& idempotency_key);
  /// Runs that have not ended, by id.
  Result<std::vector<WorkflowRun>> live();
  /// Newest first.
  Result<std::vector<WorkflowRun>> list(std::size_t limit);
  /// The highest id ever given, 0 when none.
  Result<WorkflowRunId> last_id();

 private:
  Result<std::vector<WorkflowRun>> select(std::string_view sql, const std::vector<store::SqlValue>& parameters);

  store::Database& database_;
  std::vector<std::string> kinds_;
};

}  // namespace trainyard::workflow
