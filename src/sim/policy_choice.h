#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sched/queue.h"

namespace trainyard::sim {

/// The four policies of a run; empty: not chosen.
struct PolicyChoice {
  std::string order;
  std::string sharing;
  std::string backfill;
  std::string placement;
};

/// Reads "easy", "priority", "drf+easy+best_fit": each name is looked up among backfill, order, sharing and placement policies, in this
/// order, and takes the first kind that is not chosen yet. Errors: NOT_FOUND "policy.unknown" with the nearest names; INVALID_ARGUMENT
/// "policy.twice" when a kind would be chosen twice.
Result<PolicyChoice> parse_policy(std::string_view text);

/// Fills a queue's and the sharing settings: what was not chosen is fifo order, fifo backfill, first_fit, sharing by order. Parameters are
/// "name=value". Errors: those of the tables; INVALID_ARGUMENT "policy.parameter".
Result<void> choose_policies(const PolicyChoice& choice, const std::vector<std::string>& parameters, sched::QueueSettings& queue,
                             sched::SharingSettings& sharing);

/// All policies with what they say about themselves, for people.
std::string list_policies();

}  // namespace trainyard::sim
