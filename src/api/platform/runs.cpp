#include "api/platform/runs.h"

#include <fmt/format.h>

#include "access/held_namespaces.h"
#include "access/token_authorizer.h"
#include "api/platform/paging.h"
#include "api/platform/tracking_views.h"
#include "net/conditional.h"

namespace trainyard::api {
namespace {

constexpr std::int64_t kPageDefault = 100;

TimePoint time_of(std::int64_t milliseconds) { return time_from_micros(milliseconds * 1000); }

MetricValue view_of(const track::MetricPoint& point) { return {point.value, point.step, time_of(point.timestamp_ms)}; }

std::map<std::string, std::string> map_of(const std::vector<track::KeyValue>& pairs) {
  std::map<std::string, std::string> out;
  for (const track::KeyValue& pair : pairs) out[pair.key] = pair.value;
  return out;
}

RunView view_of(const track::Run& run) {
  const track::RunInfo& info = run.info;
  RunView view{.id = info.id.text,
               .experiment = info.experiment.text,
               .name = info.name,
               .name_space = info.name_space,
               .user = info.user,
               .status = std::string(name_of(info.status)),
               .started_at = time_of(info.started_ms),
               .ended_at = {},
               .artifact_uri = info.artifact_uri,
               .lifecycle = std::string(name_of(info.lifecycle)),
               .metrics = {},
               .params = map_of(run.params),
               .tags = map_of(run.tags),
               .links = {}};
  if (info.ended_ms) view.ended_at = time_of(*info.ended_ms);
  for (const track::Metric& metric : run.metrics) view.metrics[metric.key] = view_of(metric.point);
  if (info.job.valid()) view.links = RunLinks{"/api/v1/jobs/" + info.job.text()};
  return view;
}

Result<net::Response> list_runs(track::GuardedTracking& tracking, const net::Request& request) {
  track::RunSearch search;
  search.max_results = net::query_number(request, "limit", kPageDefault);
  search.filter = request.query_value("filter").value_or("");
  if (const auto experiment = request.query_value("experiment")) search.experiments.push_back({*experiment});
  if (const auto order = request.query_value("order_by")) search.order_by.push_back(*order);
  const std::string question = fmt::format("runs {} {} {}", request.query_value("experiment").value_or(""),
                                           request.query_value("order_by").value_or(""), search.filter);
  if (const auto cursor = request.query_value("cursor")) {
    ASSIGN_OR_RETURN(search.page_token, read_cursor(*cursor, question));
  }
  ASSIGN_OR_RETURN(const track::RunPage page, tracking.runs().search(search));
  RunPage answer;
  for (const track::Run& run : page.runs) answer.runs.push_back(view_of(run));
  if (!page.next_page_token.empty()) answer.next_cursor = make_cursor(question, page.next_page_token);
  Document body = encode(answer);
  ASSIGN_OR_RETURN(Document runs, select_fields(body["runs"], request.query_value("fields").value_or(""), field_names<RunView>()));
  body.set("runs", std::move(runs));
  return net::json_response(200, body);
}

Result<net::Response> show_run(track::GuardedTracking& tracking, const net::Request& request) {
  ASSIGN_OR_RETURN(const track::Run run, tracking.runs().get({request.path_parameters.at("id")}));
  return net::with_etag(request, net::json_response(200, encode(view_of(run))));
}

Result<net::Response> show_metric(track::GuardedTracking& tracking, const net::Request& request) {
  MetricHistory answer;
  const RunId id{request.path_parameters.at("id")};
  const std::optional<std::string> key = request.query_value("key");
  if (!key) {
    ASSIGN_OR_RETURN(const track::Run run, tracking.runs().get(id));
    for (const track::Metric& metric : run.metrics) {
      answer.histories[metric.key] = fmt::format("/api/v1/runs/{}/metrics?key={}", id.text, net::percent_encode(metric.key));
    }
    return net::json_response(200, encode(answer));
  }
  answer.key = *key;
  ASSIGN_OR_RETURN(const std::vector<track::MetricPoint> history, tracking.runs().history(id, answer.key));
  for (const track::MetricPoint& point : history) answer.points.push_back(view_of(point));
  return net::json_response(200, encode(answer));
}

track::RunCaller run_caller(const net::Principal& principal) {
  track::RunCaller caller{.reads = access::held_namespaces(principal, net::Permission::kViewer),
                          .writes = access::held_namespaces(principal, net::Permission::kRunner),
                          .job = {}};
  if (const std::optional<AttemptKey> attempt = access::attempt_of(principal)) caller.job = attempt->job;
  return caller;
}

net::ParameterDoc run_id_parameter() { return net::path_text("id", "Id of the run."); }

net::RouteDoc list_doc() {
  return {.operation = "listRuns",
          .tag = "runs",
          .summary = "Lists the tracked runs of the namespaces that the caller sees, newest first.",
          .parameters = {net::query_text("experiment", "Only runs of this experiment."),
                         net::query_text("filter", "Which runs, in the filter language of MLflow: metrics.loss < 0.3."),
                         net::query_text("order_by", "Another order: metrics.loss ASC."), limit_parameter(kPageDefault), cursor_parameter(),
                         fields_parameter()},
          .answers = {net::json_answer<RunPage>(200, "The page; its runs have the chosen fields only, if some were chosen.")},
          .namespaced = true};
}

net::RouteDoc show_doc() {
  return {.operation = "getRun",
          .tag = "runs",
          .summary = "One run with its newest metrics, its params and tags.",
          .parameters = {run_id_parameter(), net::header_text("If-None-Match", "The ETag of what the client has.")},
          .answers = {net::json_answer<RunView>(200, "The run.", {"ETag"}), net::empty_answer(304, "The client has it already.", {"ETag"})},
          .namespaced = true};
}

net::RouteDoc metric_doc() {
  return {.operation = "getRunMetric",
          .tag = "runs",
          .summary = "The history of one metric of a run, or where those of all its metrics are.",
          .parameters = {run_id_parameter(), net::query_text("key", "Name of the metric.")},
          .answers = {net::json_answer<MetricHistory>(200, "All its points, or the links.")},
          .namespaced = true};
}

}  // namespace

net::Handler on_blocking_thread(TrackingContext context, TrackingAnswer answer) {
  return [context, answer](net::Request request, net::ResponderPtr responder) {
    context.blocking.post([context, answer, request = std::move(request), responder = std::move(responder)] {
      track::GuardedTracking tracking(context.tracking, run_caller(request.principal));
      const Result<net::Response> response = answer(tracking, request);
      responder->respond(response.ok() ? *response : net::problem_response(response.error(), request.request_id));
    });
  };
}

void add_run_routes(net::Router& router, TrackingContext context) {
  const auto add = [&](const char* pattern, TrackingAnswer answer, net::RouteDoc doc) {
    router.add({"GET", pattern, net::Permission::kViewer, on_blocking_thread(context, answer), std::size_t{1} << 20, std::move(doc)});
  };
  add("/api/v1/runs", list_runs, list_doc());
  add("/api/v1/runs/{id}", show_run, show_doc());
  add("/api/v1/runs/{id}/metrics", show_metric, metric_doc());
}

}  // namespace trainyard::api
