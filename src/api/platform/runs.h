#pragma once
#include "base/executor.h"
#include "net/router.h"
#include "track/guarded_tracking.h"

namespace trainyard::api {

/// What the run and model routes work on; all of it outlives the HTTP server. `blocking` is a thread for database access.
struct TrackingContext {
  Executor& blocking;
  track::Tracking& tracking;
};

/// Adds, for the runs of the namespaces in which the caller is a viewer,
///   GET /api/v1/runs?experiment=&filter=&order_by=&limit=&cursor=   {"runs":[..],"next_cursor"}, newest first; filter as in MLflow
///   GET /api/v1/runs/{id}                                           one run with its latest metrics, params and tags
///   GET /api/v1/runs/{id}/metrics?key=                              {"key","points":[{"step","value","time"}]}: the history of one metric
void add_run_routes(net::Router& router, TrackingContext context);

/// A handler that answers on the blocking thread, with tracking as the caller may use it; a failure becomes problem details.
using TrackingAnswer = Result<net::Response> (*)(track::GuardedTracking& tracking, const net::Request& request);
net::Handler on_blocking_thread(TrackingContext context, TrackingAnswer answer);

}  // namespace trainyard::api
