#include "agent/reconcile.h"

#include <map>

namespace trainyard::agent {

ReconcileActions plan_reconcile(const std::vector<exec::WardenRank>& observed, const std::set<RankKey>& asked,
                                const exec::DesiredState& desired) {
  std::map<RankKey, const exec::WardenRank*> present;
  for (const exec::WardenRank& rank : observed) present.emplace(rank.observation.rank, &rank);

  ReconcileActions actions;
  std::set<RankKey> wanted;
  for (const exec::DesiredRank& rank : desired.ranks) {
    const RankKey& key = rank.launch.rank;
    wanted.insert(key);
    const auto found = present.find(key);
    if (found == present.end()) {
      if (asked.contains(key) || rank.given_up) continue;
      if (rank.stop) {
        actions.never_started.push_back(key);
      } else {
        actions.start.push_back(rank.launch);
      }
      continue;
    }
    const exec::WardenRank& seen = *found->second;
    if (seen.observation.phase == exec::RankObservation::Phase::kExited) continue;
    if (rank.stop && !seen.stopping) actions.stop.push_back({key, rank.launch.grace});
    if (rank.checkpoint && rank.checkpoint_number > seen.checkpoint_number) actions.checkpoint.push_back({key, rank.checkpoint_number});
  }
  for (const auto& [key, seen] : present) {
    if (wanted.contains(key)) continue;
    if (seen->observation.phase == exec::RankObservation::Phase::kExited) {
      actions.forget.push_back(key);
    } else {
      actions.stop.push_back({key, Duration(0)});
    }
  }
  return actions;
}

}  // namespace trainyard::agent
