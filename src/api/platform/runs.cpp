#include "api/platform/runs.h"

#include <fmt/format.h>

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
  if (const auto job = view.tags.find("trainyard.job_id"); job != view.tags.end()) view.links = RunLinks{"/api/v1/jobs/" + job->second};
  return view;
}

Result<net::Response> list_runs(const TrackingContext& context, const net::Request& request) {
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
  ASSIGN_OR_RETURN(const track::RunPage page, context.tracking.runs().search(search));
  RunPage answer;
  for (const track::Run& run : page.runs) answer.runs.push_back(view_of(run));
  if (!page.next_page_token.empty()) answer.next_cursor = make_cursor(question, page.next_page_token);
  Document body = encode(answer);
  ASSIGN_OR_RETURN(Document runs, select_fields(body["runs"], request.query_value("fields").value_or(""), field_names<RunView>()));
  body.set("runs", std::move(runs));
  return net::json_response(200, body);
}

Result<net::Response> show_run(const TrackingContext& context, const net::Request& request) {
  ASSIGN_OR_RETURN(const track::Run run, context.tracking.runs().get({request.path_parameters.at("id")}));
  return net::with_etag(request, net::json_response(200, encode(view_of(run))));
}

Result<net::Response> show_metric(const TrackingContext& context, const net::Request& request) {
  MetricHistory answer;
  answer.key = request.query_value("key").value_or("");
  ASSIGN_OR_RETURN(const std::vector<track::MetricPoint> history,
                   context.tracking.runs().history({request.path_parameters.at("id")}, answer.key));
  for (const track::MetricPoint& point : history) answer.points.push_back(view_of(point));
  return net::json_response(200, encode(answer));
}

net::ParameterDoc run_id_parameter() { return net::path_text("id", "Id of the run."); }

net::RouteDoc list_doc() {
  return {.operation = "listRuns",
          .tag = "runs",
          .summary = "Lists tracked runs, newest first.",
          .parameters = {net::query_text("experiment", "Only runs of this experiment."),
                         net::query_text("filter", "Which runs, in the filter language of MLflow: metrics.loss < 0.3."),
                         net::query_text("order_by", "Another order: metrics.loss ASC."), limit_parameter(kPageDefault), cursor_parameter(),
                         fields_parameter()},
          .answers = {net::json_answer<RunPage>(200, "The page; its runs have the chosen fields only, if some were chosen.")}};
}

net::RouteDoc show_doc() {
  return {
      .operation = "getRun",
      .tag = "runs",
      .summary = "One run with its newest metrics, its params and tags.",
      .parameters = {run_id_parameter(), net::header_text("If-None-Match", "The ETag of what the client has.")},
      .answers = {net::json_answer<RunView>(200, "The run.", {"ETag"}), net::empty_answer(304, "The client has it already.", {"ETag"})}};
}

net::RouteDoc metric_doc() {
  net::ParameterDoc key = net::query_text("key", "Name of the metric.");
  key.required = true;
  return {.operation = "getRunMetric",
          .tag = "runs",
          .summary = "The history of one metric of a run.",
          .parameters = {run_id_parameter(), std::move(key)},
          .answers = {net::json_answer<MetricHistory>(200, "All its points.")}};
}

}  // namespace

net::Handler on_blocking_thread(TrackingContext context, TrackingAnswer answer) {
  return [context, answer](net::Request request, net::ResponderPtr responder) {
    context.blocking.post([context, answer, request = std::move(request), responder = std::move(responder)] {
      const Result<net::Response> response = answer(context, request);
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
