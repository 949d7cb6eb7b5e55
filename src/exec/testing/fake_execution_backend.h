#pragma once
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "exec/execution_backend.h"

namespace trainyard::exec::testing {

/// A backend whose nodes do what the test says: a launched rank waits until `report_running`, and ends with `report_exit`. Nothing
/// happens by itself and nothing is reported from inside a call of the backend. Single-threaded.
class FakeExecutionBackend final : public ExecutionBackend {
 public:
  void add_node(const NodeName& name, const Resources& capacity) {
    nodes_[name] = NodeView{name, capacity, true};
    if (observer_ != nullptr) observer_->on_nodes_changed();
  }

  // What the nodes were told.
  bool wanted(const RankKey& rank) const { return ranks_.contains(rank); }
  bool stop_asked(const RankKey& rank) const { return wanted(rank) && ranks_.at(rank).stop; }
  std::uint32_t checkpoints_asked(const RankKey& rank) const { return wanted(rank) ? ranks_.at(rank).checkpoints : 0; }
  const RankLaunch* launch_of(const RankKey& rank) const { return wanted(rank) ? &ranks_.at(rank).launch : nullptr; }

  // What the nodes do. Calls about a rank that is not wanted change nothing.
  void report_running(const RankKey& rank, TimePoint started_at) {
    if (wanted(rank)) observer_->on_rank_running(rank, started_at);
  }
  void report_exit(const RankKey& rank, const RankExit& exit) {
    if (!wanted(rank)) return;
    ranks_.at(rank).ended = true;
    observer_->on_rank_exited(rank, exit);
  }
  /// The node is silent for longer than its lease.
  void lose_node(const NodeName& name) {
    nodes_.at(name).ready = false;
    std::vector<RankKey> lost;
    for (const auto& [key, rank] : ranks_) {
      if (rank.node == name) lost.push_back(key);
    }
    for (const RankKey& key : lost) ranks_.erase(key);
    if (!lost.empty()) observer_->on_ranks_lost(lost, "the node is gone: " + name.text);
    observer_->on_nodes_changed();
  }
  void return_node(const NodeName& name) {
    nodes_.at(name).ready = true;
    observer_->on_nodes_changed();
  }
  /// Reports what was found out inside calls of the backend: launches on nodes that are not there, adopted ranks that are gone.
  void settle() {
    const std::vector<RankKey> lost = std::exchange(lost_, {});
    if (!lost.empty()) observer_->on_ranks_lost(lost, "the node was lost before the launch");
  }
  /// Forgets every rank as a node does whose warden was replaced: an adopted rank that had been seen running is lost then.
  void forget_processes() { processes_kept_ = false; }

  // ExecutionBackend
  void set_observer(AttemptObserver& observer) override { observer_ = &observer; }
  std::vector<NodeView> nodes() const override {
    std::vector<NodeView> views;
    for (const auto& [name, view] : nodes_) views.push_back(view);
    return views;
  }
  void launch(const GangLaunch& launch) override { want(launch, false); }
  void adopt(const GangLaunch& launch) override { want(launch, true); }
  void stop(const AttemptKey& attempt, StopReason, Duration) override {
    for_each(attempt, [](Rank& rank) { rank.stop = true; });
  }
  void request_checkpoint(const AttemptKey& attempt) override {
    for_each(attempt, [](Rank& rank) { ++rank.checkpoints; });
  }
  void forget(const AttemptKey& attempt) override {
    std::erase_if(ranks_, [&](const auto& entry) { return entry.first.attempt == attempt; });
  }

 private:
  struct Rank {
    RankLaunch launch;
    NodeName node;
    bool stop = false;
    bool ended = false;
    std::uint32_t checkpoints = 0;
  };

  void want(const GangLaunch& launch, bool adopted) {
    for (std::size_t index = 0; index < launch.ranks.size(); ++index) {
      const RankKey& key = launch.ranks[index].rank;
      const auto node = nodes_.find(launch.nodes[index]);
      const bool seen = adopted && index < launch.seen_running.size() && launch.seen_running[index];
      if (node == nodes_.end() || !node->second.ready || (seen && !processes_kept_)) {
        lost_.push_back(key);
      } else {
        ranks_.try_emplace(key, Rank{.launch = launch.ranks[index], .node = launch.nodes[index]});
      }
    }
  }
  template <typename Change>
  void for_each(const AttemptKey& attempt, Change change) {
    for (auto& [key, rank] : ranks_) {
      if (key.attempt == attempt) change(rank);
    }
  }

  AttemptObserver* observer_ = nullptr;
  std::map<NodeName, NodeView> nodes_;
  std::map<RankKey, Rank> ranks_;
  std::vector<RankKey> lost_;
  bool processes_kept_ = true;
};

}  // namespace trainyard::exec::testing
