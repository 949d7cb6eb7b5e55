#pragma once
#include "api/platform/job_context.h"
#include "cluster/queue_intents.h"
#include "net/router.h"

namespace trainyard::api {

/// Adds GET /api/v1/queues and GET /api/v1/queues/{name}: what waits and runs in each, what it may use and what it uses.
void add_queue_routes(net::Router& router, JobContext context);

/// Who stops queues. `writes` is a thread for blocking writes.
struct QueueControl {
  JobContext jobs;
  Executor& writes;
  cluster::QueueIntents& intents;
};

/// Adds POST /api/v1/queues/{name}/stop and /start: durable first, then effective.
void add_queue_control_routes(net::Router& router, QueueControl control);

/// Tells the service what an operator wants, now or when it starts. Errors: NOT_FOUND "queue.unknown".
Result<void> apply_queue_intent(jobs::JobService& service, const cluster::QueueIntent& intent);

}  // namespace trainyard::api
