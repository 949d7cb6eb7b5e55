#pragma once
#include "base/executor.h"
#include "jobs/job_history.h"
#include "net/router.h"

namespace trainyard::api {

/// What the route of usage works on; `reads` may block. All of it outlives the HTTP server.
struct UsageContext {
  Executor& reads;
  const Clock& clock;
  jobs::JobHistory& history;
};

/// Adds GET /api/v1/usage: what jobs that ended in a span of time have had, by user, queue, namespace or day.
void add_usage_route(net::Router& router, UsageContext context);

}  // namespace trainyard::api
