#pragma once
#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace trainyard::sim {

/// How far one job is. Work is counted in run time at the nominal size; with n tasks instead of `nominal` it goes n / nominal as fast.
/// Times are simulated ones. An attempt goes on from the last checkpoint.
struct JobRun {
  Duration left{0};                  ///< Work that the next attempt starts with.
  Duration limit = Duration::max();  ///< Of one attempt.
  std::int32_t nominal = 1;
  std::int32_t tasks = 0;  ///< 0: not running.
  std::uint32_t attempt = 0;
  std::uint32_t generation = 0;  ///< Of its planned events.
  std::int32_t losses = 0;       ///< Attempts that nodes took with them.
  std::uint32_t segment = 0;     ///< That is being written, while it runs.
  bool leaving = false;          ///< Asked to leave or to shrink: no work gets done.
  bool saving = false;           ///< What is done will be saved by the time that it leaves.
  Duration started{0};           ///< Of the attempt.
  Duration since{0};             ///< Work goes on from here ...
  Duration done{0};              ///< ... with so much of `left` done.
  Duration saved{0};             ///< Work of this attempt that a checkpoint holds.
  Duration planned_end{0};       ///< What the planner believes.

  /// Work of this attempt done by `now`.
  Duration progress(Duration now) const;
  /// When the work would be done.
  Duration finish() const;
  /// Counts what is done by `now`; the speed may change then.
  void settle(Duration now) {
    done = progress(now);
    since = std::max(since, now);
  }
  /// Work that a restart would not repeat, with a periodic checkpoint each `interval` of work (0: none).
  Duration saved_by(Duration now, Duration interval) const;
};

}  // namespace trainyard::sim
