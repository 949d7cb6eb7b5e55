#include "track/internal/run_rows.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "track/metric_store.h"
#include "track/validation.h"

namespace trainyard::track::internal {
namespace {

using store::Connection;
using store::Row;
using store::SqlValue;

constexpr std::string_view kColumns = "id, experiment, name, user_id, status, started_ms, ended_ms, artifact_uri, deleted, name_space, job";

Result<std::vector<KeyValue>> load_pairs(Connection& sql, std::string_view table, const RunId& id) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   sql.query(fmt::format("SELECT key, value FROM {} WHERE run = ? ORDER BY key", table), {id.text}));
  std::vector<KeyValue> pairs;
  for (const Row& row : rows) pairs.push_back({row.text(0), row.text(1)});
  return pairs;
}

Metric metric_from(const Row& row) {
  const double value = row.integer(2) != 0 ? std::numeric_limits<double>::quiet_NaN() : row.real(1);
  return {row.text(0), {value, row.integer(3), row.integer(4), 0}};
}

}  // namespace

Result<std::vector<RunInfo>> load_run_infos(Connection& sql, std::string_view tail, const std::vector<SqlValue>& parameters) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows, sql.query(fmt::format("SELECT {} FROM run {}", kColumns, tail), parameters));
  std::vector<RunInfo> infos;
  for (const Row& row : rows) {
    const std::optional<RunStatus> status = run_status_from(row.text(4));
    if (!status) return data_loss("track.corrupt", fmt::format("A run has an unknown status in the database: {}", row.text(0)));
    infos.push_back({{row.text(0)},
                     {std::to_string(row.integer(1))},
                     row.text(2),
                     row.text(3),
                     *status,
                     row.integer(5),
                     row.optional_integer(6),
                     row.text(7),
                     row.integer(8) == 0 ? Lifecycle::kActive : Lifecycle::kDeleted,
                     row.text(9),
                     JobId(static_cast<std::uint64_t>(row.integer(10)))});
  }
  return infos;
}

Result<RunInfo> load_run_info(Connection& sql, const RunId& id) {
  ASSIGN_OR_RETURN(std::vector<RunInfo> found, load_run_infos(sql, "WHERE id = ?", {id.text}));
  if (found.empty()) return not_found("track.unknown_run", fmt::format("Run with id={} not found", id.text));
  return std::move(found.front());
}

Result<void> check_active(const RunInfo& info) {
  if (info.lifecycle == Lifecycle::kActive) return {};
  return invalid_argument("track.lifecycle",
                          fmt::format("The run {} must be in the 'active' state. Current state is deleted.", info.id.text));
}

Result<Run> load_run(Connection& sql, RunInfo info) {
  Run run;
  run.info = std::move(info);
  const RunId& id = run.info.id;
  ASSIGN_OR_RETURN(run.params, load_pairs(sql, "run_param", id));
  ASSIGN_OR_RETURN(run.tags, load_pairs(sql, "run_tag", id));
  ASSIGN_OR_RETURN(const std::vector<Row> metrics,
                   sql.query("SELECT key, value, is_nan, step, timestamp_ms FROM run_metric WHERE run = ? ORDER BY key", {id.text}));
  for (const Row& row : metrics) run.metrics.push_back(metric_from(row));
  return run;
}

Result<void> insert_run(Connection& sql, const RunInfo& info) {
  ASSIGN_OR_RETURN(const std::int64_t experiment, experiment_number(info.experiment.text));
  const SqlValue ended = info.ended_ms ? SqlValue(*info.ended_ms) : SqlValue();
  TRY(sql.execute(fmt::format("INSERT INTO run({}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)", kColumns),
                  {info.id.text, experiment, info.name, info.user, std::string(name_of(info.status)), info.started_ms, ended,
                   info.artifact_uri, info.name_space, static_cast<std::int64_t>(info.job.value)}));
  return {};
}

Result<void> write_run_tag(Connection& sql, const RunId& id, const KeyValue& tag) {
  TRY(sql.execute("INSERT INTO run_tag(run, key, value) VALUES(?, ?, ?) ON CONFLICT(run, key) DO UPDATE SET value = excluded.value",
                  {id.text, tag.key, cut_text(tag.value, kRunTagValueMax)}));
  return {};
}

Result<void> write_latest_metric(Connection& sql, const RunId& id, const Metric& metric) {
  const bool is_nan = std::isnan(metric.point.value);
  TRY(sql.execute(
      "INSERT INTO run_metric(run, key, value, is_nan, step, timestamp_ms) VALUES(?, ?, ?, ?, ?, ?) "
      "ON CONFLICT(run, key) DO UPDATE SET value = excluded.value, is_nan = excluded.is_nan, step = excluded.step, "
      "timestamp_ms = excluded.timestamp_ms "
      "WHERE (excluded.step, excluded.timestamp_ms, excluded.value) > (run_metric.step, run_metric.timestamp_ms, run_metric.value)",
      {id.text, metric.key, is_nan ? 0.0 : metric.point.value, std::int64_t{is_nan}, metric.point.step, metric.point.timestamp_ms}));
  return {};
}

}  // namespace trainyard::track::internal
