#include "agent/node_driver.h"

#include <utility>

#include "agent/reconcile.h"
#include "base/failpoint.h"

namespace trainyard::agent {
namespace {

constexpr Duration kRetryPause = std::chrono::milliseconds(200);

}  // namespace

NodeDriver::NodeDriver(NodeIdentity node, Deps deps)
    : deps_(std::move(deps)), state_(std::move(node), deps_.clock), shipper_(deps_.spool, deps_.link) {}

void NodeDriver::on_warden(const std::string& boot_id, std::vector<exec::WardenRank> ranks) {
  const std::lock_guard lock(mutex_);
  asked_.clear();
  state_.replace(boot_id, std::move(ranks));
}

Result<void> NodeDriver::report() {
  std::uint64_t request = 0;
  {
    const std::lock_guard lock(mutex_);
    request = ++requests_;
  }
  return sync(0, request, Duration(0));
}

Result<void> NodeDriver::poll(Duration wait) {
  std::uint64_t request = 0;
  std::uint64_t seen = 0;
  {
    const std::lock_guard lock(mutex_);
    request = ++requests_;
    seen = desired_.version;
  }
  return sync(seen, request, wait);
}

Result<void> NodeDriver::sync(std::uint64_t seen, std::uint64_t request, Duration wait) {
  const std::optional<exec::NodeObservation> observation = state_.observation();
  if (!observation) return unavailable("agent.no_warden", "the warden has not answered yet");
  FAILPOINT("agent.before_report");
  ASSIGN_OR_RETURN(const exec::DesiredState desired, deps_.link.sync(*observation, seen, wait));
  FAILPOINT("agent.after_report");
  apply(desired, request);
  return {};
}

void NodeDriver::apply(const exec::DesiredState& desired, std::uint64_t request) {
  const std::lock_guard lock(mutex_);
  // Two syncs may come back in the other order. Versions tell within one life of the server; an answer of another life counts only if
  // it was asked for after the present life was first heard of, since everything before may come from a server that is gone.
  if (desired.epoch == desired_.epoch) {
    if (desired.version < desired_.version) return;
  } else {
    if (request <= epoch_request_) return;
    epoch_request_ = requests_;
  }
  desired_ = desired;
  const std::vector<exec::WardenRank> ranks = state_.ranks();
  for (const exec::WardenRank& rank : ranks) asked_.erase(rank.observation.rank);
  const ReconcileActions actions = plan_reconcile(ranks, asked_, desired);
  state_.set_never_started(actions.never_started, deps_.clock.now());
  // Kills come first and starts last: what is to start may need the room.
  for (const ReconcileActions::Stop& stop : actions.stop) deps_.tell_warden(exec::stop_request(stop.rank, stop.grace));
  for (const ReconcileActions::Checkpoint& checkpoint : actions.checkpoint) {
    deps_.tell_warden(exec::checkpoint_request(checkpoint.rank, checkpoint.number));
  }
  for (const RankKey& rank : actions.forget) forget(rank);
  for (const exec::RankLaunch& launch : actions.start) start(launch);
}

void NodeDriver::start(const exec::RankLaunch& launch) {
  if (!hit_failpoint("agent.before_start").ok()) return;
  if (deps_.tell_warden(exec::start_request(launch))) asked_.insert(launch.rank);
  (void)hit_failpoint("agent.after_start");
}

void NodeDriver::forget(const RankKey& rank) {
  if (!hit_failpoint("agent.before_forget").ok()) return;
  deps_.tell_warden(exec::forget_request(rank));
  state_.remove(rank);
  (void)hit_failpoint("agent.after_forget");
}

void NodeDriver::ship(const NodeState::ShipWork& work) {
  const Result<Shipper::Outcome> outcome = shipper_.ship(work);
  if (!outcome.ok()) {
    deps_.log.write(
        {LogLevel::kWarning, "agent.ship_failed", {{"job", work.rank.attempt.job.text()}, {"error", outcome.error().describe()}}});
    state_.postpone(work, kRetryPause);
    return;
  }
  if (outcome->damage) {
    deps_.log.write(
        {LogLevel::kError, "agent.output_given_up", {{"job", work.rank.attempt.job.text()}, {"error", outcome->damage->describe()}}});
  }
  if (!outcome->fenced && !outcome->damage && !work.exited) deps_.tell_warden(exec::shipped_request(work.rank, outcome->mark));
  (void)hit_failpoint("agent.after_ack_recorded");
  state_.shipped(work);
}

}  // namespace trainyard::agent
