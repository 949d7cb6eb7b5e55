#include "adapters/agent_pool/agent_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "adapters/agent_pool/device_choice.h"
#include "base/failpoint.h"
#include "base/rng.h"

namespace trainyard::adapters::agent_pool {
namespace {

using Phase = exec::RankObservation::Phase;

/// Ranks of a report that the node needs no launch for: it has them, and will not start them again.
std::set<RankKey> known_in(const exec::NodeObservation& observation) {
  std::set<RankKey> known;
  for (const exec::RankObservation& seen : observation.ranks) {
    if (seen.phase != Phase::kPrepared) known.insert(seen.rank);
  }
  return known;
}

}  // namespace

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

bool AgentPool::holds(const NodeName& node, const RankKey& rank) const {
  const std::lock_guard lock(held_mutex_);
  const auto attempt = held_.find(rank.attempt);
  if (attempt == held_.end()) return false;
  const auto place = attempt->second.find(rank.rank);
  return place != attempt->second.end() && place->second == node;
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
    auto& ranks = held_[launch.attempt];
    for (std::size_t i = 0; i < launch.ranks.size(); ++i) ranks.emplace(launch.ranks[i].rank.rank, launch.nodes[i]);
  }
  const bool meets = std::any_of(launch.nodes.begin(), launch.nodes.end(), [&](const NodeName& name) { return name != launch.nodes[0]; });
  bool fresh = false;
  for (std::size_t i = 0; i < launch.ranks.size(); ++i) {
    Node& node = node_of(launch.nodes[i]);
    Wanted wanted;
    wanted.desired.launch = launch.ranks[i];
    wanted.desired.released = !meets;
    wanted.started = adopted && i < launch.seen_running.size() && launch.seen_running[i];
    if (!node.wanted.emplace(launch.ranks[i].rank, std::move(wanted)).second) continue;
    fresh = true;
    if (node.synced) assign_devices(node);
    changed(node);
    // A node that was lost between plan and launch keeps nothing: its lease is over, so nobody would tell.
    if (!adopted && !node.view.ready) lose_ranks(node, {launch.ranks[i].rank}, "the node was lost before the launch");
    if (!adopted && node.view.ready && node.leaving) lose_ranks(node, {launch.ranks[i].rank}, "the node's agent leaves");
  }
  if (meets && fresh) raise_barrier(launch, adopted);
}

void AgentPool::raise_barrier(const exec::GangLaunch& launch, bool adopted) {
  Barrier& barrier = barriers_[launch.attempt];
  for (std::size_t i = 0; i < launch.ranks.size(); ++i) barrier.ranks[launch.ranks[i].rank] = launch.nodes[i];
  // After a restart of the server the nodes have a lease more to come back.
  barrier.patience = settings_.gang_barrier + (adopted ? 2 * settings_.lease : Duration(0));
  deps_.strand.post_at(deps_.clock.monotonic_now() + barrier.patience, [this, alive = alive_, attempt = launch.attempt] {
    if (!*alive) return;
    const auto late = barriers_.find(attempt);
    if (late == barriers_.end()) return;
    fail_barrier(attempt, fmt::format("not every rank of the gang was ready within {}: {}", format_duration(late->second.patience),
                                      missing_at(late->second)));
  });
}

std::string AgentPool::missing_at(const Barrier& barrier) const {
  std::string missing;
  for (const auto& [rank, name] : barrier.ranks) {
    const Node& node = nodes_.at(name);
    const auto wanted = node.wanted.find(rank);
    if (wanted == node.wanted.end() || wanted->second.ready) continue;
    missing += fmt::format("{}rank {} on node {}{}", missing.empty() ? "" : ", ", rank.rank, name.text,
                           node.view.ready ? "" : ", which is not heard of");
  }
  return missing;
}

