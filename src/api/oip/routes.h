#pragma once
#include <string>

#include "base/time.h"
#include "net/router.h"
#include "serve/model_host.h"

namespace trainyard::api::oip {

struct OipSettings {
  std::string server_version = "0";
  Duration time_limit{30'000'000};  ///< How long a request may wait for an instance; a shorter `timeout` of its own wins.
  std::size_t body_max = std::size_t{64} << 20;
};

/// Adds the Open Inference Protocol v2 over REST below /v2, and /metrics. Health is open, everything else needs the viewer role. The router
/// writes its own refusals below /v2 as {"error": text}. `host` and `clock` outlive the router's server.
void add_oip_routes(net::Router& router, serve::ModelHost& host, const Clock& clock, const OipSettings& settings);

}  // namespace trainyard::api::oip
