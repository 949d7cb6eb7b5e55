#pragma once
#include <vector>

#include "sched/job.h"

namespace trainyard::sched {

/// Predicts how long jobs run, for planned starts; what kills a job stays its limit. The mean of the user's last two run times, after
/// Tsafrir, Etsion and Feitelson, IEEE TPDS 18(6), 2007. A copyable value. Not thread-safe.
class RuntimePredictor {
 public:
  /// Users remembered at once. Users that many apart share a memory, and the one whose job ended last has it.
  explicit RuntimePredictor(std::size_t users_max = 65'536) : users_max_(users_max) {}

  /// A job of the user ran so long and ended by itself. Jobs that failed at once or were stopped say little; leave them out.
  void record(UserIndex user, Duration run_time);
  /// The mean of the last two, or the only one, at most `limit`; zero when nothing is known of the user.
  Duration predict(UserIndex user, Duration limit) const;

 private:
  struct Memory {
    UserIndex user = kNoIndex;
    Duration last{0};
    Duration before{0};  ///< Equal to `last` after one job.
  };
  std::size_t users_max_;
  std::vector<Memory> memory_;  ///< Grows with the users seen, up to users_max_.
};

/// The estimate to plan with when a job has run for `elapsed`: `estimate` until then, and once it runs past it
/// min(limit, max(1.5 * elapsed, elapsed + 60 s)), so that it never counts as gone. An estimate of zero: none, then the limit.
Duration estimate_while_running(Duration estimate, Duration elapsed, Duration limit);

}  // namespace trainyard::sched
