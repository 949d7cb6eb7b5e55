#pragma once
#include <functional>

#include "api/platform/job_context.h"
#include "base/describe_schema.h"
#include "net/router.h"

namespace trainyard::api {

/// Of the answer of `dry_run`.
Document write_dry_run_schema(SchemaBook& book, SchemaStyle style);

/// Answers a submit with what would become of it, and stores nothing. Every refusal of a real submit is one here too; `placed` gives a
/// fault of the spec its place in what was sent.
void dry_run(const JobContext& context, const net::Request& request, const net::ResponderPtr& responder, JobSpec spec,
             std::function<Error(Error)> placed);

/// POST /api/v1/what-if. Callers see starts and stops of jobs in their own namespaces only, and how many others there are.
void add_what_if_route(net::Router& router, JobContext context);

}  // namespace trainyard::api
