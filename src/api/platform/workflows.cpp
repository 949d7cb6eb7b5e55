#include "api/platform/workflows.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "api/platform/job_context.h"
#include "api/platform/paging.h"
#include "api/platform/workflow_views.h"

namespace trainyard::api {
namespace {

constexpr std::int64_t kWaitMaxSeconds = 50;  // Below the request deadline of the server.
constexpr std::size_t kListMax = 200;

using workflow::WorkflowRun;
using workflow::WorkflowRunId;

Result<std::uint64_t> parse_number(std::string_view text, std::string_view what) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  return invalid_argument("query.number", fmt::format("{} must be a non-negative integer: {}", what, text));
}

net::Response run_response(const WorkflowRun& run, int status = 200) { return net::json_response(status, workflow::to_document(run)); }

/// The live run, else what the database holds.
void find_run(WorkflowContext context, WorkflowRunId id, std::function<void(Result<WorkflowRun>)> done) {
  context.workflows.get(id, [context, id, done = std::move(done)](Result<WorkflowRun> live) {
    if (live.ok()) return done(std::move(live));
    context.reads.post([context, id, done] { done(context.repository.get(id)); });
  });
}

void answer(WorkflowContext context, WorkflowRunId id, int status, const net::ResponderPtr& responder, const std::string& request_id) {
  find_run(context, id, [responder, request_id, status](const Result<WorkflowRun>& run) {
    responder->respond(run.ok() ? run_response(*run, status) : net::problem_response(run.error(), request_id));
  });
}

void run(WorkflowContext context, const net::Request& request, const net::ResponderPtr& responder) {
  Result<Document> body = parse_yaml(request.body, request.query_value("file").value_or("workflow.yaml"));
  if (body.ok()) body = workflow::resolve_directory(*body, request.query_value("directory").value_or(""));
  if (!body.ok()) return responder->respond(net::problem_response(body.error(), request.request_id));
  const Result<std::string> key = idempotency_key_of(request);
  if (!key.ok()) return responder->respond(net::problem_response(key.error(), request.request_id));
  context.strand.post(
      [context, source = std::move(body).value(), responder, request_id = request.request_id, owner = request.principal.name, key = *key] {
        const auto done = [context, responder, request_id](const Result<WorkflowRunId>& id) {
          if (!id.ok()) return responder->respond(net::problem_response(id.error(), request_id));
          // The run becomes readable with the write that this is a release of.
          context.strand.post([context, id = *id, responder, request_id] { answer(context, id, 201, responder, request_id); });
        };
        key.empty() ? context.workflows.submit(source, owner, done) : context.workflows.submit_once(source, owner, key, done);
      });
}

void list(WorkflowContext context, const net::Request& request, const net::ResponderPtr& responder) {
  const auto limit = static_cast<std::size_t>(net::query_number(request, "limit", kListMax));
  context.reads.post([context, limit, responder, request_id = request.request_id] {
    const Result<std::vector<WorkflowRun>> runs = context.repository.list(limit);
    if (!runs.ok()) return responder->respond(net::problem_response(runs.error(), request_id));
    Document items = Document::array();
    for (const WorkflowRun& run : *runs) items.push(workflow::to_document(run));
    Document body = Document::object();
    body.set("workflows", std::move(items));
    responder->respond(net::json_response(200, body));
  });
}

/// Answers once: with the next durable change of a run, or when the time is over. Lives on the strand.
class RunWait : public std::enable_shared_from_this<RunWait> {
 public:
  RunWait(WorkflowContext context, WorkflowRunId id, std::function<void()> done) : context_(context), id_(id), done_(std::move(done)) {}

  void start(Duration wait) {
    subscription_ = context_.workflows.subscribe([self = shared_from_this()](const WorkflowRun& run) {
      if (run.id == self->id_) self->finish();
    });
    context_.strand.post_at(context_.clock.monotonic_now() + wait, [self = shared_from_this()] { self->finish(); });
  }

 private:
  void finish() {
    if (std::exchange(finished_, true)) return;
    context_.strand.post([self = shared_from_this()] {
      self->context_.workflows.unsubscribe(self->subscription_);
      self->done_();
    });
  }

