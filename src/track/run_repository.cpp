#include "track/run_repository.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "base/checksum.h"
#include "base/file.h"
#include "base/rng.h"
#include "track/internal/experiment_rows.h"
#include "track/internal/run_rows.h"
#include "track/internal/transaction.h"
#include "track/validation.h"

namespace trainyard::track {
namespace {

using internal::check_active;
using store::Connection;
using store::Row;

/// The name in a list of tags; none if the tag is not there.
std::optional<std::string> name_tag(const std::vector<KeyValue>& tags) {
  for (const KeyValue& tag : tags) {
    if (tag.key == kRunNameTag) return tag.value;
  }
  return std::nullopt;
}

Result<std::string> name_for(const NewRun& run, const RunId& id) {
  const std::optional<std::string> tagged = name_tag(run.tags);
  if (!run.name.empty() && tagged && *tagged != run.name) {
    return invalid_argument("track.run_name",
                            fmt::format("Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different "
                                        "values (run_name='{}', mlflow.runName='{}').",
                                        run.name, *tagged));
  }
  if (!run.name.empty()) return run.name;
  return tagged && !tagged->empty() ? *tagged : generated_run_name(id);
}

std::string at(const RunBatch& batch, std::string_view list, std::size_t index, std::string_view field) {
  return batch.from_list ? fmt::format("{}[{}].{}", list, index, field) : std::string(field);
}

Result<void> check_batch(const RunBatch& batch) {
  for (std::size_t i = 0; i < batch.metrics.size(); ++i)
    TRY(check_key(batch.metrics[i].key, at(batch, "metrics", i, "name"), "Metric name"));
  for (std::size_t i = 0; i < batch.params.size(); ++i) TRY(check_key(batch.params[i].key, at(batch, "params", i, "key"), "Param key"));
  for (std::size_t i = 0; i < batch.tags.size(); ++i) TRY(check_key(batch.tags[i].key, at(batch, "tags", i, "key"), "key"));
  std::map<std::string, std::string> seen;
  std::set<std::string> repeated;
  for (const KeyValue& param : batch.params) {
    const auto [first, fresh] = seen.emplace(param.key, param.value);
    if (!fresh && first->second != param.value) repeated.insert(param.key);
  }
  if (repeated.empty()) return {};
  return invalid_argument("track.duplicate_param",
                          fmt::format("Duplicate parameter keys have been submitted: ['{}']", fmt::join(repeated, "', '")));
}

/// A param whose value differs from the one that is stored.
struct ParamChange {
  std::string key;
  std::string old_value;
  std::string new_value;
};

Error changed_params(const RunId& id, const std::vector<ParamChange>& changes, bool from_list) {
  if (!from_list) {
    const ParamChange& change = changes.front();
    return invalid_argument(
        "track.param_changed",
        fmt::format("Changing param values is not allowed. Param with key='{}' was already logged with value='{}' for run "
                    "ID='{}'. Attempted logging new value '{}'.",
                    change.key, change.old_value, id.text, change.new_value));
  }
  std::vector<std::string> texts;
  for (const ParamChange& change : changes) {
    texts.push_back(fmt::format("{{'key': '{}', 'old_value': '{}', 'new_value': '{}'}}", change.key, change.old_value, change.new_value));
  }
  return invalid_argument("track.param_changed",
                          fmt::format("Changing param values is not allowed. Params were already logged='[{}]' for run ID='{}'.",
                                      fmt::join(texts, ", "), id.text));
}

Result<void> write_params(Connection& sql, const RunId& id, const RunBatch& batch) {
  std::vector<ParamChange> changes;
  for (const KeyValue& param : batch.params) {
    const std::string value = cut_text(param.value, kParamValueMax);
    TRY(sql.execute("INSERT INTO run_param(run, key, value) VALUES(?, ?, ?) ON CONFLICT(run, key) DO NOTHING",
                    {id.text, param.key, value}));
    ASSIGN_OR_RETURN(const std::vector<Row> stored,
                     sql.query("SELECT value FROM run_param WHERE run = ? AND key = ?", {id.text, param.key}));
    if (stored.front().text(0) != value) changes.push_back({param.key, stored.front().text(0), value});
  }
  if (!changes.empty()) return changed_params(id, changes, batch.from_list);
  return {};
}

/// The number of the attempt that sends the batch, 0 when it is none of the run's own job.
std::uint32_t sending_attempt(const RunInfo& run, const RunBatch& batch) {
  return batch.sender && batch.sender->job == run.job ? batch.sender->attempt.value : 0;
}

Result<void> write_metrics(Connection& sql, MetricStore& store, const RunInfo& run, const RunBatch& batch) {
  const RunId& id = run.id;
  const std::uint32_t attempt = sending_attempt(run, batch);
  std::map<std::string, std::vector<MetricPoint>> by_key;
  for (const Metric& metric : batch.metrics) {
    MetricPoint& point = by_key[metric.key].emplace_back(metric.point);
    point.value = storable(point.value);
    if (point.attempt == 0) point.attempt = attempt;
  }
  for (const auto& [key, points] : by_key) {
    TRY(store.append(sql, id, key, points));
    const MetricPoint& latest =
        *std::max_element(points.begin(), points.end(), [](const auto& a, const auto& b) { return is_later(b, a); });
    TRY(internal::write_latest_metric(sql, id, {key, latest}));
  }
  return {};
}

Result<void> rename_run(Connection& sql, const RunId& id, const std::string& name) {
  TRY(sql.execute("UPDATE run SET name = ? WHERE id = ?", {name, id.text}));
  return internal::write_run_tag(sql, id, {std::string(kRunNameTag), name});
}

}  // namespace

std::string generated_run_name(const RunId& id) {
  static constexpr std::string_view kAdjectives[] = {"able",  "amber", "bold",   "brisk",  "calm",  "clear", "deft",  "eager",
                                                     "fleet", "glad",  "honest", "keen",   "light", "merry", "noble", "patient",
                                                     "quick", "quiet", "ready",  "steady", "sunny", "swift", "vivid", "wise"};
  static constexpr std::string_view kNouns[] = {"badger", "beech", "brook", "cedar", "crane", "falcon", "finch", "fox",
                                                "hare",   "heron", "lark",  "lynx",  "maple", "marten", "otter", "owl",
                                                "pine",   "raven", "robin", "seal",  "stoat", "swan",   "trout", "wren"};
  const std::uint64_t hash = xxh3_64(as_bytes(id.text));
  return fmt::format("{}-{}-{}", kAdjectives[hash % std::size(kAdjectives)], kNouns[hash / 64 % std::size(kNouns)], hash / 4096 % 1000);
}

Result<Run> RunRepository::create(const NewRun& run) {
  const RunId id = run.id.value_or(RunId{secure_random_hex(16)});
  TRY(check_run_id(id.text));
  ASSIGN_OR_RETURN(const std::string name, name_for(run, id));
  TRY(check_batch({{}, {}, run.tags}));
  Result<Run> created = internal::write_value<Run>(deps_.database, [&](Connection& sql) -> Result<Run> {
    ASSIGN_OR_RETURN(const Experiment experiment, internal::load_experiment(sql, run.experiment));
    TRY(check_active(experiment));
    RunInfo info{id,
                 experiment.id,
                 name,
                 run.user,
                 RunStatus::kRunning,
                 run.started_ms,
                 std::nullopt,
                 fmt::format("{}/{}/artifacts", experiment.artifact_location, id.text),
                 Lifecycle::kActive,
                 run.name_space,
                 run.job};
    TRY(internal::insert_run(sql, info));
    for (const KeyValue& tag : run.tags) TRY(internal::write_run_tag(sql, id, tag));
    TRY(internal::write_run_tag(sql, id, {std::string(kRunNameTag), name}));
    TRY(internal::write_run_tag(sql, id, {std::string(kNamespaceTag), run.name_space}));
    return internal::load_run(sql, std::move(info));
  });
  if (!created.ok() && created.error().category == Category::kAlreadyExists) {
    return Error{Category::kAlreadyExists, "track.run_exists", fmt::format("Run with id={} already exists", id.text), {}, {}};
  }
  return created;
}

Result<Run> RunRepository::get(const RunId& id) {
  return internal::read_value<Run>(deps_.database, [&](Connection& sql) -> Result<Run> {
    ASSIGN_OR_RETURN(RunInfo info, internal::load_run_info(sql, id));
    return internal::load_run(sql, std::move(info));
  });
}

Result<std::vector<RunInfo>> RunRepository::heads(const std::vector<RunId>& ids) {
  if (ids.empty()) return std::vector<RunInfo>();
  const std::vector<std::string> marks(ids.size(), "?");
  std::vector<store::SqlValue> parameters;
  for (const RunId& id : ids) parameters.emplace_back(id.text);
  return internal::read_value<std::vector<RunInfo>>(deps_.database, [&](Connection& sql) {
    return internal::load_run_infos(sql, fmt::format("WHERE id IN ({})", fmt::join(marks, ", ")), parameters);
  });
}

Result<void> RunRepository::change_active(const RunId& id, const std::function<Result<void>(Connection&, const RunInfo&)>& change) {
  return deps_.database.write([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(const RunInfo info, internal::load_run_info(sql, id));
    TRY(check_active(info));
    return change(sql, info);
  });
}

Result<RunInfo> RunRepository::update(const RunId& id, const RunUpdate& update) {
  RunInfo updated;
  const Result<void> written = change_active(id, [&](Connection& sql, const RunInfo&) -> Result<void> {
    if (update.status) TRY(sql.execute("UPDATE run SET status = ? WHERE id = ?", {std::string(name_of(*update.status)), id.text}));
    if (update.ended_ms) TRY(sql.execute("UPDATE run SET ended_ms = ? WHERE id = ?", {*update.ended_ms, id.text}));
    if (update.name && !update.name->empty()) TRY(rename_run(sql, id, *update.name));
    ASSIGN_OR_RETURN(updated, internal::load_run_info(sql, id));
    return {};
  });
  if (!written.ok()) return written.error();
  return updated;
}

Result<void> RunRepository::set_lifecycle(const RunId& id, Lifecycle lifecycle) {
  return deps_.database.write([&](Connection& sql) -> Result<void> {
    TRY(internal::load_run_info(sql, id));
    TRY(sql.execute("UPDATE run SET deleted = ? WHERE id = ?", {std::int64_t{lifecycle == Lifecycle::kDeleted}, id.text}));
    return {};
  });
}

Result<void> RunRepository::log(const RunId& id, const RunBatch& batch) {
  TRY(check_batch(batch));
  return change_active(id, [&](Connection& sql, const RunInfo& run) -> Result<void> {
    TRY(write_params(sql, id, batch));
    TRY(write_metrics(sql, deps_.metrics, run, batch));
    for (const KeyValue& tag : batch.tags) TRY(internal::write_run_tag(sql, id, tag));
    if (const std::optional<std::string> name = name_tag(batch.tags); name && !name->empty()) TRY(rename_run(sql, id, *name));
    return {};
  });
}

Result<void> RunRepository::delete_tag(const RunId& id, const std::string& key) {
  return change_active(id, [&](Connection& sql, const RunInfo&) -> Result<void> {
    ASSIGN_OR_RETURN(const std::int64_t removed, sql.execute("DELETE FROM run_tag WHERE run = ? AND key = ?", {id.text, key}));
    if (removed > 0) return {};
    return not_found("track.unknown_tag", fmt::format("No tag with name: {} in run with id {}", key, id.text));
  });
}

Result<std::vector<MetricPoint>> RunRepository::history(const RunId& id, const std::string& key) {
  return internal::read_value<std::vector<MetricPoint>>(deps_.database, [&](Connection& sql) -> Result<std::vector<MetricPoint>> {
    TRY(internal::load_run_info(sql, id));
    return deps_.metrics.history(sql, id, key);
  });
}

namespace {

/// A job's number as its tag has it; 0 for anything else.
JobId job_of(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool good = code == std::errc() && end == text.data() + text.size() && number > 0;
  return good ? JobId(static_cast<std::uint64_t>(number)) : JobId();
}

}  // namespace

Result<std::vector<UnplacedRun>> RunRepository::unplaced(const RunId& after, std::int64_t max) {
  return internal::read_value<std::vector<UnplacedRun>>(deps_.database, [&](Connection& sql) -> Result<std::vector<UnplacedRun>> {
    ASSIGN_OR_RETURN(const std::vector<Row> rows,
                     sql.query("SELECT run.id, run_tag.value FROM run JOIN run_tag ON run_tag.run = run.id AND run_tag.key = ? "
                               "WHERE run.name_space = '' AND run.id > ? ORDER BY run.id LIMIT ?",
                               {std::string(kJobTag), after.text, max}));
    std::vector<UnplacedRun> found;
    for (const Row& row : rows) found.push_back({{row.text(0)}, job_of(row.text(1))});
    return found;
  });
}

Result<void> RunRepository::place(const std::vector<RunPlace>& places) {
  return deps_.database.write([&](Connection& sql) -> Result<void> {
    for (const RunPlace& place : places) {
      ASSIGN_OR_RETURN(const std::int64_t placed,
                       sql.execute("UPDATE run SET name_space = ?, job = ? WHERE id = ? AND name_space = ''",
                                   {place.name_space, static_cast<std::int64_t>(place.job.value), place.id.text}));
      if (placed > 0) TRY(internal::write_run_tag(sql, place.id, {std::string(kNamespaceTag), place.name_space}));
    }
    return {};
  });
}

}  // namespace trainyard::track
