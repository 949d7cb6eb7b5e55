#pragma once
#include "api/platform/job_context.h"
#include "net/router.h"

namespace trainyard::api {

/// Adds POST /api/v1/jobs, GET and DELETE /api/v1/jobs/{id}, POST .../cancel and GET .../explain.
/// GET of one job takes ?wait=SECONDS: the answer comes when the job ended or the time is over.
void add_job_routes(net::Router& router, JobContext context);

}  // namespace trainyard::api
