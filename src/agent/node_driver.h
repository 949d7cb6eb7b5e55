#pragma once
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "agent/agent_link.h"
#include "agent/node_state.h"
#include "agent/reconcile.h"
#include "agent/shipper.h"
#include "base/log.h"

namespace trainyard::agent {

/// What an agent does, without the threads that do it: reports the node, carries out what the server wants, and ships output. Each
/// method is one turn of one of the agent's loops and blocks as long as the link does. Thread-safe; `ship` is for one thread.
class NodeDriver {
 public:
  struct Deps {
    AgentLink& link;
    SpoolReader& spool;
    const Clock& clock;
    LogSink& log;
    /// Sends a request to the warden without waiting; false while there is no connection.
    std::function<bool(const Document&)> tell_warden;
    /// The server answered a sync with the error: it takes another agent under this name (ABORTED "agent.name_taken" or "agent.replaced"),
    /// not this caller (UNAUTHENTICATED, PERMISSION_DENIED), or not what it says (INVALID_ARGUMENT). May be empty.
    std::function<void(const Error&)> on_refused = nullptr;
    /// The server answered a sync with what this node should have. May be empty.
    std::function<void()> on_accepted = nullptr;
    /// Variables of this node, for every rank that does not set them itself.
    std::map<std::string, std::string> environment = {};
    /// URL by which this node reaches the server now; ranks that were told none get it as TRAINYARD_API_URL and MLFLOW_TRACKING_URI. May be
    /// empty. Called while a mutex is held: it must not call back.
    std::function<std::string()> server_url = nullptr;
  };

  NodeDriver(NodeIdentity node, Deps deps);

  NodeState& state() { return state_; }

  /// A warden answered: its boot id and all its ranks.
  void on_warden(const std::string& boot_id, std::vector<exec::WardenRank> ranks);

  /// Tells the server what runs here and carries out its answer. Failpoints: "agent.before_report", "agent.after_report",
  /// "agent.before_start", "agent.after_start", "agent.before_forget", "agent.after_forget". Errors: those of the link;
  /// UNAVAILABLE "agent.no_warden" before the warden answered. After ABORTED "agent.replaced" every rank is ended: the server lost them
  /// when another agent took the name.
  Result<void> report();
  /// The same, and waits at the server until it wants something else than the last time, at most `wait`.
  Result<void> poll(Duration wait);
  /// Ships the output that `work` names; what does not work now gets another turn. Failpoint: "agent.after_ack_recorded".
  void ship(const NodeState::ShipWork& work);

  /// Asks the server to drain the node: from the next report on.
  void leave();
  /// True once the server has answered a report that asked for it, wants nothing here any more, and nothing is left.
  bool drained() const;

 private:
  Result<void> sync(std::uint64_t seen, std::uint64_t request, Duration wait);
  void apply(const exec::DesiredState& desired, std::uint64_t request);
  void carry_out(const ReconcileActions& actions);
  exec::RankLaunch launch_here(const exec::RankLaunch& launch) const;
  void prepare(const exec::RankLaunch& launch);
  void start(const exec::RankLaunch& launch);
  void drop_everything();
  void note_outcome(const Result<exec::DesiredState>& outcome);
  void forget(const RankKey& rank);

  Deps deps_;
  const std::vector<exec::GpuDevice> gpus_;
  NodeState state_;
  Shipper shipper_;
  mutable std::mutex mutex_;
  std::string desired_epoch_;  // Of the newest answer; guarded by mutex_, like all below.
  std::uint64_t desired_version_ = 0;
  bool wants_nothing_ = true;
  /// Started or prepared by request, not confirmed by this warden yet: the phase that confirms it, or any later one.
  std::map<RankKey, exec::RankObservation::Phase> asked_;
  std::uint64_t requests_ = 0;       ///< Syncs sent so far.
  std::uint64_t epoch_request_ = 0;  ///< The last sync that had been sent when the server's present epoch was first heard of.
  std::uint64_t leave_request_ = 0;  ///< The first sync that told the server that the agent leaves; 0: none.
  bool leave_heard_ = false;         ///< It, or a later one, was answered.
  std::string trouble_;              ///< Id of the link's last error, so that each is logged once; empty: the last sync went well.
};

}  // namespace trainyard::agent
