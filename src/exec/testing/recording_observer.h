#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "exec/execution_backend.h"

namespace trainyard::exec::testing {

/// Writes down what a backend reports, and compares as a receiver does: repeats are counted once.
class RecordingObserver final : public AttemptObserver {
 public:
  std::set<RankKey> running;
  std::map<RankKey, RankExit> exits;
  std::set<RankKey> lost;
  int node_changes = 0;

  void on_rank_running(const RankKey& rank, TimePoint) override { running.insert(rank); }
  void on_rank_exited(const RankKey& rank, const RankExit& exit) override { exits.try_emplace(rank, exit); }
  void on_ranks_lost(const std::vector<RankKey>& ranks, const std::string&) override { lost.insert(ranks.begin(), ranks.end()); }
  void on_nodes_changed() override { ++node_changes; }
};

}  // namespace trainyard::exec::testing
