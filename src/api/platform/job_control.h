#pragma once
#include "api/platform/job_context.h"
#include "net/router.h"

namespace trainyard::api {

/// Adds what changes jobs beside submitting and cancelling them:
///   POST /api/v1/jobs/{id}/hold, release, checkpoint, preempt, priority, retry
///   GET  /api/v1/jobs/{id}/attempts
///   POST /api/v1/jobs:batch     up to 10,000 specs, all or none
void add_job_control_routes(net::Router& router, JobContext context);

}  // namespace trainyard::api
