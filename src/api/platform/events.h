#pragma once
#include "api/platform/job_context.h"
#include "net/router.h"

namespace trainyard::api {

/// Adds GET /api/v1/events and GET /api/v1/jobs/{id}/events. With `Accept: text/event-stream` the answer is a stream that resumes after
/// `Last-Event-ID` (or ?after=); otherwise a page of JSON. At most 256 streams; the next one is answered 503.
void add_event_routes(net::Router& router, JobContext context);

}  // namespace trainyard::api
