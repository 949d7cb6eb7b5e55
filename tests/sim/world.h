#pragma once
#include <functional>
#include <string>
#include <utility>

#include "base/rng.h"
#include "base/testing/fake_clock.h"
#include "base/testing/manual_executor.h"
#include "tests/sim/invariants.h"

namespace trainyard::sim_test {

/// What all parts of one run share. One thread, one clock, one source of chance.
struct World {
  explicit World(std::uint64_t seed) : rng(seed), history(seed, clock, all_invariants(clock)) {}

  testing::FakeClock clock;
  testing::ManualExecutor executor{clock};
  SeededRng rng;
  History history;
  bool faults = true;  ///< Off while the system heals at the end.

  void after(Duration wait, std::function<void()> task) { executor.post_at(clock.monotonic_now() + wait, std::move(task)); }
  /// True once in `n`, and only while there are faults.
  bool fault_one_in(std::uint64_t n) { return rng.below(n) == 0 && faults; }
  bool one_in(std::uint64_t n) { return rng.below(n) == 0; }
  Duration between(Duration shortest, Duration longest) {
    return shortest + Duration(static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>((longest - shortest).count()) + 1)));
  }
  std::int64_t number(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(most - least) + 1));
  }
};

}  // namespace trainyard::sim_test