/// Lets a gang start when the newest reports have every rank of it, prepared or further.
void AgentPool::try_release(const AttemptKey& attempt) {
  const auto found = barriers_.find(attempt);
  if (found == barriers_.end()) return;
  const Barrier barrier = found->second;
  bool all_started = true;
  for (const auto& [rank, name] : barrier.ranks) {
    const auto& wanted = nodes_.at(name).wanted;
    const auto here = wanted.find(rank);
    if (here == wanted.end() || !here->second.ready || here->second.lost) return;
    if (here->second.failed) return;  // The gang dies with it: nobody else need start.
    all_started &= here->second.started;
  }
  if (all_started) {
    barriers_.erase(found);  // A server before this one released it.
    return;
  }
  const auto& [first, first_node] = *barrier.ranks.begin();
  const std::string& address = nodes_.at(first_node).view.facts.address;
  if (address.empty()) {
    return fail_barrier(attempt, fmt::format("rank {} is on a node that tells no address where others reach it; start its agent with "
                                             "--address: {}",
                                             first.rank, first_node.text));
  }
  const std::uint16_t port = nodes_.at(first_node).wanted.at(first).port;
  if (!hit_failpoint("pool.before_gang_release").ok()) return;
  barriers_.erase(found);
  for (const auto& [rank, name] : barrier.ranks) {
    Node& node = nodes_.at(name);
    exec::DesiredRank& desired = node.wanted.at(rank).desired;
    desired.released = true;
    desired.launch.env["MASTER_ADDR"] = address;
    if (port != 0) desired.launch.env["MASTER_PORT"] = std::to_string(port);
  }
  for (const auto& [rank, name] : barrier.ranks) {
    changed(nodes_.at(name));
    (void)hit_failpoint("pool.after_rank_release");
  }
}

/// The gang has failed to start: what was prepared is withdrawn. What a server before this one released goes on until it is stopped.
void AgentPool::fail_barrier(const AttemptKey& attempt, const std::string& why) {
  const auto found = barriers_.find(attempt);
  if (found == barriers_.end()) return;
  const Barrier barrier = std::move(found->second);
  barriers_.erase(found);
  deps_.log.write({LogLevel::kWarning, "pool.gang_barrier", {{"job", attempt.job.text()}, {"why", why}}});
  std::vector<RankKey> ended;
  for (const auto& [rank, name] : barrier.ranks) {
    Node& node = nodes_.at(name);
    const auto wanted = node.wanted.find(rank);
    if (wanted == node.wanted.end() || wanted->second.started || wanted->second.lost) continue;
    wanted->second.lost = wanted->second.desired.given_up = wanted->second.desired.stop = true;
    ended.push_back(rank);
    changed(node);
  }
  deps_.strand.post([this, alive = alive_, ended, why] {
    if (!*alive || observer_ == nullptr) return;
    exec::RankExit exit;
    exit.code = 127;
    exit.launch_error = "gang.barrier: " + why;
    exit.ended_at = deps_.clock.now();
    for (const RankKey& rank : ended) observer_->on_rank_exited(rank, exit);
  });
}

