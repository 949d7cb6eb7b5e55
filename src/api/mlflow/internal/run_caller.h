#pragma once
#include "net/http.h"
#include "track/run_caller.h"

namespace trainyard::api::mlflow::internal {

/// Whom tracking sees in a caller.
track::RunCaller run_caller(const net::Principal& principal);

/// Whether a job may have been faster than the writing of its own run: it asked for a run that is not there.
bool came_too_early(const Error& error, const net::Principal& principal);

}  // namespace trainyard::api::mlflow::internal
