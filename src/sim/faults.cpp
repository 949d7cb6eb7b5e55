#include "sim/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/fields.h"
#include "sim/machine.h"

namespace trainyard::sim {
namespace {

Error bad_fault(std::string_view text, std::string_view expected, std::string_view wrong) {
  return invalid_argument("sim.fault", fmt::format("a fault cannot be read; write {}; {}: \"{}\"", expected, wrong, shown(text)));
}

Result<Fault> parse_fault(std::string_view text, bool spot) {
  const std::string_view expected = spot ? "NODE@SECONDS/NOTICE or NODE@SECONDS/NOTICE+DOWN, such as 3@600/120+3600"
                                         : "NODE@SECONDS or NODE@SECONDS+DOWN, such as 3@600+3600";
  Fault fault;
  const auto seconds = [&](std::string_view part, Duration& time) -> Result<void> {
    std::int64_t micros = 0;
    const std::string_view wrong = parse_seconds(part, micros);
    if (!wrong.empty()) return bad_fault(text, expected, wrong);
    time = Duration(micros);
    return {};
  };
  const std::size_t at = text.find('@');
  if (at == std::string_view::npos) return bad_fault(text, expected, "there is no @");
  std::int64_t node = 0;
  if (const std::string_view wrong = parse_whole(text.substr(0, at), 0, kHostsMax - 1, node); !wrong.empty()) {
    return bad_fault(text, expected, wrong);
  }
  fault.node = static_cast<std::uint32_t>(node);
  std::string_view when = text.substr(at + 1);
  if (const std::size_t plus = when.find('+'); plus != std::string_view::npos) {
    TRY(seconds(when.substr(plus + 1), fault.down));
    when = when.substr(0, plus);
  }
  const std::size_t slash = when.find('/');
  if (spot != (slash != std::string_view::npos)) return bad_fault(text, expected, spot ? "there is no notice" : "a loss has no notice");
  if (spot) {
    TRY(seconds(when.substr(slash + 1), fault.notice));
    if (fault.notice == Duration(0)) return bad_fault(text, expected, "a notice is longer than 0");
  }
  TRY(seconds(when.substr(0, slash), fault.at));
  return fault;
}

}  // namespace

FaultDice::FaultDice(const FaultSettings& settings, std::uint32_t nodes)
    : settings_(settings), nodes_(nodes), losses_(settings.seed), spots_(settings.seed ^ 0x5707'f00d'0000'0001) {}

std::optional<Fault> FaultDice::draw(SeededRng& rng, Duration mtbf, Duration notice, Duration now) const {
  if (mtbf <= Duration(0)) return std::nullopt;
  // Exponential gaps; at least a microsecond, so that time goes on.
  const double gap = -std::log1p(-rng.unit()) * static_cast<double>(mtbf.count()) / static_cast<double>(nodes_);
  const auto micros = static_cast<std::int64_t>(std::clamp(gap, 1.0, 1e16));
  Fault fault{.at = now + Duration(micros), .notice = notice, .down = settings_.repair};
  fault.node = static_cast<std::uint32_t>(rng.below(nodes_));
  return fault;
}

std::optional<Fault> FaultDice::next_loss(Duration now) { return draw(losses_, settings_.mtbf, Duration(0), now); }

std::optional<Fault> FaultDice::next_spot(Duration now) { return draw(spots_, settings_.spot_mtbf, settings_.spot_notice, now); }

Result<Fault> parse_loss(std::string_view text) { return parse_fault(text, false); }
Result<Fault> parse_spot(std::string_view text) { return parse_fault(text, true); }

}  // namespace trainyard::sim
