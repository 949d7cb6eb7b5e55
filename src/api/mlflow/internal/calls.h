#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "api/mlflow/internal/fields.h"
#include "base/time.h"
#include "net/router.h"
#include "track/guarded_tracking.h"

namespace trainyard::api::mlflow::internal {

/// One call as its handler sees it.
struct Call {
  const Fields& arguments;
  const net::Principal& principal;
  track::GuardedTracking& tracking;  ///< As the caller may use it.
  const Clock& clock;

  std::int64_t now_ms() const { return micros(clock.now()) / 1000; }
};

/// Answers with the message of a 200; blocks on the database.
using CallHandler = Result<Document> (*)(const Call& call);

/// "POST", "runs/create": the path below /api/2.0/mlflow/.
struct CallRoute {
  std::string_view method;
  std::string_view path;
  net::Permission permission;
  CallHandler handler;
};

std::vector<CallRoute> experiment_calls();
std::vector<CallRoute> run_calls();
std::vector<CallRoute> registry_calls();

}  // namespace trainyard::api::mlflow::internal
