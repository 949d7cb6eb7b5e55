#include "adapters/agent_pool/agent_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "base/rng.h"

namespace trainyard::adapters::agent_pool {

AgentPool::AgentPool(AgentPoolSettings settings, Deps deps) : settings_(std::move(settings)), deps_(deps) {
  if (settings_.epoch.empty()) settings_.epoch = secure_random_hex(8);
  arm_lease_timer();
}

AgentPool::~AgentPool() { *alive_ = false; }

AgentPool::Node& AgentPool::node_of(const NodeName& name) {
  const auto [found, made] = nodes_.try_emplace(name);
  if (made) {
    found->second.view.name = name;
    // A version that an earlier server gave must not make a sync wait here: they start from the clock.
    found->second.version = static_cast<std::uint64_t>(micros(deps_.clock.now()));
    found->second.lease_ends = deps_.clock.monotonic_now() + 2 * settings_.lease;
  }
  return found->second;
}

bool AgentPool::holds(const AttemptKey& attempt) const {
  const std::lock_guard lock(held_mutex_);
  return held_.contains(attempt);
}

std::vector<exec::NodeView> AgentPool::nodes() const {
  std::vector<exec::NodeView> views;
  for (const auto& [name, node] : nodes_) {
    if (node.synced) views.push_back(node.view);
  }
  return views;
}

void AgentPool::launch(const exec::GangLaunch& launch) { want(launch, false); }

void AgentPool::adopt(const exec::GangLaunch& launch) { want(launch, true); }

void AgentPool::want(const exec::GangLaunch& launch, bool adopted) {
  {
    const std::lock_guard lock(held_mutex_);
    held_.insert(launch.attempt);
  }
  for (std::size_t i = 0; i < launch.ranks.size(); ++i) {
    Node& node = node_of(launch.nodes[i]);
    Wanted wanted;
    wanted.desired.launch = launch.ranks[i];
    wanted.started = adopted && i < launch.seen_running.size() && launch.seen_running[i];
    if (node.wanted.emplace(launch.ranks[i].rank, std::move(wanted)).second) changed(node);
    // A node that was lost between plan and launch keeps nothing: its lease is over, so nobody would tell.
    if (!adopted && !node.view.ready) lose_ranks(node, {launch.ranks[i].rank}, "the node was lost before the launch");
  }
}

template <typename Change>
void AgentPool::for_each_rank(const AttemptKey& attempt, Change change) {
  for (auto& [name, node] : nodes_) {
    const auto first = node.wanted.lower_bound({attempt, 0});
    bool touched = false;
    for (auto it = first; it != node.wanted.end() && it->first.attempt == attempt;) touched |= change(node, it);
    if (touched) changed(node);
  }
}

void AgentPool::stop(const AttemptKey& attempt, exec::StopReason, Duration grace_max) {
  for_each_rank(attempt, [grace_max](Node&, auto& it) {
    exec::DesiredRank& desired = it->second.desired;
    const bool first = !std::exchange(desired.stop, true);
    if (first) desired.launch.grace = std::min(desired.launch.grace, grace_max);
    ++it;
    return first;
  });
}

void AgentPool::request_checkpoint(const AttemptKey& attempt) {
  for_each_rank(attempt, [](Node&, auto& it) {
    it->second.desired.checkpoint = true;
    ++it->second.desired.checkpoint_number;
    ++it;
    return true;
  });
}

void AgentPool::forget(const AttemptKey& attempt) {
  {
    const std::lock_guard lock(held_mutex_);
    held_.erase(attempt);
  }
  for_each_rank(attempt, [](Node& node, auto& it) {
    it = node.wanted.erase(it);
    return true;
  });
}

void AgentPool::changed(Node& node) {
  ++node.version;
  std::vector<std::uint64_t> waiting;
  for (const auto& [id, entry] : node.waiting) waiting.push_back(id);
  for (const std::uint64_t id : waiting) answer(node, id);
}

exec::DesiredState AgentPool::desired_of(const Node& node) const {
  exec::DesiredState state{node.version, {}, settings_.epoch};
  for (const auto& [rank, wanted] : node.wanted) state.ranks.push_back(wanted.desired);
  return state;
}

void AgentPool::answer(Node& node, std::uint64_t waiting_id) {
  const auto found = node.waiting.find(waiting_id);
  if (found == node.waiting.end()) return;
  const SyncDone done = std::move(found->second.done);
  node.waiting.erase(found);
  tell(node, done);
}

void AgentPool::tell(const Node& node, const SyncDone& done) const {
  if (const Result<void> hit = hit_failpoint("pool.before_answer"); !hit.ok()) return done(hit.error());
  done(desired_of(node));
}

void AgentPool::sync(const exec::NodeObservation& observation, std::uint64_t seen_version, Duration wait, SyncDone done) {
  if (const Result<void> hit = hit_failpoint("pool.before_report"); !hit.ok()) return done(hit.error());
  Node& node = node_of(observation.node);
  // A report that was overtaken by a later one, perhaps of the next agent, is answered and says nothing.
  if (node.synced && node.view.ready && node.host_boot == observation.host_boot && observation.stamp < node.stamp) return tell(node, done);
  node.host_boot = observation.host_boot;
  node.stamp = observation.stamp;
  const bool news = !node.synced || !node.view.ready || node.view.capacity != observation.capacity;
  node.synced = true;
  node.view.capacity = observation.capacity;
  node.view.ready = true;
  node.lease_ends = deps_.clock.monotonic_now() + settings_.lease;
  observe(node, observation);
  if (news && observer_ != nullptr) observer_->on_nodes_changed();
  if (const Result<void> hit = hit_failpoint("pool.after_report"); !hit.ok()) return done(hit.error());
  if (node.version != seen_version || wait <= Duration(0)) return tell(node, done);

  const std::uint64_t id = ++last_waiting_;
  node.waiting.emplace(id, Waiting{seen_version, std::move(done)});
  // The lease outlives the wait: the node is heard again at its end.
  const Duration patience = std::min(wait, settings_.lease / 3);
  deps_.strand.post_at(deps_.clock.monotonic_now() + patience, [this, alive = alive_, name = observation.node, id] {
    if (*alive) answer(nodes_.at(name), id);
  });
}

void AgentPool::release_waiting() {
  for (auto& [name, node] : nodes_) {
    while (!node.waiting.empty()) answer(node, node.waiting.begin()->first);
  }
}

/// Passes on what the node saw. The observer may launch, stop and forget meanwhile, so the report is compared with copies.
void AgentPool::observe(Node& node, const exec::NodeObservation& observation) {
  std::set<RankKey> present;
  for (const exec::RankObservation& seen : observation.ranks) {
    present.insert(seen.rank);
    const auto wanted = node.wanted.find(seen.rank);
    if (wanted == node.wanted.end() || wanted->second.lost) continue;
    wanted->second.started = true;
    wanted->second.seen_boot = observation.boot_id;
    if (observer_ == nullptr || seen.phase == exec::RankObservation::Phase::kStarting) continue;
    if (!seen.exit || seen.exit->launch_error.empty()) observer_->on_rank_running(seen.rank, seen.started_at);
    if (seen.exit) observer_->on_rank_exited(seen.rank, *seen.exit);
  }
  std::vector<RankKey> gone;
  for (const auto& [rank, wanted] : node.wanted) {
    if (wanted.started && !wanted.lost && !present.contains(rank) && wanted.seen_boot != observation.boot_id) gone.push_back(rank);
  }
  if (!gone.empty())
    lose_ranks(node, gone, fmt::format("the warden of node {} is another one and does not have them", node.view.name.text));
}

/// The node keeps what it has of them until their loss is durable and they are forgotten: a kill waits for its reason.
void AgentPool::lose_ranks(Node& node, const std::vector<RankKey>& ranks, const std::string& why) {
  for (const RankKey& rank : ranks) {
    Wanted& wanted = node.wanted.at(rank);
    wanted.lost = wanted.desired.given_up = true;
  }
  changed(node);
  // Posted: the caller may be inside a call of the observer.
  deps_.strand.post([this, alive = alive_, ranks, why] {
    if (*alive && observer_ != nullptr) observer_->on_ranks_lost(ranks, why);
  });
}

void AgentPool::arm_lease_timer() {
  deps_.strand.post_at(deps_.clock.monotonic_now() + settings_.lease / 3, [this, alive = alive_] {
    if (!*alive) return;
    check_leases();
    arm_lease_timer();
  });
}

void AgentPool::check_leases() {
  bool news = false;
  for (auto& [name, node] : nodes_) {
    if (deps_.clock.monotonic_now() < node.lease_ends) continue;
    news |= std::exchange(node.view.ready, false);
    std::vector<RankKey> ranks;
    for (const auto& [rank, wanted] : node.wanted) {
      if (!wanted.lost) ranks.push_back(rank);
    }
    if (ranks.empty()) continue;
    deps_.log.write({LogLevel::kWarning, "pool.lease_expired", {{"node", name.text}, {"ranks", static_cast<std::int64_t>(ranks.size())}}});
    lose_ranks(node, ranks, fmt::format("node {} was silent for longer than its lease of {}", name.text, format_duration(settings_.lease)));
  }
  if (news && observer_ != nullptr) observer_->on_nodes_changed();
}

}  // namespace trainyard::adapters::agent_pool
