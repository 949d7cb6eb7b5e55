#pragma once
#include <cstdint>
#include <map>

#include "base/time.h"

namespace trainyard::serve {

/// How often something happened and how long it took in all.
struct DurationCount {
  std::uint64_t count = 0;
  Duration total{0};

  void add(Duration span, std::uint64_t times = 1) {
    count += times;
    total += span * static_cast<std::int64_t>(times);
  }
};

/// What one served version has done since it was loaded. A plain value.
struct ServingStatistics {
  std::uint64_t inference_count = 0;  ///< Rows.
  std::uint64_t execution_count = 0;  ///< Model runs.
  TimePoint last_inference{};
  DurationCount success;  ///< From admission to answer.
  DurationCount fail;
  DurationCount queue;
  DurationCount compute;
  std::uint64_t rejected = 0;                      ///< Refused at the door or expired in the queue.
  std::map<std::uint64_t, DurationCount> batches;  ///< Model runs by their number of rows.
};

}  // namespace trainyard::serve
