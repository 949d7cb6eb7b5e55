#include "track/internal/experiment_rows.h"

#include <fmt/format.h>

#include "track/validation.h"

namespace trainyard::track::internal {

using store::Connection;
using store::Row;

Result<std::vector<Experiment>> load_experiments(Connection& sql, std::string_view tail, const std::vector<store::SqlValue>& parameters) {
  ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      sql.query(fmt::format("SELECT id, name, artifact_location, deleted, created_ms, updated_ms FROM experiment {}", tail), parameters));
  std::vector<Experiment> experiments;
  for (const Row& row : rows) {
    Experiment experiment;
    experiment.id = {std::to_string(row.integer(0))};
    experiment.name = row.text(1);
    experiment.artifact_location = row.text(2);
    experiment.lifecycle = row.integer(3) == 0 ? Lifecycle::kActive : Lifecycle::kDeleted;
    experiment.created_ms = row.integer(4);
    experiment.updated_ms = row.integer(5);
    ASSIGN_OR_RETURN(const std::vector<Row> tags,
                     sql.query("SELECT key, value FROM experiment_tag WHERE experiment = ? ORDER BY key", {row.integer(0)}));
    for (const Row& tag : tags) experiment.tags.push_back({tag.text(0), tag.text(1)});
    experiments.push_back(std::move(experiment));
  }
  return experiments;
}

Result<Experiment> load_experiment(Connection& sql, const ExperimentId& id) {
  ASSIGN_OR_RETURN(const std::int64_t number, experiment_number(id.text));
  ASSIGN_OR_RETURN(std::vector<Experiment> found, load_experiments(sql, "WHERE id = ?", {number}));
  if (found.empty()) return not_found("track.unknown_experiment", fmt::format("No Experiment with id={} exists", id.text));
  return std::move(found.front());
}

Result<void> check_active(const Experiment& experiment) {
  if (experiment.lifecycle == Lifecycle::kActive) return {};
  return invalid_argument("track.lifecycle",
                          fmt::format("The experiment {} must be in the 'active' state. Current state is deleted.", experiment.id.text));
}

}  // namespace trainyard::track::internal
