#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "base/time.h"

namespace trainyard::sim {

/// One node goes away at a time, without a word or after a notice.
struct Fault {
  std::uint32_t node = 0;  ///< Position in the machine.
  Duration at{0};          ///< Of the loss, or of the notice.
  Duration notice{0};      ///< 0: a loss without notice.
  Duration down{0};        ///< From the loss on; 0: for ever.

  bool operator==(const Fault&) const = default;
};

struct FaultSettings {
  std::vector<Fault> planned;
  Duration mtbf{0};  ///< Mean time between losses of one node; 0: none happen by chance.
  Duration repair{std::chrono::minutes(10)};
  Duration spot_mtbf{0};  ///< The same for spot notices.
  Duration spot_notice{std::chrono::minutes(2)};
  std::int32_t losses_max = 5;  ///< A job that lost so many attempts to nodes fails with the next one.
  std::uint64_t seed = 1;
};

/// Faults by chance: a Poisson process over all nodes.
class FaultDice {
 public:
  FaultDice(const FaultSettings& settings, std::uint32_t nodes);
  /// The next loss or notice after `now`; none when nothing happens by chance.
  std::optional<Fault> next_loss(Duration now);
  std::optional<Fault> next_spot(Duration now);

 private:
  std::optional<Fault> draw(SeededRng& rng, Duration mtbf, Duration notice, Duration now) const;

  FaultSettings settings_;
  std::uint32_t nodes_;
  SeededRng losses_;
  SeededRng spots_;
};

/// "NODE@SECONDS", "NODE@SECONDS+DOWN": what `--lose` takes. Errors: INVALID_ARGUMENT "sim.fault".
Result<Fault> parse_loss(std::string_view text);
/// "NODE@SECONDS/NOTICE", "NODE@SECONDS/NOTICE+DOWN": what `--spot` takes. Errors: INVALID_ARGUMENT "sim.fault".
Result<Fault> parse_spot(std::string_view text);

}  // namespace trainyard::sim
