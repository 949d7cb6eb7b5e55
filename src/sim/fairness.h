#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/time.h"

namespace trainyard::sim {

/// How evenly groups (queues or users) were served. While a group has waiting jobs, it is entitled to weight / (sum of the weights of all
/// groups that wait or run) of the capacity. Its normalised service is what it had then, divided by what it was entitled to then. The index
/// is Jain's (Jain, Chiu, Hawe, DEC-TR-301, 1984) over the groups that ever waited: (sum x)^2 / (n * sum x^2), 1 when all are equal.
class FairnessMeter {
 public:
  FairnessMeter(std::span<const std::int64_t> weights_milli, std::int64_t capacity);

  /// From `now` on the group uses `amount` more and has `jobs` more waiting jobs; both may be negative. O(1).
  void change(std::uint32_t group, std::int64_t amount, std::int64_t jobs, Duration now);
  double index(Duration now);

 private:
  struct Group {
    double weight = 1;
    std::int64_t used = 0;
    std::int64_t waiting = 0;
    double service = 0;
    double entitlement = 0;
    Duration settled{0};
    double clock = 0;  ///< Value of clock_ when it was settled.
  };
  void advance(Duration now);
  void settle(Group& group, Duration now);

  std::vector<Group> groups_;
  double capacity_;
  double active_weight_ = 0;
  double clock_ = 0;  ///< Capacity per unit of weight, summed over time.
  Duration now_{0};
};

/// (sum x)^2 / (n * sum x^2); 1 for none.
double jain_index(std::span<const double> values);

}  // namespace trainyard::sim
