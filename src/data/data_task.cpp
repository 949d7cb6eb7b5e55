#include "data/data_task.h"

namespace trainyard::data {

Result<void> check_stop(TaskMonitor& monitor) {
  if (!monitor.stop_requested()) return {};
  return Error{
      Category::kCancelled, "etl.stopped", "the task was asked to stop before it published anything; it starts afresh next time", {}, {}};
}

VersionDraft draft_of(const DataTask& task, DatasetLayer layer) {
  VersionDraft draft;
  draft.name = task.dataset;
  draft.layer = layer;
  draft.idempotency_key = task.idempotency_key;
  draft.job = task.job;
  draft.attempt = task.attempt;
  return draft;
}

}  // namespace trainyard::data
