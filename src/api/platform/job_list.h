#pragma once
#include "api/platform/job_context.h"
#include "jobs/job_history.h"
#include "net/router.h"

namespace trainyard::api {

/// Adds GET /api/v1/jobs: those that the caller may see and the filter selects, newest first, in pages.
void add_job_list_route(net::Router& router, JobContext context);

/// What the query of a list selects. Errors: INVALID_ARGUMENT "job.state", "query.label", "query.time".
Result<jobs::JobFilter> job_filter_from(const net::Request& request);

}  // namespace trainyard::api
