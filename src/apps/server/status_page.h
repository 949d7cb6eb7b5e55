#pragma once
#include <functional>

#include "base/executor.h"
#include "base/metrics.h"
#include "jobs/job_service.h"
#include "net/router.h"

namespace trainyard::apps {

struct StatusContext {
  Executor& strand;
  jobs::JobService& jobs;
  MetricsRegistry& metrics;
  std::function<void()> shutdown;
};

/// Adds /healthz and /readyz (open), / (a page with the state of the jobs; asks for the token when there is none), /login (a one-time link
/// that sets the session cookie), /metrics, and POST /api/v1/server:shutdown.
void add_status_routes(net::Router& router, StatusContext context);

}  // namespace trainyard::apps
