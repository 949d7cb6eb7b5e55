#pragma once
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
  Tracking(store::Database& database, store::ObjectStore& objects, const Clock& time_source)
      : experiments(database, time_source),
        runs({.database = database, .metrics = metrics_, .clock = time_source}),
        models(database, time_source),
        artifacts(database, objects, time_source),
        clock(time_source) {}

 private:
  BlockMetricStore metrics_;

 public:
  ExperimentRepository experiments;
  RunRepository runs;
  ModelRegistry models;
  ArtifactRepository artifacts;
  const Clock& clock;
};

}  // namespace trainyard::track
