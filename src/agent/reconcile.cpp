#include "agent/reconcile.h"

#include <map>

namespace trainyard::agent {
namespace {

using Phase = exec::RankObservation::Phase;

/// A rank that the node does not have.
void plan_absent(const exec::DesiredRank& rank, ReconcileActions& actions) {
  // One that the server knows to be here went after the report that said so: the next report tells.
  if (rank.given_up || rank.known) return;
  if (rank.stop) {
    actions.never_started.push_back(rank.launch.rank);
  } else if (rank.released) {
    actions.start.push_back(rank.launch);
  } else {
    actions.prepare.push_back(rank.launch);
  }
}

}  // namespace

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
      if (!asked.contains(key)) plan_absent(rank, actions);
      continue;
    }
    const exec::WardenRank& seen = *found->second;
    const Phase phase = seen.observation.phase;
    if (phase == Phase::kExited) continue;
    const bool waits = rank.stop || rank.given_up || rank.known || seen.stopping || asked.contains(key);
    if (phase == Phase::kPrepared && rank.released && !waits) actions.start.push_back(rank.launch);
    if (rank.stop && !seen.stopping) actions.stop.push_back({key, rank.launch.grace});
    if (rank.checkpoint && rank.checkpoint_number > seen.checkpoint_number) actions.checkpoint.push_back({key, rank.checkpoint_number});
  }
  for (const auto& [key, seen] : present) {
    if (wanted.contains(key)) continue;
    if (seen->observation.phase == Phase::kExited) {
      actions.forget.push_back(key);
    } else {
      actions.stop.push_back({key, Duration(0)});
    }
  }
  return actions;
}

}  // namespace trainyard::agent
