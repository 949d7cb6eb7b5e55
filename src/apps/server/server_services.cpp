#include "adapters/agent_pool/embedded_link.h"
#include "api/agents/agents.h"
#include "api/mlflow/routes.h"
#include "api/platform/access.h"
#include "api/platform/datasets.h"
#include "api/platform/events.h"
#include "api/platform/job_control.h"
#include "api/platform/job_list.h"
#include "api/platform/jobs.h"
#include "api/platform/models.h"
#include "api/platform/nodes.h"
#include "api/platform/openapi.h"
#include "api/platform/queues.h"
#include "api/platform/runs.h"
#include "api/platform/trials.h"
#include "api/platform/usage.h"
#include "api/platform/what_if.h"
#include "api/platform/workflows.h"
#include "apps/server/browser.h"
#include "apps/server/composed_server.h"
#include "apps/server/runners.h"
#include "apps/server/status_page.h"
#include "base/checksum.h"
#include "tasks/gate_task.h"
#include "tasks/register_task.h"
#include "tasks/tune_task.h"

// What a server process is made of, and which routes it serves where.

namespace trainyard::apps {

void ComposedServer::make_services(sched::SchedulerSettings scheduler) {
  builder_ = std::make_unique<JobBuilder>(JobBuilder::Settings{.api_url = public_url(),
                                                               .api_url_is_public = !settings_.public_url.empty(),
                                                               .object_root = state_.files + "/objects",
                                                               .checkpoint_root = state_.files + "/checkpoints",
                                                               .kubernetes_preview = settings_.kubernetes == "preview"},
                                          [this](const jobs::Job& job) {
                                            const AttemptKey attempt{job.id, job.attempt.number};
                                            attempt_namespaces_.set(attempt, job.spec.name_space);
                                            return access_->tokens().attempt_token(attempt);
                                          });
  const jobs::JobServiceSettings settings{.seed = xxh3_64(as_bytes(state_.installation_key)), .scheduler = std::move(scheduler)};
  jobs_ = std::make_unique<jobs::JobService>(
      settings,
      jobs::JobService::Deps{
          .strand = strand_, .clock = clock_, .ledger = *state_.ledger, .backend = pool_, .builder = *builder_, .log = log_},
      jobs::JobService::Hooks{.on_fatal = on_fatal_,
                              .on_attempt_started = [this](const jobs::Job& job) { job_runs_.open(job); },
                              .on_ended =
                                  [this](const jobs::Job& job) {
                                    job_runs_.close(job);
                                    attempt_namespaces_.forget(job.id);
                                    history_follower_.poke();
                                  }});
  access_->tokens().set_attempt_namespace([this](const AttemptKey& attempt) { return attempt_namespaces_.find(attempt); });
  access_->tokens().set_attempt_check([this](const AttemptKey& attempt) { return pool_.holds(attempt); });
  events_ = std::make_unique<JobEvents>(JobEvents::Deps{.strand = strand_, .writes = writes_, .jobs = *jobs_, .tracking = &track_sink_});
  make_workflows();
  pool_link_ = std::make_unique<adapters::agent_pool::EmbeddedLink>(
      adapters::agent_pool::EmbeddedLink::Deps{.strand = strand_, .pool = pool_, .logs = logs_, .events = *events_});
  link_ = std::make_unique<LeadingLink>(*pool_link_, [this] { return leads(); });
}

void ComposedServer::make_workflows() {
  gateway_ = std::make_unique<tasks::JobGateway>(
      tasks::JobGateway::Deps{.strand = strand_, .reads = reads_, .jobs = *jobs_, .ledger = *state_.ledger},
      [this](JobSpec& spec) { return resolver_.resolve(spec); }, check_runner);
  workflow::WorkflowService::Kinds kinds;
  kinds.push_back(std::make_unique<tasks::JobTaskKind>(*gateway_));
  kinds.push_back(std::make_unique<tasks::TuneTaskKind>(tasks::TuneTaskKind::Deps{*gateway_, studies_, strand_, clock_}));
  kinds.push_back(std::make_unique<tasks::GateTaskKind>());
  kinds.push_back(std::make_unique<tasks::RegisterTaskKind>(
      tasks::RegisterTaskKind::Deps{.strand = strand_, .writes = writes_, .models = tracking_.models(), .catalog = catalog_}));
  workflows_ = std::make_unique<workflow::WorkflowService>(
      workflow::WorkflowService::Deps{
          .strand = strand_, .writes = writes_, .clock = clock_, .repository = workflow_repository_, .log = log_},
      std::move(kinds), on_fatal_);
}

/// An api listener has everything: what is not this process's own is handed on. Others have the routes of their role alone.
void ComposedServer::add_all_routes() {
  for (auto& [name, listener] : listeners_) {
    net::Router& router = *listener.router;
    const bool complete = name == "api" && (plan_.stands || plan_.has(Role::kApi));
    if (complete) add_platform_routes(router);
    if (complete) add_leader_routes(router);
    for (const Role role : {Role::kTracking, Role::kRegistry}) {
      if (complete || (plan_.has(role) && plan_.listener_of(name_of(role)) == name)) add_role_routes(router, role);
    }
    router.begin_group("process");
    add_health_routes(router, [this] { return not_ready(); });
    if (plan_.listener_of("metrics") == name) add_metrics_route(router, {strand_, *jobs_, metrics_, [this] { return leads(); }});
    if (name == "api") add_shutdown_route(router, [this] { shutdown_requested_ = true; });
    if (complete) api::add_openapi_route(router);
    if (state_.shared_database) {
      router.set_detour(
          {[this](const net::Route& route, const net::Request& request) { return is_elsewhere(route, request); },
           [this](net::Request request, net::ResponderPtr responder) { forwarder_->forward(std::move(request), std::move(responder)); }});
    }
  }
}

void ComposedServer::add_platform_routes(net::Router& router) {
  router.begin_group("api");
  api::add_dataset_routes(router, {reads_, catalog_, *state_.objects});
}

void ComposedServer::add_role_routes(net::Router& router, Role role) {
  router.begin_group(std::string(name_of(role)));
  const api::mlflow::MlflowContext mlflow{reads_, bulk_, writes_, tracking_, clock_};
  if (role == Role::kTracking) {
    api::add_run_routes(router, {reads_, tracking_});
    api::mlflow::add_mlflow_tracking_routes(router, mlflow);
  } else {
    api::add_model_routes(router, {reads_, tracking_});
    api::mlflow::add_mlflow_registry_routes(router, mlflow);
  }
}

void ComposedServer::add_leader_routes(net::Router& router) {
  router.begin_group("leader");
  const api::JobContext context{strand_, reads_, clock_, *jobs_, *state_.ledger, resolver_};
  const api::WorkflowContext workflows{strand_, reads_, clock_, *workflows_, workflow_repository_};
  api::add_access_routes(router, {reads_, writes_, access_->service()});
  api::add_job_routes(router, context);
  api::add_job_list_route(router, context);
  api::add_job_control_routes(router, context);
  api::add_what_if_route(router, context);
  api::add_queue_routes(router, context);
  api::add_queue_control_routes(router, {context, writes_, queue_intents_});
  api::add_event_routes(router, context);
  api::add_log_routes(router, context, logs_);
  api::add_usage_route(router, {reads_, clock_, history_});
  api::add_trial_routes(router, strand_, clock_, studies_);
  api::add_workflow_routes(router, workflows);
  add_node_and_agent_routes(router);
  add_browser_routes(router, {.jobs = context,
                              .workflows = workflows,
                              .backend = pool_,
                              .models = tracking_.models(),
                              .callers = access_->sessions(),
                              .url = told_url(),
                              .version = settings_.version,
                              .warning = state_.disk_full ? state_.disk_full->message : "",
                              .started_at = clock_.monotonic_now()});
}

void ComposedServer::add_node_and_agent_routes(net::Router& router) {
  api::add_node_routes(
      router,
      {.strand = strand_,
       .writes = writes_,
       .clock = clock_,
       .backend = pool_,
       .intents = node_intents_,
       .set_state = [this](const NodeName& node, exec::NodeState state, const std::string& why) { pool_.set_node_state(node, state, why); },
       .check_gone = [this](const NodeName& node) { return pool_.check_gone(node); },
       .remove = [this](const NodeName& node) { return pool_.remove_node(node); },
       .revoke = [this](const access::Caller& caller, const NodeName& node) { return access_->service().revoke_agent(caller, node); }});
  const auto sync = [this](const exec::NodeObservation& observation, std::uint64_t seen, Duration wait, api::AgentContext::SyncDone done) {
    // An answer that comes late must not be one of a lead that is over: agents would end what the next leader has started.
    const auto answer = [this, done = std::move(done)](Result<exec::DesiredState> desired) {
      done(leads() ? std::move(desired) : Result<exec::DesiredState>(lead_is_over()));
    };
    strand_.post([this, observation, seen, wait, answer] { pool_.sync(observation, seen, wait, answer); });
  };
  api::add_agent_routes(router,
                        {sync, *link_, bulk_, [this](const NodeName& node, const RankKey& rank) { return pool_.holds(node, rank); }});
}

/// Why a load balancer should send nobody here; nothing when all is well.
std::optional<std::string> ComposedServer::not_ready() const {
  if (state_.disk_full) return "read-only";
  if (leads() || leader_url()) return std::nullopt;
  return "no leader";
}

}  // namespace trainyard::apps
