#pragma once
#include <array>
#include <map>
#include <optional>

#include "sched/policy.h"

namespace trainyard::sched {

/// Which resources are saturated in one pass: free amount below the smallest request that waits for it. A gang's request is its least size.
/// A resource that nobody asks for is saturated when nothing of it is free. In a pass nothing gets free, so what is saturated stays so.
class Saturation {
 public:
  explicit Saturation(const ShareView& view);

  void started(const JobSnapshot& job, std::int64_t tasks);
  /// Looks again, the heads first: any that could still be served settles the question. True when something became saturated.
  bool update(std::span<const QueueHead> heads);
  bool saturated(std::size_t kind) const { return saturated_[kind]; }

 private:
  using Counts = std::array<std::map<std::int64_t, std::int64_t>, kAmountKinds>;  ///< Requests of each size > 0.
  bool servable(std::size_t kind, std::span<const QueueHead> heads);
  const Counts& requests();

  ShareView view_;
  Amounts free_;
  std::array<bool, kAmountKinds> saturated_{};
  std::optional<Counts> requests_;  ///< Made when the heads do not settle it.
  std::vector<const JobSnapshot*> started_;
};

}  // namespace trainyard::sched
