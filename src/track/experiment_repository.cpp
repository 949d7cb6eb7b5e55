#include "track/experiment_repository.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "track/filter.h"
#include "track/internal/experiment_rows.h"
#include "track/internal/transaction.h"
#include "track/page_token.h"
#include "track/validation.h"

namespace trainyard::track {
namespace {

using internal::check_active;
using internal::load_experiment;
using internal::load_experiments;
using store::Connection;
using store::Row;

constexpr std::size_t kLocationMax = 2048;
constexpr std::int64_t kDefaultExperiment = 0;

Result<void> check_name(const std::string& name) {
  if (name.empty()) return missing_parameter("name");
  return check_length(name, kExperimentNameMax, "name");
}

Result<void> check_tag(const KeyValue& tag) {
  TRY(check_key(tag.key, "key", "key"));
  return check_length(tag.value, kExperimentTagValueMax, "value");
}

Result<void> write_tag(Connection& sql, std::int64_t experiment, const KeyValue& tag) {
  TRY(
      sql.execute("INSERT INTO experiment_tag(experiment, key, value) VALUES(?, ?, ?) "
                  "ON CONFLICT(experiment, key) DO UPDATE SET value = excluded.value",
                  {experiment, tag.key, tag.value}));
  return {};
}

Result<std::int64_t> next_number(Connection& sql) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows, sql.query("SELECT COALESCE(MAX(id), 0) + 1 FROM experiment"));
  return rows.front().integer(0);
}

Error name_taken(const std::string& name) {
  return {Category::kAlreadyExists, "track.experiment_exists", fmt::format("Experiment(name={}) already exists.", name), {}, {}};
}

Result<bool> satisfies(const Experiment& experiment, const FilterClause& clause) {
  if (clause.type == "tag") {
    const auto tag = std::find_if(experiment.tags.begin(), experiment.tags.end(), [&](const KeyValue& t) { return t.key == clause.key; });
    return text_matches(clause, tag == experiment.tags.end() ? std::nullopt : std::optional(tag->value));
  }
  if (clause.type == "attribute" && clause.key == "name") return text_matches(clause, experiment.name);
  if (clause.type == "attribute" && clause.key == "experiment_id") return text_matches(clause, experiment.id.text);
  if (clause.type == "attribute" && clause.key == "creation_time")
    return number_matches(clause, static_cast<double>(experiment.created_ms));
  if (clause.type == "attribute" && clause.key == "last_update_time")
    return number_matches(clause, static_cast<double>(experiment.updated_ms));
  return invalid_argument("track.filter", fmt::format("Invalid attribute key '{}' specified", clause.key));
}

/// Negative, zero or positive, as `a` comes before, beside or after `b`. None for a key that experiments are not ordered by.
std::optional<int> compare_by(const std::string& key, const Experiment& a, const Experiment& b) {
  const auto sign = [](const auto& x, const auto& y) { return x < y ? -1 : (y < x ? 1 : 0); };
  if (key == "name") return sign(a.name, b.name);
  if (key == "experiment_id") return sign(experiment_number(a.id.text).value_or(0), experiment_number(b.id.text).value_or(0));
  if (key == "creation_time") return sign(a.created_ms, b.created_ms);
  if (key == "last_update_time") return sign(a.updated_ms, b.updated_ms);
  return std::nullopt;
}

Result<void> order(std::vector<Experiment>& experiments, const std::vector<std::string>& order_by) {
  ASSIGN_OR_RETURN(std::vector<OrderClause> orders, parse_order_by(order_by));
  const bool explicit_order = !orders.empty();
  if (!explicit_order) orders.push_back({"attribute", "creation_time", false});
  orders.push_back({"attribute", "experiment_id", !explicit_order});
  for (const OrderClause& clause : orders) {
    if (clause.type != "attribute" || !compare_by(clause.key, {}, {})) {
      return invalid_argument("track.order_by", fmt::format("Invalid ordering key in order_by clause '{}'", clause.key));
    }
  }
  std::sort(experiments.begin(), experiments.end(), [&orders](const Experiment& a, const Experiment& b) {
    for (const OrderClause& clause : orders) {
      const int compared = compare_by(clause.key, a, b).value_or(0);
      if (compared != 0) return (compared < 0) == clause.ascending;
    }
    return false;
  });
  return {};
}

bool shown(Lifecycle lifecycle, ViewType view) {
  return view == ViewType::kAll || (lifecycle == Lifecycle::kActive) == (view == ViewType::kActiveOnly);
}

}  // namespace

Result<ExperimentId> ExperimentRepository::create(const NewExperiment& experiment) {
  TRY(check_name(experiment.name));
  TRY(check_length(experiment.artifact_location, kLocationMax, "artifact_location"));
  if (experiment.artifact_location.starts_with("runs:")) {
    return invalid_argument("track.artifact_location",
                            fmt::format("Artifact URIs for experiments cannot use the runs scheme: {}", experiment.artifact_location));
  }
  for (const KeyValue& tag : experiment.tags) TRY(check_tag(tag));
  Result<ExperimentId> created = internal::write_value<ExperimentId>(database_, [&](Connection& sql) -> Result<ExperimentId> {
    ASSIGN_OR_RETURN(const std::int64_t number, next_number(sql));
    const std::int64_t now_ms = micros(clock_.now()) / 1000;
    const std::string location =
        experiment.artifact_location.empty() ? fmt::format("mlflow-artifacts:/{}", number) : experiment.artifact_location;
    TRY(sql.execute("INSERT INTO experiment(id, name, artifact_location, deleted, created_ms, updated_ms) VALUES(?, ?, ?, 0, ?, ?)",
                    {number, experiment.name, location, now_ms, now_ms}));
    for (const KeyValue& tag : experiment.tags) TRY(write_tag(sql, number, tag));
    return ExperimentId{std::to_string(number)};
  });
  if (!created.ok() && created.error().category == Category::kAlreadyExists) return name_taken(experiment.name);
  return created;
}

