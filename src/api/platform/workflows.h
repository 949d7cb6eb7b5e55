#pragma once
#include "net/router.h"
#include "workflow/workflow_service.h"

namespace trainyard::api {

/// What the workflow routes work on; all of it outlives the HTTP server.
struct WorkflowContext {
  Executor& strand;
  Executor& reads;
  Clock& clock;
  workflow::WorkflowService& workflows;
  workflow::WorkflowRepository& repository;
};

/// Adds POST /api/v1/workflows:run (a spec as YAML or JSON), GET /api/v1/workflows, GET and DELETE /api/v1/workflows/{id}. GET of one run
/// takes ?wait=SECONDS: the answer comes with the next change or when the time is over.
void add_workflow_routes(net::Router& router, WorkflowContext context);

}  // namespace trainyard::api
