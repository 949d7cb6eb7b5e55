#pragma once
#include "api/platform/job_context.h"
#include "net/router.h"

namespace trainyard::api {

/// Adds GET /api/v1/queues and GET /api/v1/queues/{name}: what waits and runs in each, what it may use and what it uses.
void add_queue_routes(net::Router& router, JobContext context);

}  // namespace trainyard::api
