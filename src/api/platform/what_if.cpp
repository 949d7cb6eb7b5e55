#include "api/platform/what_if.h"

#include <fmt/format.h>

#include <atomic>

#include "access/identity.h"
#include "api/platform/explain.h"
#include "api/platform/job_views.h"
#include "api/platform/training_request.h"
#include "api/platform/what_if_views.h"
#include "jobs/what_if.h"

namespace trainyard::api {
namespace {

/// Each keeps a copy of all that waits and runs in memory.
constexpr int kTrialsMax = 4;

struct AddedNodes {
  std::int64_t count = 1;
  MilliCpu cpu;
  ByteSize memory;
  MilliCpu gpu;
  std::string pool = "default";
  void describe(FieldVisitor& fields) {
    fields.field("count", count, {.min = 1, .max = 1'000}, "How many nodes.");
    fields.field("cpu", cpu, "Cores of each.");
    fields.required();
    fields.field("memory", memory, "Memory of each, like 64GiB.");
    fields.required();
    fields.field("gpu", gpu, "GPU devices of each.");
    fields.field("pool", pool, "The pool they belong to.");
  }
};

struct CancelledJob {
  std::string job;
  void describe(FieldVisitor& fields) {
    fields.field("job", job, "Number of the job.");
    fields.required();
  }
};

struct DrainedNode {
  std::string node;
  void describe(FieldVisitor& fields) {
    fields.field("node", node, "Name of the node.");
    fields.required();
  }
};

/// One change; the others are absent.
struct Question {
  static constexpr std::string_view kSchemaName = "WhatIfQuestion";
  Document submit;
  std::optional<AddedNodes> add_nodes;
  std::optional<CancelledJob> cancel;
  std::optional<DrainedNode> drain;
  void describe(FieldVisitor& fields) {
    fields.field("submit", submit, "A job spec as submitJob takes it: were it submitted.");
    fields.field("add_nodes", add_nodes, "Were there more nodes.");
    fields.field("cancel", cancel, "Were this job cancelled.");
    fields.field("drain", drain, "Were this node drained.");
  }
};

/// Counts a question while it is answered. Thread-safe.
class TrialTurn {
 public:
  static std::shared_ptr<TrialTurn> take() {                                                   // shared: by the steps of one answer
    if (taken_.fetch_add(1) < kTrialsMax) return std::shared_ptr<TrialTurn>(new TrialTurn());  // shared: see above
    --taken_;
    return nullptr;
  }
  ~TrialTurn() { --taken_; }
  TrialTurn(const TrialTurn&) = delete;
  TrialTurn& operator=(const TrialTurn&) = delete;

 private:
  TrialTurn() = default;
  static inline std::atomic<int> taken_{0};
};
using TrialTurnPtr = std::shared_ptr<TrialTurn>;  // shared: see TrialTurn::take

Error too_many() {
  return {Category::kResourceExhausted, "sched.busy", "many ask what would be if; each answer takes a plan of its own: ask again", {}, {}};
}

/// Calls `step` on the strand once a copy may be made.
void when_due(const JobContext& context, std::function<void()> step) {
  if (context.clock.monotonic_now() >= context.jobs.next_trial()) return step();
  context.strand.post_at(context.jobs.next_trial(), [context, step = std::move(step)] { when_due(context, step); });
}

/// Makes the question on the strand, finds the answer on the reading thread and tells it from the strand again.
void run_trial(const JobContext& context, const net::Request& request, const net::ResponderPtr& responder,
               std::function<Result<jobs::Trial>()> make, std::function<Result<Document>(const jobs::TrialAnswer&)> render, bool job_only) {
  TrialTurnPtr turn = TrialTurn::take();
  const std::string& request_id = request.request_id;
  if (!turn) return responder->respond(net::problem_response(too_many(), request_id));
  auto step = [context, turn, responder, request_id, make = std::move(make), render = std::move(render), job_only] {
    Result<jobs::Trial> made = make();
    if (!made.ok()) return responder->respond(net::problem_response(made.error(), request_id));
    const auto trial = std::make_shared<const jobs::Trial>(std::move(made).value());  // shared: a posted task must be copyable
    context.reads.post([context, turn, trial, responder, request_id, render, job_only] {
      Result<jobs::TrialAnswer> answer = jobs::TrialAnswer{};
      if (job_only) {
        answer->job = trial->plan_job();
      } else {
        answer = trial->answer();
      }
      context.strand.post([turn, answer = std::move(answer), responder, request_id, render] {
        const Result<Document> body = answer.ok() ? render(*answer) : Result<Document>(answer.error());
        reply(responder, request_id, body, [](const Document& document) { return net::json_response(200, document); });
      });
    });
  };
  context.strand.post([context, step = std::move(step)] { when_due(context, step); });
}

/// The error with its place in the whole question.
Error within_submit(Error error) {
  if (error.where.starts_with('/') && !error.where.starts_with("/submit/")) error.where = "/submit" + error.where;
  return error;
}

Result<jobs::Submission> tried_submission(const JobContext& context, Document spec, const net::Principal& caller) {
  if (is_training_request(spec)) {
    ASSIGN_OR_RETURN(spec, training_job_spec(spec));
  }
  ASSIGN_OR_RETURN(JobSpec decoded, job_spec_from(spec));
  const Error refusal{Category::kPermissionDenied,
                      "auth.forbidden",
                      fmt::format("asking about a namespace takes the role viewer there: {}", decoded.name_space),
                      {},
                      {}};
  TRY(access::require(caller, net::Permission::kViewer, decoded.name_space, refusal));
  return prepare_trial(context, std::move(decoded), caller);
}

void ask_submit(const JobContext& context, const net::Request& request, const net::ResponderPtr& responder, Document spec) {
  context.reads.post([context, request, responder, spec = std::move(spec)]() mutable {
    Result<jobs::Submission> prepared = tried_submission(context, std::move(spec), request.principal);
    if (!prepared.ok()) return responder->respond(net::problem_response(within_submit(std::move(prepared).error()), request.request_id));
    const JobSpec asked = prepared->spec;
    const auto make = [context, submission = std::move(prepared).value()]() -> Result<jobs::Trial> {
      Result<jobs::Trial> trial = context.jobs.try_submit(submission);
      return trial.ok() ? std::move(trial) : Result<jobs::Trial>(within_submit(std::move(trial).error()));
    };
    const auto render = [context, caller = request.principal, asked](const jobs::TrialAnswer& answer) -> Result<Document> {
      return what_if_document(context, caller, asked, answer);
    };
    run_trial(context, request, responder, make, render, false);
  });
}

void ask_change(const JobContext& context, const net::Request& request, const net::ResponderPtr& responder,
                const jobs::TriedChange& change) {
  const auto make = [context, caller = request.principal, change]() -> Result<jobs::Trial> {
    const auto* cancel = std::get_if<jobs::JobToCancel>(&change);
    if (cancel != nullptr && context.jobs.label_of(cancel->job) && !sees_job(context, caller, cancel->job)) {
      return unknown_job(cancel->job);
    }
    return context.jobs.try_change(change);
  };
  const auto render = [context, caller = request.principal](const jobs::TrialAnswer& answer) -> Result<Document> {
    return what_if_document(context, caller, {}, answer);
  };
  run_trial(context, request, responder, make, render, false);
}

/// So much that sums over all nodes stay numbers.
Result<void> check_nodes(const AddedNodes& nodes) {
  constexpr std::int64_t kCoresMax = 100'000;
  constexpr std::int64_t kMemoryMax = std::int64_t{64} << 40;
  if (nodes.cpu.milli < 1 || nodes.cpu.milli > kCoresMax * 1000) {
    return invalid_argument("what_if.range", fmt::format("a node has up to {} cores", kCoresMax), "/add_nodes/cpu");
  }
  if (nodes.memory.bytes < 1 || nodes.memory.bytes > kMemoryMax) {
    return invalid_argument("what_if.range", "a node has up to 64TiB of memory", "/add_nodes/memory");
  }
  const auto devices = static_cast<std::int64_t>(sched::kDevicesMax);
  if (nodes.gpu.milli >= 0 && nodes.gpu.milli <= devices * 1000) return {};
  return invalid_argument("what_if.range", fmt::format("a node has up to {} GPU devices", devices), "/add_nodes/gpu");
}

Result<jobs::TriedChange> change_of(const Question& question) {
  if (question.add_nodes) {
    const AddedNodes& nodes = *question.add_nodes;
    TRY(check_nodes(nodes));
    return jobs::TriedChange(
        jobs::NodesToAdd{static_cast<std::int32_t>(nodes.count), {nodes.cpu.milli, nodes.memory.bytes, nodes.gpu.milli}, nodes.pool});
  }
  if (question.drain) return jobs::TriedChange(jobs::NodeToDrain{NodeName{question.drain->node}});
  ASSIGN_OR_RETURN(const JobId job, parse_job_id(question.cancel->job));
  return jobs::TriedChange(jobs::JobToCancel{job});
}

void ask(const JobContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  const Result<Document> body = parse_json(request.body);
  Result<Question> question = body.ok() ? decode<Question>(*body, {.numbers_as_text = false}) : Result<Question>(body.error());
  if (question.ok() && body->members().size() != 1) {
    question = invalid_argument("what_if.question", "ask about one change: submit, add_nodes, cancel or drain");
  }
  if (!question.ok()) return responder->respond(net::problem_response(question.error(), request.request_id));
  if (body->find("submit") != nullptr) return ask_submit(context, request, responder, (*body)["submit"]);
  if (!question->add_nodes && !question->cancel && !question->drain) {
    return responder->respond(
        net::problem_response(invalid_argument("what_if.question", "the change that is asked about is null"), request.request_id));
  }
  const Result<jobs::TriedChange> change = change_of(*question);
  if (!change.ok()) return responder->respond(net::problem_response(change.error(), request.request_id));
  if (const auto* cancel = std::get_if<jobs::JobToCancel>(&*change)) {
    // A job that has ended is told from one that never was, to those who may see it.
    net::Request named = request;
    named.path_parameters["id"] = cancel->job.text();
    return find_job_for(context, named, net::Permission::kViewer,
                        [context, request, responder, change = *change](const Result<jobs::Job>& job) {
                          if (!job.ok()) return responder->respond(net::problem_response(job.error(), request.request_id));
                          ask_change(context, request, responder, change);
                        });
  }
  ask_change(context, request, responder, *change);
}

}  // namespace

Document write_dry_run_schema(SchemaBook& book, SchemaStyle style) { return book.schema<DryRunView>(style); }

void dry_run(const JobContext& context, const net::Request& request, const net::ResponderPtr& responder, JobSpec spec,
             std::function<Error(Error)> placed) {
  context.reads.post([context, request, responder, spec = std::move(spec), placed = std::move(placed)]() mutable {
    const Result<void> may = require_submit(request.principal, spec.name_space);
    Result<jobs::Submission> prepared =
        may.ok() ? prepare_trial(context, std::move(spec), request.principal) : Result<jobs::Submission>(may.error());
    if (!prepared.ok()) return responder->respond(net::problem_response(placed(prepared.error()), request.request_id));
    const JobSpec asked = prepared->spec;
    const auto make = [context, submission = std::move(prepared).value()] { return context.jobs.try_submit(submission); };
    const auto render = [context, caller = request.principal, asked](const jobs::TrialAnswer& answer) -> Result<Document> {
      Document body = Document::object();
      body.set("plan", plan_document(context, caller, asked, *answer.job));
      body.set("spec", encode(asked));
      return body;
    };
    run_trial(context, request, responder, make, render, true);
  });
}

void add_what_if_route(net::Router& router, JobContext context) {
  router.add({"POST",
              "/api/v1/what-if",
              net::Permission::kViewer,
              [context](const net::Request& request, const net::ResponderPtr& responder) { ask(context, request, responder); },
              std::size_t{1} << 20,
              {.operation = "askWhatIf",
               .tag = "jobs",
               .summary = "Tries one change on a copy of the scheduler's state: which jobs would start at another time. Nothing changes.",
               .body = net::json_body<Question>("The change: one member."),
               .answers = {net::json_answer<WhatIfView>(200, "What would become of it.")},
               .problems = {404, 409},
               .namespaced = true}});
}

}  // namespace trainyard::api
