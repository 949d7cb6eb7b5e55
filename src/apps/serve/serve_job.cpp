#include "apps/serve/serve_job.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <cstdio>

#include "api/oip/routes.h"
#include "apps/serve/endpoint_authorizer.h"
#include "apps/serve/model_file.h"
#include "apps/serve_configs.h"
#include "net/http_server.h"
#include "serve/model_host.h"

namespace trainyard::apps {
namespace {

using namespace std::chrono_literals;

constexpr Duration kHeartbeat = 5s;

serve::BatchQueueSettings batching_of(const ServeConfig& config) {
  return {.rows_max = static_cast<std::size_t>(config.max_batch), .requests_max = static_cast<std::size_t>(config.queue_max)};
}

net::HttpServerSettings http_settings_of(const ServeConfig& config) {
  net::HttpServerSettings settings;
  settings.host = config.host;
  settings.port = static_cast<std::uint16_t>(config.port);
  settings.allowed_hosts = config.allowed_hosts;
  settings.certificate_file = config.tls_cert;
  settings.key_file = config.tls_key;
  settings.insecure_public = config.insecure_public;
  // A request may wait its whole limit and still be answered.
  settings.request_timeout += std::chrono::duration_cast<std::chrono::milliseconds>(config.time_limit);
  return settings;
}

/// What others connect to: an address that means "every interface" is no address to call.
std::string url_of(const ServeConfig& config, std::uint16_t port) {
  return fmt::format("{}://{}:{}", config.tls_cert.empty() ? "http" : "https", config.host == "0.0.0.0" ? "127.0.0.1" : config.host, port);
}

Result<void> load_model(serve::ModelHost& host, const ServeConfig& config, const std::string& object_root) {
  ASSIGN_OR_RETURN(const std::string path, resolve_model_file(config.model_uri, object_root));
  Result<void> loaded = host.load(config.model_name, config.model_version, {path, static_cast<std::size_t>(config.instances)});
  if (!loaded.ok()) return model_failure(std::move(loaded).error()).with_context(fmt::format("loading {}", config.model_uri));
  return {};
}

void report(runner::EventWriter& events, const serve::ModelHost& host, const ServeConfig& config) {
  const Result<serve::ServedVersionPtr> served = host.find(config.model_name, config.model_version);
  if (!served.ok()) return;
  const serve::ServingStatistics statistics = served.value()->batcher().statistics();
  events.progress(
      static_cast<std::int64_t>(statistics.success.count), 0,
      fmt::format("{} requests answered, {} failed, {} rejected", statistics.success.count, statistics.fail.count, statistics.rejected));
}

}  // namespace

Result<runner::ExitCode> run_serve_job(runner::JobContext& context, serve::ModelLoader& loader, const std::string& version) {
  ASSIGN_OR_RETURN(const ServeConfig config, decode<ServeConfig>(context.spec.config));
  context.events.progress(0, 0, "loading the model");
  serve::ModelHost host({.batching = batching_of(config)}, loader, context.clock);
  TRY(load_model(host, config, context.spec.object_root));

  EndpointAuthorizer authorizer(config.token);
  net::Router router(authorizer);
  api::oip::add_oip_routes(router, host, context.clock, {.server_version = version, .time_limit = config.time_limit});
  ASSIGN_OR_RETURN(const std::unique_ptr<net::HttpServer> server, net::make_http_server(http_settings_of(config), router));
  const std::string url = url_of(config, server->port());
  fmt::print("serving {} version {} at {}/v2/models/{}\n", config.model_name, config.model_version, url, config.model_name);
  std::fflush(stdout);
  context.events.ready(url);

  do {
    report(context.events, host, config);
  } while (!context.stop.wait_for_stop(kHeartbeat));

  server->stop(std::chrono::duration_cast<std::chrono::milliseconds>(config.drain));
  host.unload(config.model_name, config.model_version);
  fmt::print("stopped on request\n");
  return runner::ExitCode::kDone;
}

}  // namespace trainyard::apps
