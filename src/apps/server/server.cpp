#include "apps/server/server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>

#include "adapters/agent_pool/agent_pool.h"
#include "adapters/agent_pool/embedded_link.h"
#include "adapters/track_sink/track_sink.h"
#include "agent/agent.h"
#include "api/agents/agents.h"
#include "api/mlflow/routes.h"
#include "api/platform/access.h"
#include "api/platform/datasets.h"
#include "api/platform/events.h"
#include "api/platform/job_control.h"
#include "api/platform/job_list.h"
#include "api/platform/jobs.h"
#include "api/platform/logs.h"
#include "api/platform/models.h"
#include "api/platform/nodes.h"
#include "api/platform/openapi.h"
#include "api/platform/queues.h"
#include "api/platform/runs.h"
#include "api/platform/trials.h"
#include "api/platform/usage.h"
#include "api/platform/workflows.h"
#include "apps/programs.h"
#include "apps/server/access_control.h"
#include "apps/server/browser.h"
#include "apps/server/catalog_resolver.h"
#include "apps/server/history_follower.h"
#include "apps/server/job_builder.h"
#include "apps/server/job_events.h"
#include "apps/server/job_runs.h"
#include "apps/server/port_probe.h"
#include "apps/server/runners.h"
#include "apps/server/state.h"
#include "apps/server/status_page.h"
#include "base/checksum.h"
#include "net/bind_rule.h"
#include "net/http_server.h"
#include "tasks/gate_task.h"
#include "tasks/job_task.h"
#include "tasks/register_task.h"
#include "tasks/tune_task.h"
#include "track/tracking.h"

namespace trainyard::apps {
namespace {

constexpr std::chrono::milliseconds kHttpGrace{500};
constexpr Duration kJobsGrace = std::chrono::seconds(30);

class ComposedServer final : public Server {
 public:
  ComposedServer(ServerSettings settings, DataDirectory directory, State state, LogSink& log, std::function<void(const Error&)> on_fatal)
      : settings_(std::move(settings)),
        directory_(std::move(directory)),
        state_(std::move(state)),
        log_(log),
        on_fatal_(std::move(on_fatal)),
        logs_(*state_.logs),
        pool_({.lease = settings_.lease}, {.strand = strand_, .clock = clock_, .log = log_}),
        catalog_(*state_.database, clock_),
        resolver_({.catalog = catalog_,
                   .objects = *state_.objects,
                   .cache = directory_.path("cache"),
                   .synthetic_fallback = settings_.synthetic_fallback}),
        tracking_({.database = *state_.database, .objects = *state_.objects, .clock = clock_}),
        track_sink_(tracking_),
        job_runs_({.writes = writes_, .sink = track_sink_, .runs = tracking_.runs(), .ledger = *state_.ledger, .log = log_}),
        history_(*state_.database),
        history_follower_(
            {.strand = strand_, .writes = writes_, .clock = clock_, .ledger = *state_.ledger, .history = history_, .log = log_}),
        node_intents_(*state_.database),
        workflow_repository_(*state_.database, {"job", "tune", "gate", "register"}) {}

  ~ComposedServer() override { stop(false); }

  const ServerAddress& address() const override { return address_; }
  const std::string& data_directory() const override { return directory_.root(); }
  const std::optional<Error>& read_only() const override { return state_.disk_full; }
  bool shutdown_requested() const override { return shutdown_requested_; }
  std::string make_login_link() override { return address_.url + "/login?link=" + access_->make_login_link(); }

  Result<void> start();
  void stop(bool stop_jobs) override;

 private:
  Result<std::uint16_t> choose_port() const;
  Result<void> make_access();
  Result<void> listen();
  Result<void> recover();
  void make_services(sched::SchedulerSettings scheduler);
  void add_routes();
  Result<void> start_agent();

  ServerSettings settings_;
  DataDirectory directory_;
  State state_;
  LogSink& log_;
  std::function<void(const Error&)> on_fatal_;
  SystemClock clock_;
  MetricsRegistry metrics_;
  ServerAddress address_;
  std::atomic<bool> shutdown_requested_{false};
  std::uint16_t port_ = 0;
  bool stopped_ = false;

