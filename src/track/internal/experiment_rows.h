#pragma once
#include <string_view>
#include <vector>

#include "store/database.h"
#include "track/types.h"

namespace trainyard::track::internal {

/// Loads experiments with their tags; `tail` is SQL behind FROM experiment.
Result<std::vector<Experiment>> load_experiments(store::Connection& sql, std::string_view tail,
                                                 const std::vector<store::SqlValue>& parameters);

/// Errors: NOT_FOUND "track.unknown_experiment".
Result<Experiment> load_experiment(store::Connection& sql, const ExperimentId& id);

/// Errors: INVALID_ARGUMENT "track.lifecycle" when it is deleted.
Result<void> check_active(const Experiment& experiment);

}  // namespace trainyard::track::internal