Result<Experiment> ExperimentRepository::get(const ExperimentId& id) {
  return internal::read_value<Experiment>(database_, [&](Connection& sql) { return load_experiment(sql, id); });
}

Result<Experiment> ExperimentRepository::get_by_name(std::string_view name) {
  ASSIGN_OR_RETURN(std::vector<Experiment> found, internal::read_value<std::vector<Experiment>>(database_, [&](Connection& sql) {
                     return load_experiments(sql, "WHERE name = ?", {std::string(name)});
                   }));
  if (found.empty()) return not_found("track.unknown_experiment", fmt::format("Could not find experiment with name '{}'", name));
  return std::move(found.front());
}

Result<void> ExperimentRepository::change_active(const ExperimentId& id,
                                                 const std::function<Result<void>(Connection&, std::int64_t)>& change) {
  return database_.write([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(const Experiment experiment, load_experiment(sql, id));
    TRY(check_active(experiment));
    ASSIGN_OR_RETURN(const std::int64_t number, experiment_number(id.text));
    TRY(change(sql, number));
    TRY(sql.execute("UPDATE experiment SET updated_ms = ? WHERE id = ?", {micros(clock_.now()) / 1000, number}));
    return {};
  });
}

Result<void> ExperimentRepository::rename(const ExperimentId& id, const std::string& name) {
  TRY(check_name(name));
  const Result<void> renamed = change_active(id, [&](Connection& sql, std::int64_t number) -> Result<void> {
    TRY(sql.execute("UPDATE experiment SET name = ? WHERE id = ?", {name, number}));
    return {};
  });
  if (!renamed.ok() && renamed.error().category == Category::kAlreadyExists) return name_taken(name);
  return renamed;
}

Result<void> ExperimentRepository::set_lifecycle(const ExperimentId& id, Lifecycle lifecycle) {
  if (lifecycle == Lifecycle::kDeleted && experiment_number(id.text).value_or(-1) == kDefaultExperiment) {
    return invalid_argument("track.default_experiment",
                            "Cannot delete the default experiment '0'. The runs of jobs are kept in it; delete runs instead.");
  }
  return database_.write([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(const Experiment experiment, load_experiment(sql, id));
    if (experiment.lifecycle == lifecycle) {
      return not_found("track.unknown_experiment",
                       fmt::format("No Experiment with id={} exists in the other state; it is {} already", id.text, name_of(lifecycle)));
    }
    ASSIGN_OR_RETURN(const std::int64_t number, experiment_number(id.text));
    const std::int64_t deleted = lifecycle == Lifecycle::kDeleted ? 1 : 0;
    TRY(sql.execute("UPDATE experiment SET deleted = ?, updated_ms = ? WHERE id = ?", {deleted, micros(clock_.now()) / 1000, number}));
    TRY(sql.execute("UPDATE run SET deleted = ? WHERE experiment = ?", {deleted, number}));
    return {};
  });
}

Result<void> ExperimentRepository::set_tag(const ExperimentId& id, const KeyValue& tag) {
  TRY(check_tag(tag));
  return change_active(id, [&](Connection& sql, std::int64_t number) { return write_tag(sql, number, tag); });
}

Result<void> ExperimentRepository::delete_tag(const ExperimentId& id, const std::string& key) {
  return change_active(id, [&](Connection& sql, std::int64_t number) -> Result<void> {
    ASSIGN_OR_RETURN(const std::int64_t removed, sql.execute("DELETE FROM experiment_tag WHERE experiment = ? AND key = ?", {number, key}));
    if (removed > 0) return {};
    return not_found("track.unknown_tag", fmt::format("No tag with name: {} in experiment with id {}", key, id.text));
  });
}

Result<ExperimentPage> ExperimentRepository::search(const ExperimentSearch& search) {
  if (search.max_results <= 0) {
    return invalid_argument(
        "track.max_results",
        fmt::format("Invalid value {} for parameter 'max_results' supplied. It must be a positive integer", search.max_results));
  }
  ASSIGN_OR_RETURN(const std::vector<FilterClause> clauses, parse_filter(search.filter));
  ASSIGN_OR_RETURN(const std::size_t offset, page_offset(search.page_token));
  ASSIGN_OR_RETURN(std::vector<Experiment> all,
                   internal::read_value<std::vector<Experiment>>(database_, [](Connection& sql) { return load_experiments(sql, "", {}); }));
  std::vector<Experiment> matching;
  for (Experiment& experiment : all) {
    bool good = shown(experiment.lifecycle, search.view);
    for (const FilterClause& clause : clauses) {
      ASSIGN_OR_RETURN(const bool satisfied, satisfies(experiment, clause));
      good = good && satisfied;
    }
    if (good) matching.push_back(std::move(experiment));
  }
  TRY(order(matching, search.order_by));
  ExperimentPage page;
  const std::size_t end = std::min(matching.size(), offset + static_cast<std::size_t>(search.max_results));
  for (std::size_t i = offset; i < end; ++i) page.experiments.push_back(std::move(matching[i]));
  if (end < matching.size()) page.next_page_token = page_token(end);
  return page;
}

}  // namespace trainyard::track
