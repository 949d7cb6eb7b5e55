#include "agent/agent.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "agent/capacity.h"
#include "agent/reconcile.h"
#include "base/failpoint.h"

namespace trainyard::agent {
namespace {

constexpr Duration kRetryPause = std::chrono::milliseconds(200);
/// Versions count changes: two answers under way at once are never this far apart.
constexpr std::uint64_t kVersionDisorderMax = 1'000'000;

Resources or_discovered(Resources capacity) {
  const Resources found = discover_capacity();
  if (capacity.milli_cpu == 0) capacity.milli_cpu = found.milli_cpu;
  if (capacity.memory_bytes == 0) capacity.memory_bytes = found.memory_bytes;
  return capacity;
}

}  // namespace

Agent::Agent(AgentSettings settings, Deps deps)
    : settings_(std::move(settings)),
      deps_(deps),
      state_(settings_.node, or_discovered(settings_.capacity), deps.clock),
      shipper_(settings_.data_dir, deps.link),
      warden_({settings_.data_dir, settings_.warden_program, settings_.lifeline},
              {[this](const std::string& boot, std::vector<exec::WardenRank> ranks) { on_warden(boot, std::move(ranks)); },
               [this](exec::WardenRank rank) { state_.update(std::move(rank)); },
               [this](const std::vector<exec::RankGrowth>& growths) { state_.grow(growths); }},
              deps.clock, deps.log) {}

Agent::~Agent() { stop(); }

void Agent::start() {
  warden_.start();
  threads_.emplace_back([this] { poll_loop(); });
  threads_.emplace_back([this] { report_loop(); });
  threads_.emplace_back([this] { ship_loop(); });
}

void Agent::stop() {
  {
    const std::lock_guard lock(stop_mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  deps_.link.interrupt();
  state_.stop();
  warden_.stop();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  threads_.clear();
}

void Agent::shutdown_warden(Duration grace) { warden_.shutdown(grace); }

/// Sleeps unless the agent stops; true when it does.
bool Agent::pause(Duration span) {
  std::unique_lock lock(stop_mutex_);
  return stopped_.wait_for(lock, span, [this] { return stopping_; });
}

Result<void> Agent::sync_once(std::uint64_t seen, Duration wait) {
  const std::optional<exec::NodeObservation> observation = state_.observation();
  if (!observation) return unavailable("agent.no_warden", "the warden has not answered yet");
  FAILPOINT("agent.before_report");
  ASSIGN_OR_RETURN(const exec::DesiredState desired, deps_.link.sync(*observation, seen, wait));
  apply(desired);
  return {};
}

/// Waits at the server for a new desired state.
void Agent::poll_loop() {
  state_.wait_for_news(0);
  while (!pause(Duration(0))) {
    std::uint64_t seen = 0;
    {
      const std::lock_guard lock(apply_mutex_);
      seen = desired_.version;
    }
    if (!sync_once(seen, settings_.poll_wait).ok() && pause(kRetryPause)) return;
  }
}

/// Tells the server at once what changed here.
void Agent::report_loop() {
  std::uint64_t seen = 0;
  while (!pause(Duration(0))) {
    seen = state_.wait_for_news(seen);
    while (!pause(Duration(0)) && !sync_once(0, Duration(0)).ok()) {
      if (pause(kRetryPause)) return;
    }
  }
}

void Agent::on_warden(const std::string& boot_id, std::vector<exec::WardenRank> ranks) {
  const std::lock_guard lock(apply_mutex_);
  asked_.clear();
  state_.replace(boot_id, std::move(ranks));
}

void Agent::apply(const exec::DesiredState& desired) {
  const std::lock_guard lock(apply_mutex_);
  // Two syncs may come back in the other order; versions of one server only grow. A restarted server starts from its clock: one that
  // is far behind had its clock set back.
  if (desired.version < desired_.version && desired.version + kVersionDisorderMax > desired_.version) return;
  desired_ = desired;
  const std::vector<exec::WardenRank> ranks = state_.ranks();
  for (const exec::WardenRank& rank : ranks) asked_.erase(rank.observation.rank);
  const ReconcileActions actions = plan_reconcile(ranks, asked_, desired);
  state_.set_never_started(actions.never_started, deps_.clock.now());
  for (const exec::RankLaunch& launch : actions.start) {
    if (warden_.send(exec::start_request(launch))) asked_.insert(launch.rank);
  }
  for (const ReconcileActions::Checkpoint& checkpoint : actions.checkpoint) {
    warden_.send(exec::checkpoint_request(checkpoint.rank, checkpoint.number));
  }
  for (const ReconcileActions::Stop& stop : actions.stop) warden_.send(exec::stop_request(stop.rank, stop.grace));
  for (const RankKey& rank : actions.forget) {
    warden_.send(exec::forget_request(rank));
    state_.remove(rank);
  }
}

void Agent::ship_loop() {
  while (const std::optional<NodeState::ShipWork> work = state_.next_work()) {
    const Result<Shipper::Outcome> outcome = shipper_.ship(*work);
    if (!outcome.ok()) {
      deps_.log.write(
          {LogLevel::kWarning, "agent.ship_failed", {{"job", work->rank.attempt.job.text()}, {"error", outcome.error().describe()}}});
      state_.postpone(*work, kRetryPause);
      continue;
    }
    if (outcome->damage) {
      deps_.log.write(
          {LogLevel::kError, "agent.output_given_up", {{"job", work->rank.attempt.job.text()}, {"error", outcome->damage->describe()}}});
    }
    if (!outcome->fenced && !outcome->damage && !work->exited) warden_.send(exec::shipped_request(work->rank, outcome->mark));
    state_.shipped(*work);
  }
}

}  // namespace trainyard::agent
