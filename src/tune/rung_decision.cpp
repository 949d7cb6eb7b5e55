#include "tune/rung_decision.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace trainyard::tune {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// A value that is no number is the worst: it sorts below everything.
double ranked(double value) { return std::isnan(value) ? -std::numeric_limits<double>::infinity() : value; }

}  // namespace

std::optional<RungDecision> decide_rung(const std::vector<TrialSnapshot>& trials, std::size_t index, std::int64_t step) {
  CHECK(index < trials.size(), "a trial of this study");
  const auto own = trials[index].values.find(step);
  if (own == trials[index].values.end()) return std::nullopt;
  std::vector<double> others;
  for (std::size_t lower = 0; lower < index; ++lower) {
    const auto value = trials[lower].values.find(step);
    if (value != trials[lower].values.end()) {
      others.push_back(ranked(value->second));
    } else if (!trials[lower].ended) {
      return std::nullopt;
    }
  }
  if (others.empty()) return RungDecision::kContinue;
  return std::isnan(own->second) || own->second < median(std::move(others)) ? RungDecision::kStop : RungDecision::kContinue;
}

}  // namespace trainyard::tune
