#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "domain/namespace_set.h"
#include "store/database.h"
#include "track/metric_store.h"
#include "track/types.h"

namespace trainyard::track {

struct NewRun {
  std::optional<RunId> id;  ///< None: a fresh one.
  ExperimentId experiment;
  std::string name;  ///< Empty: the tag mlflow.runName, else a generated one.
  std::string user;
  std::int64_t started_ms = 0;
  std::vector<KeyValue> tags;
  std::string name_space = std::string(kDefaultNamespace);
  JobId job;  ///< The job whose run it is, or whose attempt makes it.
};

/// What is to change; what is not set stays.
struct RunUpdate {
  std::optional<RunStatus> status;
  std::optional<std::int64_t> ended_ms;
  std::optional<std::string> name;
};

/// Values logged together: kept whole or not at all.
struct RunBatch {
  std::vector<Metric> metrics;
  std::vector<KeyValue> params;
  std::vector<KeyValue> tags;
  bool from_list = true;  ///< Whether errors name the place in a list: "metrics[0].name" rather than "name".
  /// The attempt that sends this, if a job does. In the run of that job its points replace those of earlier attempts at the same step.
  std::optional<AttemptKey> sender = std::nullopt;
};

struct RunSearch {
  std::vector<ExperimentId> experiments;  ///< Of all when empty.
  std::string filter;
  std::vector<std::string> order_by;
  ViewType view = ViewType::kActiveOnly;
  std::int64_t max_results = 1000;
  std::string page_token;
  NamespaceSet name_spaces = {.all = true, .names = {}};  ///< Only runs of these.
};

/// A run from before runs had namespaces.
struct UnplacedRun {
  RunId id;
  JobId job;  ///< What its tag says, 0 when that is no number; anybody could write the tag.
};

/// Where such a run belongs.
struct RunPlace {
  RunId id;
  std::string name_space;
  JobId job;  ///< 0 when no job writes it.
};

struct RunPage {
  std::vector<Run> runs;
  std::string next_page_token;  ///< Empty on the last page.
};

/// Runs with their params, tags and metrics. Params are written once, tags and metrics whenever. A deleted run takes no writes. A run stays
/// in its namespace. Asks nobody's permission: what is done for a caller goes through GuardedRuns. May be
/// called from any thread; blocks. Texts of errors are those clients of MLflow match on. Errors of every method: INVALID_ARGUMENT for bad
/// values and deleted runs, NOT_FOUND "track.unknown_run", those of the database.
class RunRepository {
 public:
  struct Deps {
    store::Database& database;
    MetricStore& metrics;
    const Clock& clock;
  };
  explicit RunRepository(Deps deps) : deps_(deps) {}

  /// Errors: also NOT_FOUND "track.unknown_experiment", ALREADY_EXISTS "track.run_exists" for an id that is taken.
  Result<Run> create(const NewRun& run);
  Result<Run> get(const RunId& id);
  /// The heads of those that exist.
  Result<std::vector<RunInfo>> heads(const std::vector<RunId>& ids);
  Result<RunInfo> update(const RunId& id, const RunUpdate& update);
  Result<void> set_lifecycle(const RunId& id, Lifecycle lifecycle);
  /// Errors: also INVALID_ARGUMENT "track.param_changed" when a param was logged with another value before.
  Result<void> log(const RunId& id, const RunBatch& batch);
  /// Errors: also NOT_FOUND "track.unknown_tag".
  Result<void> delete_tag(const RunId& id, const std::string& key);
  /// Empty for an unknown key.
  Result<std::vector<MetricPoint>> history(const RunId& id, const std::string& key);
  /// Latest start first unless the search says otherwise.
  Result<RunPage> search(const RunSearch& search);
  /// Runs behind `after`, by id, whose namespace is not known yet.
  Result<std::vector<UnplacedRun>> unplaced(const RunId& after, std::int64_t max);
  /// Gives runs their namespace for good; one that has a namespace keeps it.
  Result<void> place(const std::vector<RunPlace>& places);

 private:
  Result<void> change_active(const RunId& id, const std::function<Result<void>(store::Connection&, const RunInfo&)>& change);

  Deps deps_;
};

/// "adjective-noun-NUMBER", the same for the same id.
std::string generated_run_name(const RunId& id);

}  // namespace trainyard::track
