#pragma once
#include <set>
#include <vector>

#include "exec/warden_protocol.h"

namespace trainyard::agent {

/// What the warden is to be told, in this order: what is to start may need the room of what is killed.
struct ReconcileActions {
  struct Stop {
    RankKey rank;
    Duration grace;  ///< 0: kill at once.
  };
  struct Checkpoint {
    RankKey rank;
    std::uint32_t number = 0;
  };
  std::vector<Stop> stop;
  std::vector<Checkpoint> checkpoint;
  std::vector<RankKey> forget;
  std::vector<exec::RankLaunch> prepare;  ///< To be made ready, and not started before the server releases them.
  std::vector<exec::RankLaunch> start;
  /// Ranks that were to stop before they ever started: they never will, and are reported as stopped.
  std::vector<RankKey> never_started;
};

/// Compares what the node has with what it should have. Pure and level-triggered: an action whose effect is already there is not named
/// again. A rank that is not desired is killed, and forgotten once it has ended. `asked`: ranks whose start or preparation the warden was
/// sent and has not confirmed yet.
ReconcileActions plan_reconcile(const std::vector<exec::WardenRank>& observed, const std::set<RankKey>& asked,
                                const exec::DesiredState& desired);

}  // namespace trainyard::agent
