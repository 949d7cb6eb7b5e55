#include "agent/node_driver.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "agent/hardware.h"
#include "base/failpoint.h"

namespace trainyard::agent {
namespace {

using Phase = exec::RankObservation::Phase;

constexpr Duration kRetryPause = std::chrono::milliseconds(200);

/// Whether the server has answered, and the answer was no.
bool is_refusal(const Error& error) {
  constexpr Category kRefusals[] = {Category::kAborted, Category::kUnauthenticated, Category::kPermissionDenied,
                                    Category::kInvalidArgument};
  return std::find(std::begin(kRefusals), std::end(kRefusals), error.category) != std::end(kRefusals);
}

}  // namespace

NodeDriver::NodeDriver(NodeIdentity node, Deps deps)
    : deps_(std::move(deps)), gpus_(node.facts.gpus), state_(std::move(node), deps_.clock), shipper_(deps_.spool, deps_.link) {}

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
    seen = desired_version_;
  }
  return sync(seen, request, wait);
}

Result<void> NodeDriver::sync(std::uint64_t seen, std::uint64_t request, Duration wait) {
  const std::optional<exec::NodeObservation> observation = state_.observation();
  if (!observation) return unavailable("agent.no_warden", "the warden has not answered yet");
  FAILPOINT("agent.before_report");
  const Result<exec::DesiredState> desired = deps_.link.sync(*observation, seen, wait);
  note_outcome(desired);
  if (!desired.ok()) {
    if (desired.error().id == "agent.replaced") drop_everything();
    if (deps_.on_refused && is_refusal(desired.error())) deps_.on_refused(desired.error());
    return desired.error();
  }
  if (deps_.on_accepted) deps_.on_accepted();
  FAILPOINT("agent.after_report");
  apply(*desired, request);
  return {};
}

/// One line when the server cannot be reached or refuses, and one when it answers again.
void NodeDriver::note_outcome(const Result<exec::DesiredState>& outcome) {
  std::string trouble = outcome.ok() ? "" : outcome.error().id;
  {
    const std::lock_guard lock(mutex_);
    if (trouble == trouble_) return;
    trouble_ = std::move(trouble);
  }
  if (outcome.ok()) {
    deps_.log.write({LogLevel::kInfo, "agent.server_answers", {}});
  } else {
    deps_.log.write({LogLevel::kWarning, "agent.sync_failed", {{"error", outcome.error().describe()}}});
  }
}

void NodeDriver::leave() {
  state_.set_leaving();
  const std::lock_guard lock(mutex_);
  leave_request_ = requests_ + 1;
}

bool NodeDriver::drained() const {
  const std::lock_guard lock(mutex_);
  return leave_heard_ && wants_nothing_ && asked_.empty() && state_.ranks().empty();
}

/// Another agent has the name of this one: the server lost what runs here when it took it.
void NodeDriver::drop_everything() {
  const std::lock_guard lock(mutex_);
  carry_out(plan_reconcile(state_.ranks(), {}, {}));
}

void NodeDriver::apply(const exec::DesiredState& desired, std::uint64_t request) {
  const std::lock_guard lock(mutex_);
  // Two syncs may come back in the other order. Versions tell within one life of the server; an answer of another life counts only if
  // it was asked for after the present life was first heard of, since everything before may come from a server that is gone.
  if (desired.epoch == desired_epoch_) {
    if (desired.version < desired_version_) return;
  } else {
    if (request <= epoch_request_) return;
    epoch_request_ = requests_;
  }
  desired_epoch_ = desired.epoch;
  desired_version_ = desired.version;
  wants_nothing_ = desired.ranks.empty();
  leave_heard_ = leave_heard_ || (leave_request_ != 0 && request >= leave_request_);
  const std::vector<exec::WardenRank> ranks = state_.ranks();
  for (const exec::WardenRank& rank : ranks) {
    const auto asked = asked_.find(rank.observation.rank);
    if (asked == asked_.end()) continue;
    if (rank.observation.phase != Phase::kPrepared || asked->second == Phase::kPrepared) asked_.erase(asked);
  }
  std::set<RankKey> asked;
  for (const auto& [rank, phase] : asked_) asked.insert(rank);
  const ReconcileActions actions = plan_reconcile(ranks, asked, desired);
  state_.set_never_started(actions.never_started, deps_.clock.now());
  carry_out(actions);
}

void NodeDriver::carry_out(const ReconcileActions& actions) {
  // Kills come first and starts last: what is to start may need the room.
  for (const ReconcileActions::Stop& stop : actions.stop) deps_.tell_warden(exec::stop_request(stop.rank, stop.grace));
  for (const ReconcileActions::Checkpoint& checkpoint : actions.checkpoint) {
    deps_.tell_warden(exec::checkpoint_request(checkpoint.rank, checkpoint.number));
  }
  for (const RankKey& rank : actions.forget) forget(rank);
  for (const exec::RankLaunch& launch : actions.prepare) prepare(launch);
  for (const exec::RankLaunch& launch : actions.start) start(launch);
}

/// What the server wants started, completed with what only the node knows.
exec::RankLaunch NodeDriver::launch_here(const exec::RankLaunch& launch) const {
  exec::RankLaunch complete = with_visible_devices(launch, gpus_);
  complete.env.insert(deps_.environment.begin(), deps_.environment.end());
  if (const std::string url = deps_.server_url ? deps_.server_url() : ""; !url.empty()) {
    complete.env.emplace("TRAINYARD_API_URL", url);
    complete.env.emplace("MLFLOW_TRACKING_URI", url);
  }
  return complete;
}

void NodeDriver::prepare(const exec::RankLaunch& launch) {
  if (!hit_failpoint("agent.before_start").ok()) return;
  if (deps_.tell_warden(exec::prepare_request(launch_here(launch)))) asked_[launch.rank] = Phase::kPrepared;
}

void NodeDriver::start(const exec::RankLaunch& launch) {
  if (!hit_failpoint("agent.before_start").ok()) return;
  if (deps_.tell_warden(exec::start_request(launch_here(launch)))) asked_[launch.rank] = Phase::kStarting;
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