  ThreadExecutor strand_{"core"};
  ThreadExecutor reads_{"reads"};
  ThreadExecutor writes_{"writes"};
  ThreadExecutor bulk_{"bulk"};
  api::WatchedLogStore logs_;
  AttemptNamespaces attempt_namespaces_;
  std::unique_ptr<AccessControl> access_;
  net::RequestLimiter limiter_{{}, clock_};
  std::unique_ptr<net::Router> router_;
  adapters::agent_pool::AgentPool pool_;
  data::CatalogRepository catalog_;
  CatalogResolver resolver_;
  track::Tracking tracking_;
  adapters::track_sink::TrackSink track_sink_;
  JobRuns job_runs_;
  jobs::JobHistory history_;
  HistoryFollower history_follower_;
  cluster::NodeIntents node_intents_;
  workflow::WorkflowRepository workflow_repository_;
  tune::StudyBoard studies_;
  std::unique_ptr<JobBuilder> builder_;
  std::unique_ptr<jobs::JobService> jobs_;
  std::unique_ptr<JobEvents> events_;
  std::unique_ptr<tasks::JobGateway> gateway_;
  std::unique_ptr<workflow::WorkflowService> workflows_;
  std::unique_ptr<adapters::agent_pool::EmbeddedLink> link_;
  std::unique_ptr<agent::Agent> agent_;
  std::unique_ptr<net::HttpServer> http_;
};

/// A port that was asked for must be free; one that was only remembered is replaced.
Result<std::uint16_t> ComposedServer::choose_port() const {
  if (settings_.port != 0) return static_cast<std::uint16_t>(settings_.port);
  const std::uint16_t remembered = directory_.remembered_port();
  if (remembered != 0) {
    if (Result<std::uint16_t> port = probe_port(settings_.host, remembered); port.ok()) return port;
    log_.write({LogLevel::kWarning, "server.port_changed", {{"taken", std::int64_t{remembered}}}});
  }
  return probe_port(settings_.host, 0);
}

Result<void> ComposedServer::listen() {
  net::HttpServerSettings http;
  http.host = settings_.host;
  http.port = port_;
  http.certificate_file = settings_.tls_cert;
  http.key_file = settings_.tls_key;
  http.insecure_public = settings_.insecure_public;
  Result<std::unique_ptr<net::HttpServer>> server = net::make_http_server(http, *router_);
  if (!server.ok())
    return std::move(server).error().with_context("starting to listen; choose another port with --port, or --port 0 for any");
  http_ = std::move(server).value();
  return {};
}

Result<void> ComposedServer::make_access() {
  AccessControl::Settings settings{.admin_token = state_.admin_token,
                                   .installation_key = state_.installation_key,
                                   .open = settings_.auth == "none",
                                   .host = settings_.host,
                                   .read_only = state_.disk_full.has_value()};
  ASSIGN_OR_RETURN(access_, AccessControl::make(std::move(settings),
                                                {.database = *state_.database, .clock = clock_, .strand = strand_, .writes = writes_}));
  access_->sessions().set_secure(!settings_.tls_cert.empty());
  router_ = std::make_unique<net::Router>(*access_);
  router_->set_limiter(limiter_);
  access_->watch(*router_);
  return {};
}

void ComposedServer::make_services(sched::SchedulerSettings scheduler) {
  builder_ = std::make_unique<JobBuilder>(JobBuilder::Settings{.api_url = address_.url,
                                                               .object_root = directory_.path("objects"),
                                                               .checkpoint_root = directory_.path("checkpoints"),
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
  link_ = std::make_unique<adapters::agent_pool::EmbeddedLink>(
      adapters::agent_pool::EmbeddedLink::Deps{.strand = strand_, .pool = pool_, .logs = logs_, .events = *events_});
}

void ComposedServer::add_routes() {
  const api::JobContext context{strand_, reads_, clock_, *jobs_, *state_.ledger, resolver_};
  api::add_access_routes(*router_, {reads_, writes_, access_->service()});
  api::add_job_routes(*router_, context);
  api::add_job_list_route(*router_, context);
  api::add_job_control_routes(*router_, context);
  api::add_node_routes(*router_, {.strand = strand_,
                                  .writes = writes_,
                                  .clock = clock_,
                                  .backend = pool_,
                                  .intents = node_intents_,
                                  .set_state = [this](const NodeName& node, exec::NodeState state, const std::string& why) {
                                    pool_.set_node_state(node, state, why);
                                  }});
  api::add_event_routes(*router_, context);
  api::add_log_routes(*router_, context, logs_);
  api::add_dataset_routes(*router_, {reads_, catalog_, *state_.objects});
  api::add_run_routes(*router_, {reads_, tracking_});
  api::add_model_routes(*router_, {reads_, tracking_});
  api::mlflow::add_mlflow_routes(*router_, {reads_, bulk_, writes_, tracking_, clock_});
  api::add_trial_routes(*router_, strand_, clock_, studies_);
  api::add_workflow_routes(*router_, {strand_, reads_, clock_, *workflows_, workflow_repository_});
  api::add_agent_routes(
      *router_, {[this](const exec::NodeObservation& observation, std::uint64_t seen, Duration wait, api::AgentContext::SyncDone done) {
                   strand_.post([this, observation, seen, wait, done = std::move(done)] { pool_.sync(observation, seen, wait, done); });
                 },
                 *link_, bulk_, [this](const NodeName& node, const RankKey& rank) { return pool_.holds(node, rank); }});
  add_browser_routes(*router_, {.jobs = context,
                                .workflows = {strand_, reads_, clock_, *workflows_, workflow_repository_},
                                .backend = pool_,
                                .models = tracking_.models(),
                                .callers = access_->sessions(),
                                .url = address_.url,
                                .version = settings_.version,
                                .warning = state_.disk_full ? state_.disk_full->message : "",
                                .started_at = clock_.monotonic_now()});
  add_status_routes(*router_, {strand_, *jobs_, metrics_, state_.disk_full.has_value(), [this] { shutdown_requested_ = true; }});
  api::add_queue_routes(*router_, context);
  api::add_usage_route(*router_, {reads_, clock_, history_});
  api::add_openapi_route(*router_);
}

Result<void> ComposedServer::recover() {
  // The services are not shared yet, so recovery may run here, before anything is posted to the strand by others.
  Result<void> recovered = jobs_->recover();
  if (!recovered.ok()) return std::move(recovered).error().with_context("loading the jobs from " + state_.ledger_name);
  // Every ledger may be emptied behind our back; the history knows how far the last one was.
  ASSIGN_OR_RETURN(const EventNumber known, history_.position());
  if (known > jobs_->last_event()) {
    return data_loss(
        "ledger.missing",
        fmt::format("the ledger lacks events that were taken into the history, so it is another one or was emptied: restore it from "
                    "a backup; its last event: {}, known: {}, ledger: {}",
                    jobs_->last_event().text(), known.text(), state_.ledger_name));
  }
  job_runs_.repair(jobs_->last_event());
  history_follower_.poke();
  ASSIGN_OR_RETURN(const std::vector<cluster::NodeIntent> intents, node_intents_.list());
  for (const cluster::NodeIntent& intent : intents) {
    ASSIGN_OR_RETURN(const exec::NodeState node_state, exec::node_state_from(intent.state));
    pool_.set_node_state(intent.node, node_state, intent.reason);
  }
  return workflows_->recover();
}

Result<void> ComposedServer::start_agent() {
  if (!settings_.embedded_agent) return {};
  agent::AgentSettings settings;
  settings.data_dir = directory_.root();
  settings.node.text = settings_.node;
  settings.capacity = {settings_.cpus.milli, settings_.memory.bytes, 0};
  settings.lifeline = static_cast<int>(settings_.lifeline);
  ASSIGN_OR_RETURN(settings.warden_program, find_program("trainyard-warden"));
  agent_ = std::make_unique<agent::Agent>(settings, agent::Agent::Deps{.link = *link_, .clock = clock_, .log = log_});
  agent_->start();
  return {};
}

Result<void> ComposedServer::start() {
  TRY(net::check_bind({.host = settings_.host, .tls = !settings_.tls_cert.empty(), .insecure_public = settings_.insecure_public}));
  TRY(make_access());
  ASSIGN_OR_RETURN(port_, choose_port());
  address_ = {fmt::format("{}://{}:{}", settings_.tls_cert.empty() ? "http" : "https", settings_.host, port_), directory_.path("token"),
              ::getpid()};
  ASSIGN_OR_RETURN(sched::SchedulerSettings scheduler, read_scheduler_settings(settings_.scheduler));
  make_services(std::move(scheduler));
  add_routes();
  TRY(router_->check());
  if (state_.disk_full) {
    // Nothing is taken up: every step of a job would have to be written. Ranks go on under their warden, which keeps what they say.
    router_->refuse_changes(*state_.disk_full);
    TRY(listen());
    Result<void> written = directory_.write_address(address_);
    return !written.ok() && written.error().id == "io.disk_full" ? Result<void>() : written;
  }
  TRY(recover());
  access_->start_sweeping();
  TRY(listen());
  TRY(start_agent());
  return directory_.write_address(address_);
}

void ComposedServer::stop(bool stop_jobs) {
  if (std::exchange(stopped_, true)) return;
  if (http_) http_->stop(kHttpGrace);
  if (agent_ && stop_jobs) agent_->shutdown_warden(kJobsGrace);
  if (agent_) agent_->stop();
  if (access_) access_->stop();
  // The strand ends before what its tasks use; the writers end first, since they post to it.
  http_.reset();
  reads_.stop();
  writes_.stop();
  bulk_.stop();
  strand_.stop();
  // A commit in flight answers to the strand, which must still be there.
  state_.ledger.reset();
}

}  // namespace

Result<std::unique_ptr<Server>> Server::make(const ServerSettings& settings, LogSink& log, std::function<void(const Error&)> on_fatal) {
  ASSIGN_OR_RETURN(DataDirectory directory, DataDirectory::open(settings.data.empty() ? default_data_directory() : settings.data));
  if (settings.kubernetes == "apply") {
    return failed_precondition(
        "server.kubernetes",
        "this version shows what it would apply to Kubernetes (--kubernetes preview) and does not apply it: jobs run on "
        "the agents of the server; leave USE_K8S unset, or set --kubernetes preview or off");
  }
  ASSIGN_OR_RETURN(State state, open_state(directory, {.ledger = settings.state, .database = settings.database}));
  auto server = std::make_unique<ComposedServer>(settings, std::move(directory), std::move(state), log, std::move(on_fatal));
  TRY(server->start());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace trainyard::apps
