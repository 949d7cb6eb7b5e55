#include "api/platform/jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "api/platform/explain.h"
#include "api/platform/training_request.h"
#include "base/checksum.h"
#include "base/file.h"

namespace trainyard::api {
namespace {

constexpr std::size_t kListMax = 1'000;
constexpr std::uint64_t kWaitMaxSeconds = 50;  // Below the request deadline of the server.

net::Response job_response(const jobs::Job& job, int status = 200) { return net::json_response(status, jobs::job_view(job)); }

Result<Document> parse_body(const net::Request& request) {
  const std::size_t first = request.body.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return invalid_argument("spec.empty", "the request has no body: send a job spec as JSON or YAML");
  const std::string_view type = request.headers.get("content-type").value_or("");
  if (type.find("yaml") != std::string_view::npos || request.body[first] != '{') {
    return parse_yaml(request.body, request.query_value("file").value_or("spec.yaml"));
  }
  return parse_json(request.body);
}

Result<JobSpec> decode_spec(const net::Request& request) {
  ASSIGN_OR_RETURN(Document body, parse_body(request));
  if (is_training_request(body)) {
    ASSIGN_OR_RETURN(body, training_job_spec(body));
  }
  return job_spec_from(body);
}

void submit(JobContext context, net::Request request, net::ResponderPtr responder) {
  Result<JobSpec> spec = decode_spec(request);
  if (!spec.ok()) return responder->respond(net::problem_response(spec.error(), request.request_id));

  // The resolver reads the catalog, so it has its turn on the reading thread.
  context.reads.post([context, request = std::move(request), responder, spec = std::move(spec).value()]() mutable {
    Result<Document> resolved = context.resolver.resolve(spec);
    if (!resolved.ok()) return responder->respond(net::problem_response(resolved.error(), request.request_id));
    jobs::Submission submission{std::move(spec), std::move(resolved).value(), request.principal.name,
                                std::string(request.headers.get("idempotency-key").value_or("")), xxh3_hex(as_bytes(request.body))};
    context.strand.post([context, submission = std::move(submission), responder, request_id = request.request_id]() mutable {
      context.jobs.submit(std::move(submission), [context, responder, request_id](Result<JobId> id) {
        if (!id.ok()) return responder->respond(net::problem_response(id.error(), request_id));
        find_job(context, *id, [responder, request_id](const Result<jobs::Job>& job) {
          reply(responder, request_id, job, [](const jobs::Job& found) {
            net::Response response = job_response(found, 201);
            response.headers.set("Location", "/api/v1/jobs/" + found.id.text());
            return response;
          });
        });
      });
    });
  });
}

Result<std::uint64_t> number_parameter(const net::Request& request, std::string_view name, std::uint64_t fallback) {
  const std::optional<std::string> text = request.query_value(name);
  if (!text) return fallback;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error == std::errc() && end == text->data() + text->size()) return value;
  return invalid_argument("query.number", fmt::format("the query parameter {} must be a non-negative integer: {}", name, *text));
}

Result<Document> list_page(store::JobLedger& ledger, JobId before, std::size_t limit) {
  ASSIGN_OR_RETURN(const std::vector<store::JobRecord> records, ledger.list(before, limit));
  Document items = Document::array();
  for (const store::JobRecord& record : records) {
    ASSIGN_OR_RETURN(const jobs::Job job, jobs::decode_job(record.body));
    items.push(jobs::job_view(job));
  }
  Document page = Document::object();
  page.set("jobs", std::move(items));
  if (records.size() == limit) page.set("next_before", records.back().id.text());
  return page;
}

void list(JobContext context, const net::Request& request, net::ResponderPtr responder) {
  const Result<std::uint64_t> before = number_parameter(request, "before", 0);
  const Result<std::uint64_t> limit = number_parameter(request, "limit", 100);
  if (!before.ok() || !limit.ok()) {
    return responder->respond(net::problem_response(before.ok() ? limit.error() : before.error(), request.request_id));
  }
  const std::size_t page_size = std::clamp<std::size_t>(*limit, 1, kListMax);
  context.strand.post([context, before = JobId(*before), page_size, responder, request_id = request.request_id] {
    context.jobs.barrier([context, before, page_size, responder, request_id] {
      context.reads.post([context, before, page_size, responder, request_id] {
        reply(responder, request_id, list_page(context.ledger, before, page_size),
              [](const Document& page) { return net::json_response(200, page); });
      });
    });
  });
}

/// Answers once, with the job as it is when it ended or when the time was over. Lives on the strand.
class JobWait : public std::enable_shared_from_this<JobWait> {
 public:
  JobWait(JobContext context, JobId id, std::function<void()> done) : context_(context), id_(id), done_(std::move(done)) {}

  void start(Duration wait) {
    // shared: the subscription and the timer keep the wait alive until one of them ends it.
    subscription_ = context_.jobs.subscribe([self = shared_from_this()](const store::EventRecord& event) { self->on_event(event); });
    context_.strand.post_at(context_.clock.monotonic_now() + wait, [self = shared_from_this()] { self->finish(); });
  }

 private:
  void on_event(const store::EventRecord& event) {
    const std::optional<JobState> state =
        event.job == id_ ? job_state_from(parse_json(event.body)->operator[]("state").text()) : std::nullopt;
    if (state && is_terminal(*state)) finish();
  }

  void finish() {
    if (finished_) return;
    finished_ = true;
    context_.strand.post([self = shared_from_this()] {
      self->context_.jobs.unsubscribe(self->subscription_);
      self->done_();
    });
  }

