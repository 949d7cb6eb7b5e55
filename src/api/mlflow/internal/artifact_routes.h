#pragma once
#include "api/mlflow/routes.h"

namespace trainyard::api::mlflow::internal {

/// Adds /api/2.0/mlflow-artifacts/*: the files below the artifact root. Paths that climb out of it are refused however they are quoted.
void add_artifact_routes(net::Router& router, const MlflowContext& context);

}  // namespace trainyard::api::mlflow::internal
