#include "api/mlflow/internal/run_caller.h"

#include "access/held_namespaces.h"
#include "access/token_authorizer.h"

namespace trainyard::api::mlflow::internal {

track::RunCaller run_caller(const net::Principal& principal) {
  track::RunCaller caller{.reads = access::held_namespaces(principal, net::Permission::kViewer),
                          .writes = access::held_namespaces(principal, net::Permission::kRunner),
                          .job = {}};
  if (const std::optional<AttemptKey> attempt = access::attempt_of(principal)) caller.job = attempt->job;
  return caller;
}

bool came_too_early(const Error& error, const net::Principal& principal) {
  return error.id == "track.unknown_run" && access::attempt_of(principal).has_value();
}

}  // namespace trainyard::api::mlflow::internal
