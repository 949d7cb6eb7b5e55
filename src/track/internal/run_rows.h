#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "store/database.h"
#include "track/types.h"

namespace trainyard::track::internal {

/// Loads run heads; `tail` is SQL behind FROM run.
Result<std::vector<RunInfo>> load_run_infos(store::Connection& sql, std::string_view tail, const std::vector<store::SqlValue>& parameters);
/// Errors: NOT_FOUND "track.unknown_run".
Result<RunInfo> load_run_info(store::Connection& sql, const RunId& id);
/// Errors: INVALID_ARGUMENT "track.lifecycle" when it is deleted.
Result<void> check_active(const RunInfo& info);

/// The run with everything but the histories of its metrics.
Result<Run> load_run(store::Connection& sql, RunInfo info);

Result<void> insert_run(store::Connection& sql, const RunInfo& info);
Result<void> write_run_tag(store::Connection& sql, const RunId& id, const KeyValue& tag);
/// Keeps `metric` as the latest value of its key unless a later one is there.
Result<void> write_latest_metric(store::Connection& sql, const RunId& id, const Metric& metric);

}  // namespace trainyard::track::internal