  WorkflowContext context_;
  WorkflowRunId id_;
  std::function<void()> done_;
  std::uint64_t subscription_ = 0;
  bool finished_ = false;
};

void get(WorkflowContext context, const net::Request& request, const net::ResponderPtr& responder) {
  const Result<std::uint64_t> id = parse_number(request.path_parameters.at("id"), "the id of a workflow run");
  if (!id.ok()) return responder->respond(net::problem_response(id.error(), request.request_id));
  const Duration span = std::chrono::seconds(std::min(net::query_number(request, "wait", 0), kWaitMaxSeconds));
  context.strand.post([context, id = WorkflowRunId(*id), span, responder, request_id = request.request_id] {
    context.workflows.get(id, [context, id, span, responder, request_id](const Result<WorkflowRun>& live) {
      const auto done = [context, id, responder, request_id] { answer(context, id, 200, responder, request_id); };
      if (!live.ok() || span == Duration(0)) return done();
      std::make_shared<RunWait>(context, id, done)->start(span);  // shared: the subscription and the timer hold it
    });
  });
}

void cancel(WorkflowContext context, const net::Request& request, const net::ResponderPtr& responder) {
  const Result<std::uint64_t> id = parse_number(request.path_parameters.at("id"), "the id of a workflow run");
  if (!id.ok()) return responder->respond(net::problem_response(id.error(), request.request_id));
  context.strand.post([context, id = WorkflowRunId(*id), responder, request_id = request.request_id] {
    context.workflows.cancel(id, [context, id, responder, request_id](const Result<void>&) {
      context.strand.post([context, id, responder, request_id] { answer(context, id, 202, responder, request_id); });
    });
  });
}

net::ParameterDoc run_parameter() { return net::path_text("id", "Number of the run."); }

net::RouteDoc run_doc() {
  return {.operation = "runWorkflow",
          .tag = "workflows",
          .summary = "Starts a workflow; the answer comes when the run is durable.",
          .parameters = {net::query_text("file", "Name of the file that the spec comes from, for messages."),
                         net::query_text("directory", "What relative paths in the spec are relative to."),
                         net::header_text("Idempotency-Key", "The same key again answers with the run it started first.")},
          .body = net::BodyDoc{.media_types = {"application/yaml", "application/json"}, .doc = "The spec."},
          .answers = {net::json_answer<WorkflowRunView>(201, "The run.")},
          .problems = {404, 409}};
}

net::RouteDoc list_doc() {
  return {.operation = "listWorkflows",
          .tag = "workflows",
          .summary = "Lists the newest runs of workflows.",
          .parameters = {limit_parameter(kListMax)},
          .answers = {net::json_answer<WorkflowRunList>(200, "Newest first.")}};
}

net::RouteDoc get_doc() {
  return {.operation = "getWorkflow",
          .tag = "workflows",
          .summary = "One run, at once or with its next change.",
          .parameters = {run_parameter(), net::query_integer("wait", {.min = 0, .max = 3'600}, 0, "Seconds to wait for a change.")},
          .answers = {net::json_answer<WorkflowRunView>(200, "The run.")}};
}

net::RouteDoc cancel_doc() {
  return {.operation = "cancelWorkflow",
          .tag = "workflows",
          .summary = "Cancels a run and the jobs of its tasks.",
          .parameters = {run_parameter()},
          .answers = {net::json_answer<WorkflowRunView>(202, "The run, which is being stopped or has ended.")}};
}

}  // namespace

void add_workflow_routes(net::Router& router, WorkflowContext context) {
  using net::Permission;
  const auto add = [&router, context](std::string method, std::string pattern, Permission permission, auto serve, net::RouteDoc doc) {
    router.add({std::move(method), std::move(pattern), permission,
                [context, serve](const net::Request& request, const net::ResponderPtr& responder) { serve(context, request, responder); },
                std::size_t{1} << 20, std::move(doc)});
  };
  add("POST", "/api/v1/workflows:run", Permission::kOperator, run, run_doc());
  add("GET", "/api/v1/workflows", Permission::kViewer, list, list_doc());
  add("GET", "/api/v1/workflows/{id}", Permission::kViewer, get, get_doc());
  add("DELETE", "/api/v1/workflows/{id}", Permission::kOperator, cancel, cancel_doc());
}

}  // namespace trainyard::api
