#pragma once
#include "base/id.h"

namespace trainyard {

/// Dense per installation; a string in JSON.
using JobId = Id<struct JobTag>;
/// Counts the launches of one job from 1; it is the fencing token of everything an attempt writes.
using AttemptNumber = Id<struct AttemptTag, std::uint32_t>;
/// Position in the one event log of an installation; gapless, given at apply, published after the commit.
using EventNumber = Id<struct EventTag>;
/// A tracking run: 32 hex digits.
using RunId = Name<struct RunTag>;
using NodeName = Name<struct NodeTag>;

/// One launch of one job.
struct AttemptKey {
  JobId job;
  AttemptNumber attempt;
  auto operator<=>(const AttemptKey&) const = default;
};

/// One process of one launch.
struct RankKey {
  AttemptKey attempt;
  std::uint32_t rank = 0;
  auto operator<=>(const RankKey&) const = default;
};

}  // namespace trainyard
