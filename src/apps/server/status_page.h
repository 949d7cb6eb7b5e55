#pragma once
#include <functional>
#include <optional>
#include <string>

#include "base/executor.h"
#include "base/metrics.h"
#include "jobs/job_service.h"
#include "net/router.h"

namespace trainyard::apps {

struct MetricsContext {
  Executor& strand;
  jobs::JobService& jobs;
  MetricsRegistry& metrics;
  std::function<bool()> leads;
};

/// Adds /healthz and /readyz, open: the second answers 503 with what `not_ready` says. It is called on network threads.
void add_health_routes(net::Router& router, std::function<std::optional<std::string>()> not_ready);
/// Adds /metrics.
void add_metrics_route(net::Router& router, MetricsContext context);
/// Adds POST /api/v1/server:shutdown. `shutdown` is called on a network thread.
void add_shutdown_route(net::Router& router, std::function<void()> shutdown);

}  // namespace trainyard::apps