  JobContext context_;
  JobId id_;
  std::function<void()> done_;
  std::uint64_t subscription_ = 0;
  bool finished_ = false;
};

void get_now(JobContext context, JobId id, const net::ResponderPtr& responder, const std::string& request_id) {
  find_job(context, id, [responder, request_id](const Result<jobs::Job>& job) {
    reply(responder, request_id, job, [](const jobs::Job& found) { return job_response(found); });
  });
}

void get(JobContext context, const net::Request& request, const net::ResponderPtr& responder) {
  const Result<JobId> id = parse_job_id(request.path_parameters.at("id"));
  const Result<std::uint64_t> wait = number_parameter(request, "wait", 0);
  if (!id.ok() || !wait.ok()) return responder->respond(net::problem_response(id.ok() ? wait.error() : id.error(), request.request_id));
  if (*wait == 0) return get_now(context, *id, responder, request.request_id);

  const Duration span = std::chrono::seconds(std::min<std::uint64_t>(*wait, kWaitMaxSeconds));
  context.strand.post([context, id = *id, span, responder, request_id = request.request_id] {
    context.jobs.get(id, [context, id, span, responder, request_id](const Result<jobs::Job>& job) {
      // The event of an end that is known here may have been told already.
      if (!job.ok() || is_terminal(job->state)) return get_now(context, id, responder, request_id);
      const auto answer = [context, id, responder, request_id] { get_now(context, id, responder, request_id); };
      std::make_shared<JobWait>(context, id, answer)->start(span);  // shared: see JobWait::start
    });
  });
}

void cancel(JobContext context, const net::Request& request, const net::ResponderPtr& responder) {
  const Result<JobId> id = parse_job_id(request.path_parameters.at("id"));
  if (!id.ok()) return responder->respond(net::problem_response(id.error(), request.request_id));
  context.strand.post([context, id = *id, responder, request_id = request.request_id, who = request.principal.name] {
    context.jobs.stop(id, StopIntent::kCancel, "cancelled by " + who, [context, id, responder, request_id](const Result<void>& stopped) {
      if (!stopped.ok()) return responder->respond(net::problem_response(stopped.error(), request_id));
      find_job(context, id, [responder, request_id](const Result<jobs::Job>& job) {
        reply(responder, request_id, job, [](const jobs::Job& found) { return job_response(found, 202); });
      });
    });
  });
}

void explain(JobContext context, const net::Request& request, const net::ResponderPtr& responder) {
  const Result<JobId> id = parse_job_id(request.path_parameters.at("id"));
  if (!id.ok()) return responder->respond(net::problem_response(id.error(), request.request_id));
  find_job(context, *id, [context, responder, request_id = request.request_id](const Result<jobs::Job>& job) {
    if (!job.ok()) return responder->respond(net::problem_response(job.error(), request_id));
    context.strand.post([context, responder, found = *job] {
      const Result<sched::Explanation> waits = context.jobs.explain(found.id);
      const Result<std::vector<sched::Fix>> fixes = context.jobs.fixes(found.id);
      const Document body =
          waits.ok() ? wait_explanation(found, *waits, fixes, context.jobs.planned_start(found.id)) : state_explanation(found);
      responder->respond(net::json_response(200, body));
    });
  });
}

void nodes(JobContext context, exec::ExecutionBackend& backend, const net::ResponderPtr& responder) {
  context.strand.post([&backend, responder] {
    Document items = Document::array();
    for (const exec::NodeView& node : backend.nodes()) {
      Document item = Document::object();
      item.set("name", node.name.text);
      item.set("ready", node.ready);
      item.set("cpu", static_cast<double>(node.capacity.milli_cpu) / 1000);
      item.set("memory", format_byte_size({node.capacity.memory_bytes}));
      items.push(std::move(item));
    }
    Document body = Document::object();
    body.set("nodes", std::move(items));
    responder->respond(net::json_response(200, body));
  });
}

}  // namespace

void add_job_routes(net::Router& router, JobContext context, exec::ExecutionBackend& backend) {
  using net::Permission;
  const auto add = [&router](std::string method, std::string pattern, Permission permission, net::Handler handler) {
    router.add({std::move(method), std::move(pattern), permission, std::move(handler), std::size_t{1} << 20});
  };
  add("POST", "/api/v1/jobs", Permission::kOperator,
      [context](net::Request request, net::ResponderPtr responder) { submit(context, std::move(request), std::move(responder)); });
  add("GET", "/api/v1/jobs", Permission::kViewer,
      [context](const net::Request& request, net::ResponderPtr responder) { list(context, request, std::move(responder)); });
  add("GET", "/api/v1/jobs/{id}", Permission::kViewer,
      [context](const net::Request& request, const net::ResponderPtr& responder) { get(context, request, responder); });
  for (const auto& [method, pattern] : {std::pair("DELETE", "/api/v1/jobs/{id}"), std::pair("POST", "/api/v1/jobs/{id}/cancel")}) {
    add(method, pattern, Permission::kOperator,
        [context](const net::Request& request, const net::ResponderPtr& responder) { cancel(context, request, responder); });
  }
  add("GET", "/api/v1/jobs/{id}/explain", Permission::kViewer,
      [context](const net::Request& request, const net::ResponderPtr& responder) { explain(context, request, responder); });
  add("GET", "/api/v1/nodes", Permission::kViewer,
      [context, &backend](const net::Request&, const net::ResponderPtr& responder) { nodes(context, backend, responder); });
}

}  // namespace trainyard::api
