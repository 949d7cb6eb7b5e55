#include "api/platform/runs.h"

#include <fmt/format.h>

#include <charconv>

namespace trainyard::api {
namespace {

constexpr std::int64_t kPageMax = 1000;

std::string time_text(std::int64_t milliseconds) { return to_rfc3339(time_from_micros(milliseconds * 1000)); }

Document point_document(const track::MetricPoint& point) {
  return Document::object({{"step", point.step}, {"value", point.value}, {"time", time_text(point.timestamp_ms)}});
}

Document pairs_document(const std::vector<track::KeyValue>& pairs) {
  Document object = Document::object();
  for (const track::KeyValue& pair : pairs) object.set(pair.key, pair.value);
  return object;
}

Document run_document(const track::Run& run) {
  const track::RunInfo& info = run.info;
  Document metrics = Document::object();
  for (const track::Metric& metric : run.metrics) metrics.set(metric.key, point_document(metric.point));
  Document document = Document::object({{"id", info.id.text},
                                        {"experiment", info.experiment.text},
                                        {"name", info.name},
                                        {"user", info.user},
                                        {"status", name_of(info.status)},
                                        {"started_at", time_text(info.started_ms)}});
  if (info.ended_ms) document.set("ended_at", time_text(*info.ended_ms));
  document.set("artifact_uri", info.artifact_uri);
  document.set("lifecycle", name_of(info.lifecycle));
  document.set("metrics", std::move(metrics));
  document.set("params", pairs_document(run.params));
  document.set("tags", pairs_document(run.tags));
  for (const track::KeyValue& tag : run.tags) {
    if (tag.key == "trainyard.job_id") document.set("links", Document::object({{"job", "/api/v1/jobs/" + tag.value}}));
  }
  return document;
}

Result<std::int64_t> limit_of(const net::Request& request) {
  const std::string text = request.query_value("limit").value_or("100");
  std::int64_t limit = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (code == std::errc() && end == text.data() + text.size() && limit >= 1 && limit <= kPageMax) return limit;
  return invalid_argument("spec.range", fmt::format("limit must be a whole number from 1 to {}, not \"{}\"", kPageMax, text), "/limit");
}

Result<net::Response> list_runs(const TrackingContext& context, const net::Request& request) {
  track::RunSearch search;
  ASSIGN_OR_RETURN(search.max_results, limit_of(request));
  search.filter = request.query_value("filter").value_or("");
  search.page_token = request.query_value("cursor").value_or("");
  if (const auto experiment = request.query_value("experiment")) search.experiments.push_back({*experiment});
  if (const auto order = request.query_value("order_by")) search.order_by.push_back(*order);
  ASSIGN_OR_RETURN(const track::RunPage page, context.tracking.runs().search(search));
  Document runs = Document::array();
  for (const track::Run& run : page.runs) runs.push(run_document(run));
  Document answer = Document::object({{"runs", std::move(runs)}});
  if (!page.next_page_token.empty()) answer.set("next_cursor", page.next_page_token);
  return net::json_response(200, answer);
}

Result<net::Response> show_run(const TrackingContext& context, const net::Request& request) {
  ASSIGN_OR_RETURN(const track::Run run, context.tracking.runs().get({request.path_parameters.at("id")}));
  return net::json_response(200, run_document(run));
}

Result<net::Response> show_metric(const TrackingContext& context, const net::Request& request) {
  const std::optional<std::string> key = request.query_value("key");
  if (!key) return invalid_argument("spec.missing_key", "the query parameter \"key\" must name a metric of the run", "/key");
  ASSIGN_OR_RETURN(const std::vector<track::MetricPoint> history,
                   context.tracking.runs().history({request.path_parameters.at("id")}, *key));
  Document points = Document::array();
  for (const track::MetricPoint& point : history) points.push(point_document(point));
  return net::json_response(200, Document::object({{"key", *key}, {"points", std::move(points)}}));
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
  const auto add = [&](const char* pattern, TrackingAnswer answer) {
    router.add({"GET", pattern, net::Permission::kViewer, on_blocking_thread(context, answer)});
  };
  add("/api/v1/runs", list_runs);
  add("/api/v1/runs/{id}", show_run);
  add("/api/v1/runs/{id}/metrics", show_metric);
}

}  // namespace trainyard::api
