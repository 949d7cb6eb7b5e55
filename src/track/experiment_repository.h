#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "store/database.h"
#include "track/types.h"

namespace trainyard::track {

struct NewExperiment {
  std::string name;
  std::string artifact_location;  ///< Empty: "mlflow-artifacts:/ID".
  std::vector<KeyValue> tags;
};

struct ExperimentSearch {
  std::string filter;
  std::vector<std::string> order_by;
  ViewType view = ViewType::kActiveOnly;
  std::int64_t max_results = 1000;
  std::string page_token;
};

struct ExperimentPage {
  std::vector<Experiment> experiments;
  std::string next_page_token;  ///< Empty on the last page.
};

/// Named groups of runs, in the tables experiment and experiment_tag. May be called from any thread; blocks. Texts of errors are those
/// clients of MLflow match on. Errors of every method: INVALID_ARGUMENT for bad values, NOT_FOUND "track.unknown_experiment", those of the
/// database.
class ExperimentRepository {
 public:
  ExperimentRepository(store::Database& database, const Clock& clock) : database_(database), clock_(clock) {}

  /// Errors: also ALREADY_EXISTS "track.experiment_exists"; the name of a deleted experiment stays taken.
  Result<ExperimentId> create(const NewExperiment& experiment);
  Result<Experiment> get(const ExperimentId& id);
  /// Finds deleted ones too.
  Result<Experiment> get_by_name(std::string_view name);
  Result<void> rename(const ExperimentId& id, const std::string& name);
  /// Deletes or restores the experiment with all its runs. Errors: NOT_FOUND when it is in that state already,
  /// INVALID_ARGUMENT "track.default_experiment" for deleting experiment 0.
  Result<void> set_lifecycle(const ExperimentId& id, Lifecycle lifecycle);
  Result<void> set_tag(const ExperimentId& id, const KeyValue& tag);
  /// Errors: also NOT_FOUND "track.unknown_tag".
  Result<void> delete_tag(const ExperimentId& id, const std::string& key);
  /// Newest first unless the search says otherwise.
  Result<ExperimentPage> search(const ExperimentSearch& search);

 private:
  Result<void> change_active(const ExperimentId& id, const std::function<Result<void>(store::Connection&, std::int64_t)>& change);

  store::Database& database_;
  const Clock& clock_;
};

}  // namespace trainyard::track
