#pragma once
#include "base/executor.h"
#include "net/router.h"
#include "track/tracking.h"

namespace trainyard::api::mlflow {

struct MlflowSettings {
  std::size_t json_body_max = std::size_t{4} << 20;
  std::size_t artifact_body_max = std::size_t{256} << 20;  ///< Bodies are held in memory while they are stored.
};

/// What the routes work on; all of it outlives the HTTP server.
struct MlflowContext {
  Executor& blocking;    ///< For the database.
  Executor& bulk;        ///< For the bytes of artifacts, which take their time.
  Executor& run_writer;  ///< Where the runs of jobs are opened. A job that names its run before that is done is answered behind it.
  track::Tracking& tracking;
  const Clock& clock;
  MlflowSettings settings = {};
};

// MLflow's REST API, so that unmodified clients of its 2.x and 3.x releases can track runs, keep artifacts and use the registry. Every call
// is there below /api/2.0/mlflow and /ajax-api/2.0/mlflow. Reading needs the role viewer, writing runner, deleting experiments and models
// operator. Below these paths the router's own refusals are written as {"error_code", "message"}.

/// Adds experiments, runs, /api/2.0/mlflow-artifacts/*, /api/3.0/mlflow/server-info, /health and /version.
void add_mlflow_tracking_routes(net::Router& router, const MlflowContext& context);
/// Adds registered models and their versions.
void add_mlflow_registry_routes(net::Router& router, const MlflowContext& context);

}  // namespace trainyard::api::mlflow
