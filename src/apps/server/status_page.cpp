#include "apps/server/status_page.h"

#include <fmt/format.h>

namespace trainyard::apps {
namespace {

/// What a server that is about to stop answers.
struct ShutdownView {
  static constexpr std::string_view kSchemaName = "Shutdown";
  bool stopping = true;
  void describe(FieldVisitor& fields) { fields.field("stopping", stopping, "Always true."); }
};

void metrics(const MetricsContext& context, const net::ResponderPtr& responder) {
  context.strand.post([context, responder] {
    for (const JobState state : {JobState::kQueued, JobState::kStarting, JobState::kRunning, JobState::kStopping}) {
      const auto counts = context.jobs.counts();
      const auto found = counts.find(state);
      context.metrics.gauge("trainyard_jobs", "Live jobs by state.", fmt::format("state=\"{}\"", name_of(state)))
          .set(found == counts.end() ? 0.0 : static_cast<double>(found->second));
    }
    context.metrics.gauge("trainyard_leader", "1 while this process leads the installation.").set(context.leads() ? 1.0 : 0.0);
    responder->respond(net::text_response(200, context.metrics.prometheus_text(), "text/plain; version=0.0.4; charset=utf-8"));
  });
}

constexpr std::size_t kSmall = std::size_t{1} << 16;

}  // namespace

using net::Permission;

void add_health_routes(net::Router& router, std::function<std::optional<std::string>()> not_ready) {
  router.add({"GET",
              "/healthz",
              Permission::kOpen,
              [](const net::Request&, const net::ResponderPtr& responder) { responder->respond(net::text_response(200, "ok\n")); },
              kSmall,
              {.rate = net::RateClass::kReserved}});
  router.add({"GET",
              "/readyz",
              Permission::kOpen,
              [not_ready = std::move(not_ready)](const net::Request&, const net::ResponderPtr& responder) {
                const std::optional<std::string> why = not_ready();
                responder->respond(why ? net::text_response(503, *why + "\n") : net::text_response(200, "ok\n"));
              },
              kSmall,
              {.rate = net::RateClass::kReserved}});
}

void add_metrics_route(net::Router& router, MetricsContext context) {
  router.add({"GET", "/metrics", Permission::kViewer,
              [context](const net::Request&, const net::ResponderPtr& responder) { metrics(context, responder); }, kSmall});
}

void add_shutdown_route(net::Router& router, std::function<void()> shutdown) {
  router.add({"POST",
              "/api/v1/server:shutdown",
              Permission::kAdmin,
              [shutdown = std::move(shutdown)](const net::Request&, const net::ResponderPtr& responder) {
                shutdown();
                responder->respond(net::json_response(202, encode(ShutdownView())));
              },
              kSmall,
              {.operation = "shutdownServer",
               .tag = "server",
               .summary = "Stops all jobs of the embedded node and then the server.",
               .answers = {net::json_answer<ShutdownView>(202, "It will.")}}});
}

}  // namespace trainyard::apps
