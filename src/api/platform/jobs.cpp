#include "api/platform/jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "api/platform/explain.h"
#include "api/platform/job_views.h"
#include "api/platform/paging.h"
#include "api/platform/training_request.h"
#include "api/platform/what_if.h"
#include "base/checksum.h"
#include "base/file.h"
#include "net/conditional.h"

namespace trainyard::api {
namespace {

constexpr std::int64_t kListDefault = 100;
constexpr std::int64_t kWaitMaxSeconds = 50;  // Below the request deadline of the server.

net::Response job_response(const jobs::Job& job, int status = 200) { return net::json_response(status, jobs::job_view(job)); }

Result<Document> parse_body(const net::Request& request) {
  const std::size_t first = request.body.find_first_not_of(" \t\r\n");
  const std::string file = request.query_value("file").value_or("spec.yaml");
  const Error empty = invalid_argument(
      "spec.empty", "there is no job spec; write one as JSON or YAML, at least a command, like {\"command\": [\"echo\", \"hello\"]}",
      file + ":1:1");
  if (first == std::string::npos) return empty;
  const std::string_view type = request.headers.get("content-type").value_or("");
  if (type.find("yaml") != std::string_view::npos || request.body[first] != '{') {
    Result<Document> spec = parse_yaml(request.body, file);
    return spec.ok() && spec->is_null() ? Result<Document>(empty) : spec;
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

/// A fault of the spec, at its place in what was sent: the plain training request names its dataset elsewhere.
Error at_its_place(Error error, const net::Request& request) {
  const Result<Document> body = error.where == "/inputs/data" ? parse_body(request) : Result<Document>(error);
  if (body.ok() && is_training_request(*body)) error.where = (*body)["dataset"].where();
  return error;
}

void submit(JobContext context, net::Request request, net::ResponderPtr responder) {
  Result<JobSpec> spec = decode_spec(request);
  if (!spec.ok()) return responder->respond(net::problem_response(spec.error(), request.request_id));
  if (net::query_is_set(request, "dry_run")) {
    const auto placed = [request](Error error) { return at_its_place(std::move(error), request); };
    return dry_run(context, request, responder, std::move(spec).value(), placed);
  }

  // The resolver reads the catalog, so it has its turn on the reading thread.
  context.reads.post([context, request = std::move(request), responder, spec = std::move(spec).value()]() mutable {
    Result<jobs::Submission> prepared = prepare_submission(context, std::move(spec), request.principal);
    if (!prepared.ok()) return responder->respond(net::problem_response(at_its_place(prepared.error(), request), request.request_id));
    jobs::Submission submission = std::move(prepared).value();
    Result<std::string> key = idempotency_key_of(request);
    if (!key.ok()) return responder->respond(net::problem_response(key.error(), request.request_id));
    submission.idempotency_key = std::move(key).value();
    submission.fingerprint = xxh3_hex(as_bytes(request.body));
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

/// Answers with the job, or with 304 when the client has it as it is.
using ShowJob = std::function<void(const Result<jobs::Job>&)>;

void get(JobContext context, const net::Request& request, const net::ResponderPtr& responder) {
  const Duration span = std::chrono::seconds(std::min(net::query_number(request, "wait", 0), kWaitMaxSeconds));
  const ShowJob show = [responder, head = request](const Result<jobs::Job>& job) {
    reply(responder, head.request_id, job, [&head](const jobs::Job& found) { return net::with_etag(head, job_response(found)); });
  };
  find_job_for(context, request, net::Permission::kViewer, [context, span, show](const Result<jobs::Job>& job) {
    if (!job.ok() || span == Duration(0) || is_terminal(job->state)) return show(job);
    context.strand.post([context, id = job->id, span, show] {
      context.jobs.get(id, [context, id, span, show](const Result<jobs::Job>& now) {
        // The event of an end that is known here may have been told already.
        if (!now.ok() || is_terminal(now->state)) return find_job(context, id, show);
        const auto answer = [context, id, show] { find_job(context, id, show); };
        std::make_shared<JobWait>(context, id, answer)->start(span);  // shared: see JobWait::start
      });
    });
  });
}

/// Why somebody cancels, if they say so.
struct Cancellation {
  static constexpr std::string_view kSchemaName = "Cancellation";
  std::string reason;
  std::string elements;
  void describe(FieldVisitor& fields) {
    fields.field("reason", reason, "Why, for those who wonder.");
    fields.field("elements", elements, "Of an array: the index of the only element to cancel, or the first and the last, \"10-19\".");
  }
};

struct ElementRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
};

/// Errors: INVALID_ARGUMENT "job.elements".
Result<ElementRange> read_elements(std::string_view text) {
  ElementRange range;
  const char* const end = text.data() + text.size();
  std::from_chars_result read = std::from_chars(text.data(), end, range.first);
  range.last = range.first;
  if (read.ec == std::errc() && read.ptr != end && *read.ptr == '-') read = std::from_chars(read.ptr + 1, end, range.last);
  if (read.ec == std::errc() && read.ptr == end && range.first >= 0) return range;
  return invalid_argument("job.elements", fmt::format("elements are one index or a range, like 3 or 10-19: {}", text), "/elements");
}

/// Cancels a job, or some elements of an array.
void cancel_as_said(jobs::JobService& service, JobId id, const std::optional<ElementRange>& elements, const std::string& why,
                    std::function<void(Result<void>)> done) {
  if (!elements) return service.stop(id, StopIntent::kCancel, why, std::move(done));
  service.cancel_elements(id, elements->first, elements->last, why, std::move(done));
}

void cancel(JobContext context, const net::Request& request, const net::ResponderPtr& responder) {
  const Result<Document> body = request.body.empty() ? Document::object() : parse_json(request.body);
  const Result<Cancellation> said =
      body.ok() ? decode<Cancellation>(*body, {.numbers_as_text = false}) : Result<Cancellation>(body.error());
  if (!said.ok()) return responder->respond(net::problem_response(said.error(), request.request_id));
  std::optional<ElementRange> elements;
  if (!said->elements.empty()) {
    const Result<ElementRange> range = read_elements(said->elements);
    if (!range.ok()) return responder->respond(net::problem_response(range.error(), request.request_id));
    elements = *range;
  }
  const std::string why = fmt::format("cancelled by {}{}{}", request.principal.name, said->reason.empty() ? "" : ": ", said->reason);
  find_job_for(context, request, net::Permission::kOperator,
               [context, why, elements, responder, request_id = request.request_id](const Result<jobs::Job>& job) {
                 if (!job.ok()) return responder->respond(net::problem_response(job.error(), request_id));
                 context.strand.post([context, id = job->id, why, elements, responder, request_id] {
                   cancel_as_said(context.jobs, id, elements, why, [context, id, responder, request_id](const Result<void>& stopped) {
                     if (!stopped.ok()) return responder->respond(net::problem_response(stopped.error(), request_id));
                     find_job(context, id, [responder, request_id](const Result<jobs::Job>& found) {
                       reply(responder, request_id, found, [](const jobs::Job& now) { return job_response(now, 202); });
                     });
                   });
                 });
               });
}

void explain(JobContext context, const net::Request& request, const net::ResponderPtr& responder) {
  find_job_for(context, request, net::Permission::kViewer,
               [context, responder, caller = request.principal, request_id = request.request_id](const Result<jobs::Job>& job) {
                 if (!job.ok()) return responder->respond(net::problem_response(job.error(), request_id));
                 context.strand.post([context, responder, caller, found = *job] {
                   Result<sched::Explanation> waits = context.jobs.explain(found.id);
                   if (waits.ok()) jobs::conceal_jobs(*waits, [&](JobId id) { return sees_job(context, caller, id); });
                   const Result<std::vector<sched::Fix>> fixes = context.jobs.fixes(found.id);
                   const Document body =
                       waits.ok() ? wait_explanation(found, *waits, fixes, context.jobs.planned_start(found.id)) : state_explanation(found);
                   responder->respond(net::json_response(200, body));
                 });
               });
}

using net::Permission;
using net::RouteDoc;

net::ParameterDoc job_id_parameter() { return net::path_text("id", "Number of the job."); }

/// A job spec, or the plain training request, which is shorter.
Document write_submission_schema(SchemaBook& book, SchemaStyle style) {
  return Document::object({{"anyOf", Document::array({book.schema<JobSpec>(style), training_request_schema(book, style)})}});
}

RouteDoc submit_doc() {
  return {.operation = "submitJob",
          .tag = "jobs",
          .summary = "Submits a job; the answer comes when it is durable.",
          .parameters = {net::query_text("file", "Name of the file that the spec comes from, for messages."),
                         net::query_flag("dry_run", "Only try it: the answer says what would become of it, and nothing is stored."),
                         net::header_text("Idempotency-Key", "The same key and body again answer with the job they made first.")},
          .body = net::BodyDoc{.schema = &write_submission_schema,
                               .media_types = {"application/json", "application/yaml"},
                               .doc = "A job spec, or {\"model_config\", \"training_config\", \"dataset\"}."},
          .answers = {net::json_answer<JobView>(201, "The job.", {"Location"}),
                      net::AnswerDoc{200, "What would become of it, with `dry_run`.", &write_dry_run_schema, "application/json", {}}},
          .problems = {404, 409},
          .namespaced = true};
}

RouteDoc get_doc() {
  return {
      .operation = "getJob",
      .tag = "jobs",
      .summary = "One job, at once or when it has ended.",
      .parameters = {job_id_parameter(),
                     net::query_integer("wait", {.min = 0, .max = 3'600}, 0, "Seconds to wait for its end; the server may answer earlier."),
                     net::header_text("If-None-Match", "The ETag of what the client has.")},
      .answers = {net::json_answer<JobView>(200, "The job.", {"ETag"}), net::empty_answer(304, "The client has it already.", {"ETag"})},
      .namespaced = true};
}

RouteDoc cancel_doc(std::string operation) {
  net::BodyDoc body = net::json_body<Cancellation>("Why.");
  body.required = false;
  return {.operation = std::move(operation),
          .tag = "jobs",
          .summary = "Cancels a job; its ranks get the grace to leave.",
          .parameters = {job_id_parameter()},
          .body = std::move(body),
          .answers = {net::json_answer<JobView>(202, "The job, which is being stopped or has ended.")},
          .problems = {409},
          .namespaced = true};
}

RouteDoc explain_doc() {
  return {.operation = "explainJob",
          .tag = "jobs",
          .summary = "Why a job waits, and what alone would start it.",
          .parameters = {job_id_parameter()},
          .answers = {net::json_answer<ExplanationView>(200, "The reason, by the newest plan.")},
          .namespaced = true};
}

}  // namespace

void add_job_routes(net::Router& router, JobContext context) {
  const auto add = [&router](std::string method, std::string pattern, Permission permission, net::Handler handler, RouteDoc doc) {
    router.add({std::move(method), std::move(pattern), permission, std::move(handler), std::size_t{1} << 20, std::move(doc)});
  };
  add(
      "POST", "/api/v1/jobs", Permission::kRunner,
      [context](net::Request request, net::ResponderPtr responder) { submit(context, std::move(request), std::move(responder)); },
      submit_doc());
  add(
      "GET", "/api/v1/jobs/{id}", Permission::kViewer,
      [context](const net::Request& request, const net::ResponderPtr& responder) { get(context, request, responder); }, get_doc());
  const net::Handler stop = [context](const net::Request& request, const net::ResponderPtr& responder) {
    cancel(context, request, responder);
  };
  add("DELETE", "/api/v1/jobs/{id}", Permission::kRunner, stop, cancel_doc("deleteJob"));
  add("POST", "/api/v1/jobs/{id}/cancel", Permission::kRunner, stop, cancel_doc("cancelJob"));
  add(
      "GET", "/api/v1/jobs/{id}/explain", Permission::kViewer,
      [context](const net::Request& request, const net::ResponderPtr& responder) { explain(context, request, responder); }, explain_doc());
}

}  // namespace trainyard::api
