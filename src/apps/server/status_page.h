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
  bool read_only = false;  ///< The server is up but takes no changes: /readyz answers 503.
  std::function<void()> shutdown;
};

/// Adds /healthz and /readyz (open), /metrics, and POST /api/v1/server:shutdown. Pages for people: browser.h.
void add_status_routes(net::Router& router, StatusContext context);

}  // namespace trainyard::apps
