#include "agent/node_state.h"

#include <algorithm>

namespace trainyard::agent {

using Phase = exec::RankObservation::Phase;

bool NodeState::has_work(const Entry& entry) {
  if (entry.busy || entry.fully_shipped) return false;
  return entry.shipped_log < entry.rank.log_size || entry.shipped_events < entry.rank.events_size ||
         entry.rank.observation.phase == Phase::kExited;
}

void NodeState::touch() {
  ++news_;
  changed_.notify_all();
}

void NodeState::replace(const std::string& boot_id, std::vector<exec::WardenRank> ranks) {
  const std::lock_guard lock(mutex_);
  std::map<RankKey, Entry> fresh;
  for (exec::WardenRank& rank : ranks) {
    const RankKey key = rank.observation.rank;
    Entry& entry = fresh[key];
    if (const auto old = ranks_.find(key); old != ranks_.end()) entry = old->second;
    entry.rank = std::move(rank);
  }
  ranks_ = std::move(fresh);
  boot_id_ = boot_id;
  connected_ = true;
  touch();
}

void NodeState::update(exec::WardenRank rank) {
  const std::lock_guard lock(mutex_);
  ranks_[rank.observation.rank].rank = std::move(rank);
  touch();
}

void NodeState::grow(const std::vector<exec::RankGrowth>& growths) {
  const std::lock_guard lock(mutex_);
  for (const exec::RankGrowth& growth : growths) {
    const auto found = ranks_.find(growth.rank);
    if (found == ranks_.end()) continue;
    found->second.rank.log_size = std::max(found->second.rank.log_size, growth.log_size);
    found->second.rank.events_size = std::max(found->second.rank.events_size, growth.events_size);
  }
  changed_.notify_all();
}

void NodeState::remove(const RankKey& rank) {
  const std::lock_guard lock(mutex_);
  ranks_.erase(rank);
}

std::optional<NodeState::ShipWork> NodeState::next_work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    std::optional<MonotonicPoint> wake;
    if (std::optional<ShipWork> work = take_due(wake)) return work;
    if (wake) {
      changed_.wait_until(lock, *wake);
    } else {
      changed_.wait(lock);
    }
  }
  return std::nullopt;
}

std::optional<NodeState::ShipWork> NodeState::take_work() {
  const std::lock_guard lock(mutex_);
  std::optional<MonotonicPoint> wake;
  return take_due(wake);
}

std::optional<NodeState::ShipWork> NodeState::take_due(std::optional<MonotonicPoint>& wake) {
  const std::optional<RankKey> due = next_due(wake);
  if (!due) return std::nullopt;
  Entry& entry = ranks_.at(*due);
  entry.busy = true;
  entry.not_before.reset();
  last_shipped_ = *due;
  return ShipWork{*due, entry.rank.log_size, entry.rank.events_size, entry.rank.observation.phase == Phase::kExited};
}

/// The first rank after the last one shipped whose turn it is. Else `wake` says when the next postponed one is due.
std::optional<RankKey> NodeState::next_due(std::optional<MonotonicPoint>& wake) const {
  const MonotonicPoint now = clock_.monotonic_now();
  auto next = ranks_.upper_bound(last_shipped_);
  for (std::size_t seen = 0; seen < ranks_.size(); ++seen, ++next) {
    if (next == ranks_.end()) next = ranks_.begin();
    const auto& [key, entry] = *next;
    if (!has_work(entry)) continue;
    if (!entry.not_before || *entry.not_before <= now) return key;
    wake = wake ? std::min(*wake, *entry.not_before) : *entry.not_before;
  }
  return std::nullopt;
}

void NodeState::shipped(const ShipWork& work) {
  const std::lock_guard lock(mutex_);
  const auto found = ranks_.find(work.rank);
  if (found == ranks_.end()) return;
  Entry& entry = found->second;
  entry.busy = false;
  entry.shipped_log = std::max(entry.shipped_log, work.log_size);
  entry.shipped_events = std::max(entry.shipped_events, work.events_size);
  entry.fully_shipped = work.exited;
  if (work.exited) touch();
}

void NodeState::postpone(const ShipWork& work, Duration pause) {
  const std::lock_guard lock(mutex_);
  const auto found = ranks_.find(work.rank);
  if (found == ranks_.end()) return;
  found->second.busy = false;
  found->second.not_before = clock_.monotonic_now() + pause;
}

std::optional<exec::NodeObservation> NodeState::observation() {
  const std::lock_guard lock(mutex_);
  if (!connected_) return std::nullopt;
  // The monotonic clock of the host orders reports of one agent and of those after it.
  const auto now = static_cast<std::uint64_t>(clock_.monotonic_now().time_since_epoch().count());
  last_stamp_ = std::max(last_stamp_ + 1, now);
  exec::NodeObservation observation{node_.node, boot_id_, node_.capacity, {}, node_.host_boot, last_stamp_};
  observation.facts = node_.facts;
  observation.installation = node_.installation;
  observation.leaving = leaving_;
  for (const auto& [key, entry] : ranks_) {
    exec::RankObservation& seen = observation.ranks.emplace_back(entry.rank.observation);
    if (seen.phase == Phase::kExited && !entry.fully_shipped) {
      seen.phase = Phase::kRunning;
      seen.exit.reset();
    }
  }
  for (const auto& [key, exit] : never_started_) {
    exec::RankObservation& seen = observation.ranks.emplace_back();
    seen.rank = key;
    seen.phase = Phase::kExited;
    seen.started_at = exit.ended_at;
    seen.exit = exit;
  }
  return observation;
}

std::vector<exec::WardenRank> NodeState::ranks() const {
  const std::lock_guard lock(mutex_);
  std::vector<exec::WardenRank> ranks;
  for (const auto& [key, entry] : ranks_) ranks.push_back(entry.rank);
  return ranks;
}

void NodeState::set_leaving() {
  const std::lock_guard lock(mutex_);
  leaving_ = true;
  touch();
}

void NodeState::set_never_started(const std::vector<RankKey>& ranks, TimePoint now) {
  const std::lock_guard lock(mutex_);
  std::map<RankKey, exec::RankExit> next;
  bool news = false;
  for (const RankKey& rank : ranks) {
    const auto known = never_started_.find(rank);
    exec::RankExit exit;
    exit.code = 143;
    exit.signal = 15;
    exit.stop_requested = true;
    exit.ended_at = now;
    next[rank] = known != never_started_.end() ? known->second : exit;
    news |= known == never_started_.end();
  }
  never_started_ = std::move(next);
  if (news) touch();
}

std::uint64_t NodeState::wait_for_news(std::uint64_t seen) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this, seen] { return stopping_ || (connected_ && news_ != seen); });
  return news_;
}

std::uint64_t NodeState::news() const {
  const std::lock_guard lock(mutex_);
  return news_;
}

void NodeState::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

}  // namespace trainyard::agent
