#include "api/platform/job_control.h"

#include <fmt/format.h>

#include "api/platform/job_views.h"
#include "base/checksum.h"
#include "base/file.h"

namespace trainyard::api {
namespace {

using net::Permission;
using net::RouteDoc;

constexpr std::size_t kBatchMax = 10'000;
constexpr std::size_t kBatchBytes = std::size_t{16} << 20;

using Done = std::function<void(Result<void>)>;
/// One change of one job, called on the strand.
using Change = std::function<void(jobs::JobService&, JobId, const std::string& who, Done)>;

/// The new priority of a waiting job.
struct PriorityChange {
  static constexpr std::string_view kSchemaName = "PriorityChange";
  std::int64_t priority = 0;
  void describe(FieldVisitor& fields) {
    fields.field("priority", priority, {.min = -1e9, .max = 1e9}, "Higher comes first within its queue.");
    fields.required();
  }
};

struct AttemptList {
  static constexpr std::string_view kSchemaName = "AttemptList";
  std::vector<JobAttempt> attempts;
  void describe(FieldVisitor& fields) {
    fields.field("attempts", attempts, "Oldest first: at most 16 that are over, and the one that goes on.");
  }
};

/// What a batch of submits made.
struct SubmittedBatch {
  static constexpr std::string_view kSchemaName = "SubmittedBatch";
  std::vector<std::string> ids;
  void describe(FieldVisitor& fields) { fields.field("ids", ids, "Numbers of the jobs, in the order of the specs."); }
};

Document write_batch_schema(SchemaBook& book, SchemaStyle style) {
  Document jobs = Document::object(
      {{"type", "array"}, {"minItems", 1}, {"maxItems", static_cast<std::int64_t>(kBatchMax)}, {"items", book.schema<JobSpec>(style)}});
  return Document::object({{"type", "object"},
                           {"properties", Document::object({{"jobs", std::move(jobs)}})},
                           {"required", Document::array({"jobs"})},
                           {"additionalProperties", false}});
}

void answer_job(const JobContext& context, JobId id, const net::ResponderPtr& responder, const std::string& request_id) {
  find_job(context, id, [responder, request_id](const Result<jobs::Job>& job) {
    reply(responder, request_id, job, [](const jobs::Job& found) { return net::json_response(200, jobs::job_view(found)); });
  });
}

/// Changes one job and answers with it as it is then.
void change(const JobContext& context, const net::Request& request, const net::ResponderPtr& responder, const Change& how) {
  find_job_for(context, request, Permission::kOperator, [context, how, responder, request](const Result<jobs::Job>& job) {
    if (!job.ok()) return responder->respond(net::problem_response(job.error(), request.request_id));
    context.strand.post([context, how, id = job->id, who = request.principal.name, responder, request_id = request.request_id] {
      how(context.jobs, id, who, [context, id, responder, request_id](const Result<void>& changed) {
        if (!changed.ok()) return responder->respond(net::problem_response(changed.error(), request_id));
        answer_job(context, id, responder, request_id);
      });
    });
  });
}

void set_priority(const JobContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  const Result<Document> body = parse_json(request.body);
  const Result<PriorityChange> wanted =
      body.ok() ? decode<PriorityChange>(*body, {.numbers_as_text = false}) : Result<PriorityChange>(body.error());
  if (!wanted.ok()) return responder->respond(net::problem_response(wanted.error(), request.request_id));
  change(context, request, responder,
         [priority = wanted->priority](jobs::JobService& service, JobId id, const std::string& who, Done done) {
           service.set_priority(id, priority, who, std::move(done));
         });
}

void retry(const JobContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  find_job_for(context, request, Permission::kOperator, [context, responder, request](const Result<jobs::Job>& job) {
    if (!job.ok()) return responder->respond(net::problem_response(job.error(), request.request_id));
    Result<jobs::Submission> again = jobs::resubmission_of(*job);
    if (!again.ok()) return responder->respond(net::problem_response(again.error(), request.request_id));
    again->owner = request.principal.name;
    Result<std::string> key = idempotency_key_of(request);
    if (!key.ok()) return responder->respond(net::problem_response(key.error(), request.request_id));
    again->idempotency_key = std::move(key).value();
    again->fingerprint = "retry of " + job->id.text();
    context.strand.post([context, again = std::move(again).value(), responder, request_id = request.request_id]() mutable {
      context.jobs.submit(std::move(again), [context, responder, request_id](const Result<JobId>& id) {
        if (!id.ok()) return responder->respond(net::problem_response(id.error(), request_id));
        find_job(context, *id, [responder, request_id](const Result<jobs::Job>& made) {
          reply(responder, request_id, made, [](const jobs::Job& found) { return net::json_response(201, jobs::job_view(found)); });
        });
      });
    });
  });
}

void attempts(const JobContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  find_job_for(context, request, Permission::kViewer, [responder, request_id = request.request_id](const Result<jobs::Job>& job) {
    reply(responder, request_id, job, [](const jobs::Job& found) {
      return net::json_response(200, Document::object({{"attempts", jobs::attempts_view(found)}}));
    });
  });
}

/// Decodes and resolves every spec. Errors: as for one, with the place in the list.
Result<std::vector<jobs::Submission>> read_batch(const JobContext& context, const net::Request& request) {
  ASSIGN_OR_RETURN(const Document body, parse_json(request.body));
  const Document::Array& specs = body["jobs"].items();
  if (specs.empty() || specs.size() > kBatchMax) {
    return invalid_argument("spec.batch",
                            fmt::format("a batch is {{\"jobs\": [SPEC, ..]}} with 1 to {} specs; there are: {}", kBatchMax, specs.size()),
                            "/jobs");
  }
  ASSIGN_OR_RETURN(const std::string key, idempotency_key_of(request));
  const std::string fingerprint = key.empty() ? "" : xxh3_hex(as_bytes(request.body));
  std::vector<jobs::Submission> submissions;
  submissions.reserve(specs.size());
  for (const Document& document : specs) {
    ASSIGN_OR_RETURN(JobSpec spec, job_spec_from(document));
    Result<jobs::Submission> prepared = prepare_submission(context, std::move(spec), request.principal);
    if (!prepared.ok()) return std::move(prepared).error().with_context(fmt::format("job {} of the batch", submissions.size()));
    if (!key.empty()) {
      prepared->idempotency_key = fmt::format("{}/{}", key, submissions.size());
      prepared->fingerprint = fingerprint;
    }
    submissions.push_back(std::move(prepared).value());
  }
  return submissions;
}

void submit_batch(const JobContext& context, net::Request request, const net::ResponderPtr& responder) {
  context.reads.post([context, request = std::move(request), responder]() mutable {
    Result<std::vector<jobs::Submission>> batch = read_batch(context, request);
    if (!batch.ok()) return responder->respond(net::problem_response(batch.error(), request.request_id));
    context.strand.post([context, batch = std::move(batch).value(), responder, request_id = request.request_id]() mutable {
      context.jobs.submit_batch(std::move(batch), [responder, request_id](const Result<std::vector<JobId>>& ids) {
        reply(responder, request_id, ids, [](const std::vector<JobId>& made) {
          SubmittedBatch answer;
          for (const JobId id : made) answer.ids.push_back(id.text());
          return net::json_response(201, encode(answer));
        });
      });
    });
  });
}

RouteDoc change_doc(std::string operation, std::string summary) {
  return {.operation = std::move(operation),
          .tag = "jobs",
          .summary = std::move(summary),
          .parameters = {net::path_text("id", "Number of the job.")},
          .answers = {net::json_answer<JobView>(200, "The job as it is now.")},
          .problems = {409},
          .namespaced = true};
}

struct NamedChange {
  const char* verb;
  const char* operation;
  const char* summary;
  Change how;
};

std::vector<NamedChange> named_changes() {
  return {{"hold", "holdJob", "Keeps a job from being launched.",
           [](jobs::JobService& service, JobId id, const std::string& who, Done done) { service.hold(id, who, std::move(done)); }},
          {"release", "releaseJob", "Takes the hold away.",
           [](jobs::JobService& service, JobId id, const std::string& who, Done done) { service.release(id, who, std::move(done)); }},
          {"checkpoint", "checkpointJob", "Asks the program to write a checkpoint and go on.",
           [](jobs::JobService& service, JobId id, const std::string&, Done done) { service.request_checkpoint(id, std::move(done)); }},
          {"preempt", "preemptJob", "Sends a running job back to its place in the queue; it goes on from its last checkpoint.",
           [](jobs::JobService& service, JobId id, const std::string& who, Done done) {
             service.preempt(id, "preempted by " + who, std::move(done));
           }}};
}

}  // namespace

void add_job_control_routes(net::Router& router, JobContext context) {
  const auto add = [&router](std::string method, std::string pattern, Permission permission, net::Handler handler, RouteDoc doc,
                             std::size_t body_max = std::size_t{1} << 16) {
    router.add({std::move(method), std::move(pattern), permission, std::move(handler), body_max, std::move(doc)});
  };
  for (NamedChange& named : named_changes()) {
    add(
        "POST", fmt::format("/api/v1/jobs/{{id}}/{}", named.verb), Permission::kRunner,
        [context, how = std::move(named.how)](const net::Request& request, const net::ResponderPtr& responder) {
          change(context, request, responder, how);
        },
        change_doc(named.operation, named.summary));
  }
  RouteDoc priority = change_doc("setJobPriority", "Moves a waiting job within its queue.");
  priority.body = net::json_body<PriorityChange>("The new priority.");
  add(
      "POST", "/api/v1/jobs/{id}/priority", Permission::kRunner,
      [context](const net::Request& request, const net::ResponderPtr& responder) { set_priority(context, request, responder); }, priority);
  RouteDoc again = change_doc("retryJob", "Submits a job that has failed, was cancelled or timed out once more, as a new job.");
  again.parameters.push_back(
      net::header_text("Idempotency-Key", "The same key for the same job again answers with the job it made first."));
  again.answers = {net::json_answer<JobView>(201, "The new job.")};
  add(
      "POST", "/api/v1/jobs/{id}/retry", Permission::kRunner,
      [context](const net::Request& request, const net::ResponderPtr& responder) { retry(context, request, responder); }, again);
  RouteDoc list = change_doc("listJobAttempts", "The attempts of a job, those that are over and the one that goes on.");
  list.answers = {net::json_answer<AttemptList>(200, "The newest of them.")};
  list.problems = {};
  add(
      "GET", "/api/v1/jobs/{id}/attempts", Permission::kViewer,
      [context](const net::Request& request, const net::ResponderPtr& responder) { attempts(context, request, responder); }, list);
  add(
      "POST", "/api/v1/jobs:batch", Permission::kRunner,
      [context](net::Request request, const net::ResponderPtr& responder) { submit_batch(context, std::move(request), responder); },
      {.operation = "submitJobs",
       .tag = "jobs",
       .summary = "Submits many jobs in one commit; all of them or none.",
       .parameters = {net::header_text("Idempotency-Key", "The same key and body again answer with the jobs they made first.")},
       .body = net::BodyDoc{.schema = &write_batch_schema, .doc = "The specs."},
       .answers = {net::json_answer<SubmittedBatch>(201, "Their numbers.")},
       .problems = {404, 409},
       .namespaced = true},
      kBatchBytes);
}

}  // namespace trainyard::api
