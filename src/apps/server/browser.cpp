#include "apps/server/browser.h"

#include <fmt/format.h>

#include <charconv>
#include <memory>

#include "apps/server/page.h"
#include "apps/server/sign_in.h"

namespace trainyard::apps {
namespace {

constexpr std::size_t kBodyMax = 4'096;
constexpr std::size_t kJobsShown = 15;
constexpr std::size_t kWorkflowsShown = 8;
constexpr std::int64_t kModelsShown = 20;

/// On the strand: why a job is where it is, for a waiting one by the newest plan.
std::string why(const jobs::JobService& service, const jobs::Job& job) {
  if (job.state != JobState::kQueued) return job.reason;
  const Result<sched::Explanation> waits = service.explain(job.id);
  return waits.ok() ? waits->message : job.reason;
}

/// One status page on its way through the threads: the strand knows the live state, the reading thread what is stored.
class StatusRequest : public std::enable_shared_from_this<StatusRequest> {
 public:
  StatusRequest(const BrowserContext& context, const net::Request& request, net::ResponderPtr responder)
      : context_(context), responder_(std::move(responder)), signed_in_(context.callers.session_of(request).has_value()) {
    view_.url = context.url;
    view_.version = context.version;
    view_.warning = context.warning;
    view_.refreshing = request.query_value("refresh") != "off";
  }

  void start() {
    context_.jobs.strand.post([self = shared_from_this()] {
      // Counted before the barrier, shown after it: nothing appears that a crash could undo.
      self->view_.live = self->context_.jobs.jobs.counts();
      self->view_.nodes = self->context_.backend.nodes();
      self->context_.jobs.jobs.barrier([self] { self->context_.jobs.reads.post([self] { self->read(); }); });
    });
  }

 private:
  void read() {
    if (Result<void> read = read_jobs(); !read.ok()) view_.problems.push_back("the jobs cannot be shown: " + read.error().describe());
    Result<std::vector<workflow::WorkflowRun>> runs = context_.workflows.repository.list(kWorkflowsShown);
    if (runs.ok())
      view_.workflows = std::move(runs).value();
    else
      view_.problems.push_back("the workflows cannot be shown: " + runs.error().describe());
    track::RegistrySearch search;
    search.max_results = kModelsShown;
    Result<track::ModelPage> models = context_.models.search_models(search);
    if (models.ok())
      view_.models = std::move(models->models);
    else
      view_.problems.push_back("the models cannot be shown: " + models.error().describe());
    context_.jobs.strand.post([self = shared_from_this()] { self->explain(); });
  }

  Result<void> read_jobs() {
    ASSIGN_OR_RETURN(const std::vector<store::JobRecord> records, context_.jobs.ledger.list(JobId(0), kJobsShown));
    for (const store::JobRecord& record : records) {
      ASSIGN_OR_RETURN(jobs::Job job, jobs::decode_job(record.body));
      view_.jobs.push_back({std::move(job), ""});
    }
    return {};
  }

  void explain() {
    for (JobLine& line : view_.jobs) line.why = why(context_.jobs.jobs, line.job);
    context_.jobs.reads.post([self = shared_from_this()] { self->answer(); });
  }

  void answer() {
    view_.now = context_.jobs.clock.now();
    view_.uptime = context_.jobs.clock.monotonic_now() - context_.started_at;
    responder_->respond(page_response(200, {.title = "Status",
                                            .body = render_status(view_),
                                            .refresh_seconds = view_.refreshing ? kPageRefreshSeconds : 0,
                                            .signed_in = signed_in_}));
  }

  const BrowserContext context_;
  const net::ResponderPtr responder_;
  const bool signed_in_;
  StatusView view_;
};

void start_page(const BrowserContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  if (!net::may_anywhere(request.principal, net::Permission::kViewer)) {
    return responder->respond(start_page_for_strangers(context.callers, request));
  }
  std::make_shared<StatusRequest>(context, request, responder)->start();  // shared: each thread hands it to the next
}

void job_page(const BrowserContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  const Result<JobId> id = api::parse_job_id(request.path_parameters.at("id"));
  if (!id.ok()) return responder->respond(error_page(id.error()));
  const bool signed_in = context.callers.session_of(request).has_value();
  api::find_job(context.jobs, *id, [context, responder, signed_in](const Result<jobs::Job>& job) {
    if (!job.ok()) return responder->respond(error_page(job.error()));
    context.jobs.strand.post([context, responder, signed_in, job = *job] {
      responder->respond(page_response(200, {.title = fmt::format("Job {} {}", job.id.text(), name_of_job(job)),
                                             .body = render_job({job, why(context.jobs.jobs, job)}, context.jobs.clock.now()),
                                             .refresh_seconds = is_terminal(job.state) ? 0 : kPageRefreshSeconds,
                                             .signed_in = signed_in}));
    });
  });
}

Result<workflow::WorkflowRunId> run_id_of(const net::Request& request) {
  const std::string& text = request.path_parameters.at("id");
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value > 0) return workflow::WorkflowRunId(value);
  return invalid_argument("workflow.id", "the id of a workflow run is a number from 1: " + text);
}

void workflow_page(const BrowserContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  const Result<workflow::WorkflowRunId> id = run_id_of(request);
  if (!id.ok()) return responder->respond(error_page(id.error()));
  const bool signed_in = context.callers.session_of(request).has_value();
  const auto answer = [context, responder, signed_in](const Result<workflow::WorkflowRun>& run) {
    if (!run.ok()) return responder->respond(error_page(run.error()));
    responder->respond(page_response(200, {.title = fmt::format("Workflow run {} {}", run->id.text(), run->spec.name),
                                           .body = render_workflow(*run, context.jobs.clock.now()),
                                           .refresh_seconds = is_terminal(run->state) ? 0 : kPageRefreshSeconds,
                                           .signed_in = signed_in}));
  };
  // What the database holds is what every client may see; a change that is being written shows with the next refresh.
  context.jobs.reads.post([context, id = *id, answer] { answer(context.workflows.repository.get(id)); });
}

/// Refusals below the pages for people are pages too.
net::Response refusal_page(int status, const Error& error, std::string_view) {
  return status == 401 ? sign_in_page(401, "Sign in to see this page.") : error_page(status, error);
}

}  // namespace

void add_browser_routes(net::Router& router, const BrowserContext& context) {
  using net::Permission;
  const auto add = [&router, context](std::string method, std::string pattern, Permission permission, auto serve) {
    router.add({std::move(method), std::move(pattern), permission,
                [context, serve](const net::Request& request, const net::ResponderPtr& responder) { serve(context, request, responder); },
                kBodyMax});
  };
  const auto respond_with = [](net::Response (*answer)(access::SessionAuthorizer&, const net::Request&)) {
    return [answer](const BrowserContext& given, const net::Request& request, const net::ResponderPtr& responder) {
      responder->respond(answer(given.callers, request));
    };
  };
  add("GET", "/", Permission::kOpen, start_page);
  add("GET", "/login", Permission::kOpen, respond_with(sign_in_by_link));
  add("POST", "/login", Permission::kOpen, respond_with(sign_in_by_token));
  add("POST", "/logout", Permission::kOpen, respond_with(sign_out));
  add("GET", "/jobs/{id}", Permission::kViewer, job_page);
  add("GET", "/workflows/{id}", Permission::kViewer, workflow_page);
  for (const char* prefix : {"/jobs", "/workflows"}) router.set_refusal_form(prefix, refusal_page);
}

}  // namespace trainyard::apps
