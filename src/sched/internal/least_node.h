#pragma once
#include <optional>
#include <string>

#include "sched/change.h"

namespace trainyard::sched {

/// One more node like `like`.
struct NodeLike {
  std::string like;
  AddNodes change;
};

/// A kind of node of which one more starts the waiting job now; none: no kind that was tried does.
std::optional<NodeLike> node_that_helps(const SchedulerState& state, const JobSnapshot& job, TimePoint now);

}  // namespace trainyard::sched
