#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "sched/job.h"

namespace trainyard::sched {

/// One user below one account.
struct FairTreeUser {
  std::string_view account;
  std::string_view name;
  std::int64_t weight_milli = 1000;  ///< Shares; those of an account are the sum of its users'.
  double usage = 0;                  ///< Decayed.
};

struct FairTreeRank {
  std::uint32_t rank = 1;  ///< 1: served first. Users of equal level share the better rank.
  double factor = 1;       ///< (n - rank + 1) / n.
};

/// Ranks users by a tree of two levels. Among siblings: S = shares / sum, F = usage / sum, level = S / F (F = 0: infinite, S = 0: 0). All
/// users of a better account come before all of a worse one; accounts of equal level are ranked as one. The answer is in the order of
/// `users`. Source: the Fair Tree algorithm of Slurm.
std::vector<FairTreeRank> fair_tree(std::span<const FairTreeUser> users);

}  // namespace trainyard::sched
