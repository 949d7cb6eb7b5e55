#include "apps/server/status_page.h"

#include <fmt/format.h>

namespace trainyard::apps {
namespace {

constexpr std::string_view kPageHead =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Trainyard</title><meta name=\"viewport\" "
    "content=\"width=device-width\"><style>:root{color-scheme:light dark}body{font:16px/1.5 "
    "system-ui,sans-serif;max-width:46rem;margin:3rem "
    "auto;padding:0 1rem}table{border-collapse:collapse}td,th{padding:.25rem 1.5rem .25rem 0;text-align:left}</style></head><body>";

net::Response html(std::string body) { return net::text_response(200, std::move(body), "text/html; charset=utf-8"); }

void status_page(const StatusContext& context, const net::ResponderPtr& responder) {
  context.strand.post([context, responder] {
    std::string rows;
    for (const auto& [state, count] : context.jobs.counts()) rows += fmt::format("<tr><td>{}</td><td>{}</td></tr>", name_of(state), count);
    if (rows.empty()) rows = "<tr><td colspan=\"2\">No job is live. Submit one: <code>trainyard job submit -- echo hello</code></td></tr>";
    responder->respond(
        html(fmt::format("{}<h1>Trainyard</h1><p>The server is up.</p><table><thead><tr><th>Live jobs</th><th>Count</th></tr></thead>"
                         "<tbody>{}</tbody></table><p><a href=\"/api/v1/jobs\">Jobs</a> · <a href=\"/api/v1/workflows\">Workflows</a> · "
                         "<a href=\"/api/v1/datasets\">Datasets</a> · <a href=\"/metrics\">Metrics</a></p></body></html>",
                         kPageHead, rows)));
  });
}

void metrics(const StatusContext& context, const net::ResponderPtr& responder) {
  context.strand.post([context, responder] {
    for (const JobState state : {JobState::kQueued, JobState::kStarting, JobState::kRunning, JobState::kStopping}) {
      const auto counts = context.jobs.counts();
      const auto found = counts.find(state);
      context.metrics.gauge("trainyard_jobs", "Live jobs by state.", fmt::format("state=\"{}\"", name_of(state)))
          .set(found == counts.end() ? 0.0 : static_cast<double>(found->second));
    }
    responder->respond(net::text_response(200, context.metrics.prometheus_text(), "text/plain; version=0.0.4; charset=utf-8"));
  });
}

}  // namespace

void add_status_routes(net::Router& router, StatusContext context) {
  using net::Permission;
  constexpr std::size_t kSmall = std::size_t{1} << 16;
  for (const char* path : {"/healthz", "/readyz"}) {
    router.add({"GET", path, Permission::kOpen,
                [](const net::Request&, const net::ResponderPtr& responder) { responder->respond(net::text_response(200, "ok\n")); },
                kSmall});
  }
  router.add({"GET", "/", Permission::kViewer,
              [context](const net::Request&, const net::ResponderPtr& responder) { status_page(context, responder); }, kSmall});
  router.add({"GET", "/metrics", Permission::kViewer,
              [context](const net::Request&, const net::ResponderPtr& responder) { metrics(context, responder); }, kSmall});
  router.add({"POST", "/api/v1/server:shutdown", Permission::kAdmin,
              [context](const net::Request&, const net::ResponderPtr& responder) {
                context.shutdown();
                responder->respond(net::json_response(202, Document::object()));
              },
              kSmall});
}

}  // namespace trainyard::apps
