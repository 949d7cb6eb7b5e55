#pragma once
#include <algorithm>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/agent_link.h"

namespace trainyard::agent::testing {

/// A server in memory that behaves as the real one: keeps what a node should have, what it reported, and its output without gaps. Calls
/// fail on demand. Thread-safe.
class FakeAgentLink final : public AgentLink {
 public:
  // What the server wants.
  void launch(const exec::RankLaunch& launch) {
    change([&] { desired_[launch.rank].launch = launch; });
  }
  /// The rank is to be prepared, and starts with `release`.
  void hold(const exec::RankLaunch& launch) {
    change([&] {
      desired_[launch.rank].launch = launch;
      desired_[launch.rank].released = false;
    });
  }
  void release(const RankKey& rank, const std::map<std::string, std::string>& env) {
    change([&] {
      desired_[rank].released = true;
      for (const auto& [name, value] : env) desired_[rank].launch.env[name] = value;
    });
  }
  /// Syncs are refused with this error until `accept_syncs`.
  void refuse_syncs(const Error& error) {
    change([&] { refusal_ = error; });
  }
  void accept_syncs() {
    change([&] { refusal_.reset(); });
  }
  void stop(const RankKey& rank) {
    change([&] { desired_[rank].stop = true; });
  }
  void request_checkpoint(const RankKey& rank) {
    change([&] {
      desired_[rank].checkpoint = true;
      ++desired_[rank].checkpoint_number;
    });
  }
  void forget(const RankKey& rank) {
    change([&] { desired_.erase(rank); });
  }
  /// What this rank sends is refused from now on.
  void refuse_output(const RankKey& rank, const Error& error) {
    const std::lock_guard lock(mutex_);
    refused_.emplace(rank, error);
  }
  void fence(const RankKey& rank) {
    refuse_output(rank, {Category::kAborted, "lease.fenced", "the attempt is not the current one", {}, {}});
  }
  /// Every call fails while `down`.
  void set_down(bool down) {
    change([&] { down_ = down; });
  }

  /// Waits until `condition` holds of what was reported.
  bool wait_for(const std::function<bool(const FakeAgentLink&)>& condition, Duration patience = std::chrono::seconds(20)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return condition(*this); });
  }
  bool wait_for_exit(const RankKey& rank) {
    return wait_for([&](const FakeAgentLink& link) { return link.observed(rank).has_value() && link.observed(rank)->exit.has_value(); });
  }
  bool wait_until_running(const RankKey& rank) {
    return wait_for([&](const FakeAgentLink& link) {
      return link.observed(rank).has_value() && link.observed(rank)->phase == exec::RankObservation::Phase::kRunning;
    });
  }

  // Reads, also inside the conditions of wait_for.
  std::optional<exec::RankObservation> observed(const RankKey& rank) const {
    const std::lock_guard lock(mutex_);
    for (const exec::RankObservation& seen : last_.ranks) {
      if (seen.rank == rank) return seen;
    }
    return std::nullopt;
  }
  exec::NodeObservation last() const {
    const std::lock_guard lock(mutex_);
    return last_;
  }
  std::string log(const RankKey& rank) const {
    const std::lock_guard lock(mutex_);
    const auto found = logs_.find(rank);
    return found == logs_.end() ? "" : found->second;
  }
  std::vector<std::string> events(const RankKey& rank) const {
    const std::lock_guard lock(mutex_);
    const auto found = events_.find(rank);
    return found == events_.end() ? std::vector<std::string>() : found->second;
  }
  /// How much of the rank's output was there when its end was first reported.
  std::size_t log_at_exit(const RankKey& rank) const {
    const std::lock_guard lock(mutex_);
    return log_at_exit_.at(rank);
  }

  // agent::AgentLink
  Result<exec::DesiredState> sync(const exec::NodeObservation& observation, std::uint64_t seen_version, Duration wait) override {
    std::unique_lock lock(mutex_);
    if (down_) return outage();
    if (refusal_) return *refusal_;
    last_ = observation;
    for (const exec::RankObservation& seen : observation.ranks) {
      if (seen.exit) log_at_exit_.try_emplace(seen.rank, logs_[seen.rank].size());
    }
    changed_.notify_all();
    changed_.wait_for(lock, wait, [&] { return interrupted_ || down_ || version_ != seen_version; });
    if (down_) return outage();
    if (refusal_) return *refusal_;
    exec::DesiredState state{version_, {}};
    for (const auto& [rank, desired] : desired_) state.ranks.push_back(desired);
    return state;
  }
  void interrupt() override {
    change([&] { interrupted_ = true; });
  }
  /// A link that is used by the next agent after an interrupt.
  void renew() {
    change([&] { interrupted_ = false; });
  }
  Result<std::uint64_t> log_end(const RankKey& rank) override {
    const std::lock_guard lock(mutex_);
    if (down_) return outage();
    return logs_[rank].size();
  }
  Result<std::uint64_t> append_log(const RankKey& rank, std::uint64_t offset, std::string_view encoded) override {
    const std::lock_guard lock(mutex_);
    TRY(refuse(rank));
    std::string& log = logs_[rank];
    if (offset > log.size()) return failed_precondition("log.gap", "bytes are missing before this offset");
    log += encoded.substr(std::min(encoded.size(), log.size() - static_cast<std::size_t>(offset)));
    changed_.notify_all();
    return log.size();
  }
  Result<std::uint64_t> events_end(const RankKey& rank) override {
    const std::lock_guard lock(mutex_);
    if (down_) return outage();
    return events_[rank].size();
  }
  Result<std::uint64_t> append_events(const RankKey& rank, std::uint64_t first, const std::vector<std::string>& lines) override {
    const std::lock_guard lock(mutex_);
    TRY(refuse(rank));
    std::vector<std::string>& events = events_[rank];
    if (first > events.size()) return failed_precondition("events.gap", "lines are missing before this one");
    for (std::size_t index = events.size() - static_cast<std::size_t>(first); index < lines.size(); ++index) events.push_back(lines[index]);
    changed_.notify_all();
    return events.size();
  }

 private:
  static Error outage() { return unavailable("link.down", "the server cannot be reached"); }
  Result<void> refuse(const RankKey& rank) const {
    if (down_) return outage();
    const auto found = refused_.find(rank);
    return found == refused_.end() ? Result<void>() : Result<void>(found->second);
  }
  void change(const std::function<void()>& change_state) {
    {
      const std::lock_guard lock(mutex_);
      change_state();
      ++version_;
    }
    changed_.notify_all();
  }

  mutable std::recursive_mutex mutex_;  ///< Conditions of wait_for read too.
  std::condition_variable_any changed_;
  std::uint64_t version_ = 1;  // guarded by mutex_, like all below
  bool down_ = false;
  bool interrupted_ = false;
  std::optional<Error> refusal_;
  std::map<RankKey, exec::DesiredRank> desired_;
  std::map<RankKey, Error> refused_;
  exec::NodeObservation last_;
  std::map<RankKey, std::string> logs_;
  std::map<RankKey, std::vector<std::string>> events_;
  std::map<RankKey, std::size_t> log_at_exit_;
};

}  // namespace trainyard::agent::testing
