#pragma once
#include <functional>

#include "track/artifact_repository.h"
#include "track/experiment_repository.h"
#include "track/metric_store.h"
#include "track/model_registry.h"
#include "track/run_repository.h"
#include "track/schema.h"

namespace trainyard::track {

/// Everything that tracking keeps, over one database and one object store that outlive it. `prepare_tracking` comes first. The parts may be
/// used from any thread and block.
class Tracking {
 public:
  struct Deps {
    store::Database& database;
    store::ObjectStore& objects;
    const Clock& clock;
  };
  explicit Tracking(Deps deps)
      : deps_(deps),
        experiments_(deps.database, deps.clock),
        runs_({.database = deps.database, .metrics = metrics_, .clock = deps.clock}),
        models_(deps.database, deps.clock),
        artifacts_(deps.database, deps.objects, deps.clock) {}
  Tracking(const Tracking&) = delete;
  Tracking& operator=(const Tracking&) = delete;

  ExperimentRepository& experiments() { return experiments_; }
  RunRepository& runs() { return runs_; }
  ModelRegistry& models() { return models_; }
  ArtifactRepository& artifacts() { return artifacts_; }

  /// Runs `work` with a tracking whose writes are one transaction of the database. Any of them that fails undoes all.
  Result<void> together(const std::function<Result<void>(Tracking&)>& work);

 private:
  Deps deps_;
  BlockMetricStore metrics_;
  ExperimentRepository experiments_;
  RunRepository runs_;
  ModelRegistry models_;
  ArtifactRepository artifacts_;
};

}  // namespace trainyard::track
