#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"

namespace trainyard::train {

/// How the ranks of one attempt work together. Every rank makes the same calls with the same lengths in the same order; each call waits
/// for all others. Sums are taken in rank order 0..W-1, so equal inputs give equal bits on every rank and in every run. One thread per
/// rank. Errors, after which the object fails for good: UNAVAILABLE "comm.peer_lost" when a rank is gone, DEADLINE_EXCEEDED
/// "comm.timeout" when one does not come in time.
class Comm {
 public:
  /// The longest `maxima` and the longest `values` of one call.
  static constexpr std::size_t kWordsMax = 256;

  virtual ~Comm() = default;
  virtual std::uint32_t rank() const = 0;
  virtual std::uint32_t world_size() const = 0;

  /// Replaces `sums` by the sums and `maxima` by the element-wise maxima over all ranks. `sums` may be empty.
  virtual Result<void> all_reduce(std::span<float> sums, std::span<std::int64_t> maxima) = 0;
  /// Replaces `values` by the sums over all ranks.
  virtual Result<void> sum(std::span<double> values) = 0;
};

/// A gang of one: everything is its own sum.
class SoloComm final : public Comm {
 public:
  std::uint32_t rank() const override { return 0; }
  std::uint32_t world_size() const override { return 1; }
  Result<void> all_reduce(std::span<float>, std::span<std::int64_t>) override { return {}; }
  Result<void> sum(std::span<double>) override { return {}; }
};

}  // namespace trainyard::train
