#pragma once
#include "api/platform/runs.h"

namespace trainyard::api {

/// Adds
///   POST /api/v1/models/{name}/versions         registers a version, and the model when it is new; 201. Body: {"source", "run_id"?,
///                                               "dataset"?, "description"?, "tags"?, "alias"?, "idempotency_key"?}
///   GET  /api/v1/models                         {"models":[..]} by name, each with its aliases and newest version
///   GET  /api/v1/models/{name}                  one model with all its versions
///   PUT  /api/v1/models/{name}/aliases/{alias}  {"version": N}: moves the alias
void add_model_routes(net::Router& router, TrackingContext context);

}  // namespace trainyard::api
