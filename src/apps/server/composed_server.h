#pragma once
#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "access/certificate_names.h"
#include "adapters/agent_pool/agent_pool.h"
#include "adapters/agent_pool/embedded_link.h"
#include "adapters/track_sink/track_sink.h"
#include "agent/agent.h"
#include "api/forward/forwarder.h"
#include "api/platform/logs.h"
#include "apps/server/access_control.h"
#include "apps/server/catalog_resolver.h"
#include "apps/server/history_follower.h"
#include "apps/server/job_builder.h"
#include "apps/server/job_events.h"
#include "apps/server/job_runs.h"
#include "apps/server/leading_link.h"
#include "apps/server/roles.h"
#include "apps/server/server.h"
#include "apps/server/state.h"
#include "cluster/leadership.h"
#include "cluster/node_intents.h"
#include "cluster/queue_intents.h"
#include "net/http_server.h"
#include "tasks/job_task.h"
#include "track/tracking.h"
#include "tune/study_board.h"
#include "workflow/workflow_service.h"

namespace trainyard::apps {

/// Everything a server process is made of. All parts are made at the start, also those of the leader; they are loaded when this process
/// leads the installation, which is at once where only one process can run.
///
/// server.cpp has the life of the process, server_services.cpp what it is made of and its routes, server_lead.cpp its place among others.
class ComposedServer final : public Server {
 public:
  ComposedServer(ServerSettings settings, DataDirectory directory, State state, LogSink& log, std::function<void(const Error&)> on_fatal);
  ~ComposedServer() override { stop(false); }

  const ServerAddress& address() const override { return address_; }
  const std::string& data_directory() const override { return directory_.root(); }
  const std::optional<Error>& read_only() const override { return state_.disk_full; }
  std::string url() const override { return told_url(); }
  bool shutdown_requested() const override { return shutdown_requested_; }
  std::optional<std::string> make_login_link() override;
  std::string about() const override;

  Result<void> start();
  void stop(bool stop_jobs) override;

 private:
  /// An address that is listened on, with the routes that are served there.
  struct Listener {
    ListenAddress address;
    std::unique_ptr<net::Router> router;
    std::unique_ptr<net::HttpServer> http;
  };

  // server.cpp
  Result<std::uint16_t> choose_port(const ListenAddress& address) const;
  Result<void> choose_addresses();
  std::string url_of(const std::string& host, std::uint16_t port) const;
  std::string own_url() const { return settings_.advertise.empty() ? address_.url : settings_.advertise; }
  std::string public_url() const { return settings_.public_url.empty() ? own_url() : settings_.public_url; }
  bool is_open() const { return settings_.auth == "none"; }
  std::string told_url() const;
  std::string host_here(const std::string& host) const;
  Result<void> make_access();
  Result<void> listen();
  Result<void> start_agent();

  // server_services.cpp
  void make_services(sched::SchedulerSettings scheduler);
  void make_workflows();
  void add_all_routes();
  void add_platform_routes(net::Router& router);
  void add_leader_routes(net::Router& router);
  void add_node_and_agent_routes(net::Router& router);
  void add_role_routes(net::Router& router, Role role);
  std::optional<std::string> not_ready() const;

  // server_lead.cpp
  Result<void> stand_for_election();
  void introduce_to_leader();
  Result<void> recover();
  Result<void> recover_nodes_and_workflows();
  void keep_house();
  void take_over();
  void follow_others();
  bool leads() const { return leadership_ == nullptr || leadership_->leads(); }
  bool is_elsewhere(const net::Route& route, const net::Request& request) const;
  std::optional<std::string> leader_url() const;

  ServerSettings settings_;
  DataDirectory directory_;
  State state_;
  LogSink& log_;
  std::function<void(const Error&)> on_fatal_;
  SystemClock clock_;
  MetricsRegistry metrics_;
  ProcessPlan plan_;
  ServerAddress address_;                 ///< How programs on this machine reach this process.
  access::CertificateNames certificate_;  ///< Empty without TLS.
  std::atomic<bool> shutdown_requested_{false};
  bool stopped_ = false;

  ThreadExecutor strand_{"core"};
  ThreadExecutor reads_{"reads"};
  ThreadExecutor writes_{"writes"};
  ThreadExecutor bulk_{"bulk"};
  ThreadExecutor election_turns_{"election"};
  api::WatchedLogStore logs_;
  AttemptNamespaces attempt_namespaces_;
  std::unique_ptr<AccessControl> access_;
  net::RequestLimiter limiter_{{}, clock_};
  std::map<std::string, Listener> listeners_;
  adapters::agent_pool::AgentPool pool_;
  data::CatalogRepository catalog_;
  CatalogResolver resolver_;
  track::Tracking tracking_;
  adapters::track_sink::TrackSink track_sink_;
  JobRuns job_runs_;
  jobs::JobHistory history_;
  HistoryFollower history_follower_;
  cluster::NodeIntents node_intents_;
  cluster::QueueIntents queue_intents_;
  workflow::WorkflowRepository workflow_repository_;
  tune::StudyBoard studies_;
  std::unique_ptr<JobBuilder> builder_;
  std::unique_ptr<jobs::JobService> jobs_;
  std::unique_ptr<JobEvents> events_;
  std::unique_ptr<tasks::JobGateway> gateway_;
  std::unique_ptr<workflow::WorkflowService> workflows_;
  std::unique_ptr<adapters::agent_pool::EmbeddedLink> pool_link_;
  std::unique_ptr<LeadingLink> link_;  ///< What agents reach, the embedded one and others.
  std::unique_ptr<agent::Agent> agent_;

  std::unique_ptr<cluster::LeaderElection> election_;
  std::unique_ptr<cluster::Leadership> leadership_;  ///< Null where only one process can run.
  std::unique_ptr<api::Forwarder> forwarder_;        ///< Likewise.
  std::promise<void> lead_taken_;
  std::future<void> lead_is_taken_ = lead_taken_.get_future();
};

}  // namespace trainyard::apps
