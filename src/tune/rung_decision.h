#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace trainyard::tune {

/// What is known of one trial of a study.
struct TrialSnapshot {
  std::map<std::int64_t, double> values;  ///< By rung step; larger is better.
  bool ended = false;                     ///< No further value will come.
};

enum class RungDecision { kContinue, kStop };

/// Decides whether trial `index` goes on after the rung at `step`: it stops when its value is below the median of what all lower-numbered
/// trials had there. Waiting for exactly those makes the decision the same in every run, however the trials were scheduled. None: a
/// lower-numbered trial may still report. A lower-numbered trial that ended before this rung does not count. NaN is worse than every
/// number; a trial that has it stops unless nobody else was there. Pure. Source: the median stopping rule (Golovin et al., Google Vizier,
/// KDD 2017, section 3.2), over a fixed set of trials.
std::optional<RungDecision> decide_rung(const std::vector<TrialSnapshot>& trials, std::size_t index, std::int64_t step);

}  // namespace trainyard::tune