/// Gives GPUs to the ranks of a node that ask for some and have none yet.
void AgentPool::assign_devices(Node& node) {
  if (node.view.facts.gpus.empty()) return;
  DeviceUse use;
  std::vector<exec::RankLaunch*> without;
  for (auto& [rank, wanted] : node.wanted) {
    exec::RankLaunch& launch = wanted.desired.launch;
    if (wanted.ended || launch.resources.milli_gpu <= 0) continue;
    if (launch.devices.empty()) without.push_back(&launch);
    add_use(use, launch.devices, launch.resources.milli_gpu);
  }
  for (exec::RankLaunch* launch : without) {
    launch->devices = choose_devices(node.view.facts.gpus, use, launch->resources.milli_gpu);
    add_use(use, launch->devices, launch->resources.milli_gpu);
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
  barriers_.erase(attempt);
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
  barriers_.erase(attempt);
  for_each_rank(attempt, [](Node& node, auto& it) {
    it = node.wanted.erase(it);
    return true;
  });
}

/// The answer comes as a task of its own: what else the same commit launches or lets go is in it.
void AgentPool::changed(Node& node) {
  ++node.version;
  if (node.waiting.empty() || std::exchange(node.answers_soon, true)) return;
  deps_.strand.post([this, alive = alive_, name = node.view.name] {
    const auto found = *alive ? nodes_.find(name) : nodes_.end();
    if (found == nodes_.end()) return;
    Node& changed = found->second;
    changed.answers_soon = false;
    while (!changed.waiting.empty()) answer(changed, changed.waiting.begin()->first);
  });
}

exec::DesiredState AgentPool::desired_of(const Node& node, const std::set<RankKey>& known) const {
  exec::DesiredState state{node.version, {}, settings_.epoch};
  state.ranks.reserve(node.wanted.size());
  for (const auto& [rank, wanted] : node.wanted) {
    if (!known.contains(rank)) {
      state.ranks.push_back(wanted.desired);
      continue;
    }
    exec::DesiredRank& brief = state.ranks.emplace_back();
    brief.launch.rank = rank;
    brief.launch.grace = wanted.desired.launch.grace;
    brief.stop = wanted.desired.stop;
    brief.checkpoint = wanted.desired.checkpoint;
    brief.checkpoint_number = wanted.desired.checkpoint_number;
    brief.given_up = wanted.desired.given_up;
    brief.released = wanted.desired.released;
    brief.known = true;
  }
  return state;
}

void AgentPool::answer(Node& node, std::uint64_t waiting_id) {
  const auto found = node.waiting.find(waiting_id);
  if (found == node.waiting.end()) return;
  const Waiting waiting = std::move(found->second);
  node.waiting.erase(found);
  tell(node, waiting.known, waiting.done);
}

void AgentPool::tell(const Node& node, const std::set<RankKey>& known, const SyncDone& done) const {
  if (const Result<void> hit = hit_failpoint("pool.before_answer"); !hit.ok()) return done(hit.error());
  done(desired_of(node, known));
}

/// One agent has a name: the one whose reports keep the lease. An agent that starts again on its data directory is the same one.
Result<void> AgentPool::admit(Node& node, const exec::NodeObservation& observation) const {
  const std::string& id = observation.installation;
  if (id.empty() || id == node.installation) return {};
  if (!node.installation.empty() && deps_.clock.monotonic_now() < node.lease_ends) {
    const bool replaced = id == node.replaced;
    return Error{
        Category::kAborted,
        replaced ? "agent.replaced" : "agent.name_taken",
        fmt::format("another agent {} under this name and is heard of; give this one another name with --node, or stop the other and "
                    "wait {}: {} (the other one is on host {})",
                    replaced ? "has joined" : "serves", format_duration(settings_.lease), node.view.name.text,
                    node.view.facts.labels.contains("host") ? node.view.facts.labels.at("host") : "unknown"),
        {},
        {}};
  }
  node.replaced = std::exchange(node.installation, id);
  return {};
}

void AgentPool::show_state(Node& node) {
  node.view.state = node.leaving ? exec::NodeState::kDraining : node.wanted_state;
  node.view.state_reason = node.leaving ? "its agent leaves" : node.wanted_reason;
  node.view.schedulable = node.view.state == exec::NodeState::kReady;
}

void AgentPool::set_node_state(const NodeName& name, exec::NodeState state, std::string why) {
  Node& node = node_of(name);
  node.wanted_state = state;
  node.wanted_reason = state == exec::NodeState::kReady ? "" : std::move(why);
  show_state(node);
  if (node.synced && observer_ != nullptr) observer_->on_nodes_changed();
}

Result<void> AgentPool::check_gone(const NodeName& name) const {
  const auto found = nodes_.find(name);
  if (found == nodes_.end() || !found->second.synced) {
    return not_found("node.unknown", "there is no node of this name; `trainyard node ls` lists them: " + name.text);
  }
  const Node& node = found->second;
  if (!node.wanted.empty()) {
    return failed_precondition("node.has_ranks",
                               fmt::format("ranks are still placed on this node; drain it and wait until it has none, then take it off the "
                                           "list: {} has {}",
                                           name.text, node.wanted.size()));
  }
  if (!node.view.ready || node.leaving) return {};
  return failed_precondition("node.in_use",
                             fmt::format("this node is heard of; stop its agent, wait {} (its lease), and then take it off the list: {}",
                                         format_duration(settings_.lease), name.text));
}

Result<void> AgentPool::remove_node(const NodeName& name) {
  TRY(check_gone(name));
  Node& node = nodes_.at(name);
  while (!node.waiting.empty()) answer(node, node.waiting.begin()->first);
  nodes_.erase(name);
  if (observer_ != nullptr) observer_->on_nodes_changed();
  return {};
}

/// What the node says of itself; true when that is news for the planner.
bool AgentPool::take_report(Node& node, const exec::NodeObservation& observation) {
  exec::NodeView& view = node.view;
  const bool news = !node.synced || !view.ready || view.capacity != observation.capacity || node.leaving != observation.leaving ||
                    view.facts != observation.facts;
  node.host_boot = observation.host_boot;
  node.stamp = observation.stamp;
  node.synced = true;
  node.leaving = observation.leaving;
  view.capacity = observation.capacity;
  view.facts = observation.facts;
  view.ready = true;
  view.reported_at = deps_.clock.now();
  show_state(node);
  node.lease_ends = deps_.clock.monotonic_now() + settings_.lease;
  return news;
}

void AgentPool::sync(const exec::NodeObservation& observation, std::uint64_t seen_version, Duration wait, SyncDone done) {
  if (const Result<void> hit = hit_failpoint("pool.before_report"); !hit.ok()) return done(hit.error());
  Node& node = node_of(observation.node);
  if (const Result<void> admitted = admit(node, observation); !admitted.ok()) return done(admitted.error());
  // A report that was overtaken by a later one, perhaps of the next agent, is answered and says nothing.
  if (node.synced && node.view.ready && node.host_boot == observation.host_boot && observation.stamp < node.stamp)
    return tell(node, {}, done);
  const bool news = take_report(node, observation);
  observe(node, observation);
  if (news && observer_ != nullptr) observer_->on_nodes_changed();
  if (const Result<void> hit = hit_failpoint("pool.after_report"); !hit.ok()) return done(hit.error());
  if (node.version != seen_version || wait <= Duration(0)) return tell(node, known_in(observation), done);

  const std::uint64_t id = ++last_waiting_;
  node.waiting.emplace(id, Waiting{known_in(observation), std::move(done)});
  // The lease outlives the wait: the node is heard again at its end.
  const Duration patience = std::min(wait, settings_.lease / 3);
  deps_.strand.post_at(deps_.clock.monotonic_now() + patience, [this, alive = alive_, name = observation.node, id] {
    if (!*alive) return;
    if (const auto found = nodes_.find(name); found != nodes_.end()) answer(found->second, id);
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
  std::set<AttemptKey> meeting;
  for (auto& [rank, wanted] : node.wanted) wanted.ready = false;
  for (const exec::RankObservation& seen : observation.ranks) {
    present.insert(seen.rank);
    const auto found = node.wanted.find(seen.rank);
    if (found == node.wanted.end() || found->second.lost) continue;
    Wanted& wanted = found->second;
    wanted.ready = true;
    wanted.port = seen.port;
    if (wanted.desired.launch.devices.empty()) wanted.desired.launch.devices = seen.devices;
    if (!wanted.desired.released) meeting.insert(seen.rank.attempt);
    if (seen.phase == Phase::kPrepared) continue;
    wanted.started = true;
    wanted.ended = wanted.ended || seen.exit.has_value();
    wanted.failed = wanted.failed || (seen.exit && (seen.exit->code != 0 || !seen.exit->launch_error.empty()));
    wanted.seen_boot = observation.boot_id;
    if (observer_ == nullptr || seen.phase == Phase::kStarting) continue;
    if (!seen.limited_by.empty()) observer_->on_rank_limited(seen.rank, seen.limited_by);
    if (!seen.exit || seen.exit->launch_error.empty()) observer_->on_rank_running(seen.rank, seen.started_at);
    if (seen.exit) observer_->on_rank_exited(seen.rank, *seen.exit);
  }
  std::vector<RankKey> gone;
  for (const auto& [rank, wanted] : node.wanted) {
    if (wanted.started && !wanted.lost && !present.contains(rank) && wanted.seen_boot != observation.boot_id) gone.push_back(rank);
  }
  if (!gone.empty())
    lose_ranks(node, gone, fmt::format("the warden of node {} is another one and does not have them", node.view.name.text));
  assign_devices(node);
  for (const AttemptKey& attempt : meeting) try_release(attempt);
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
