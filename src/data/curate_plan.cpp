#include "data/curate_plan.h"

#include <cmath>
#include <unordered_map>

#include "base/check.h"

namespace trainyard::data {
namespace {

struct LowBits {
  std::size_t operator()(const Hash128& hash) const noexcept { return hash.low; }
};

/// The first row with a hash.
using FirstRows = std::unordered_map<Hash128, const RowKey*, LowBits>;

/// The finaliser of splitmix64 (Steele, Lea and Flood, 2014).
std::uint64_t splitmix64(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

FirstRows index_rows(const std::vector<RowKey>& rows) {
  FirstRows index;
  index.reserve(rows.size());
  for (const RowKey& row : rows) index.try_emplace(row.hash, &row);
  return index;
}

void drop(CuratePlan& plan, const RowKey& row, const RowKey& kept, RowFate reason) {
  plan.train.push_back(reason);
  plan.dropped.push_back({row, kept, reason});
  ++(reason == RowFate::kDuplicate ? plan.dropped_duplicates : plan.dropped_equal_to_test);
}

}  // namespace

std::string_view drop_reason(RowFate fate) { return fate == RowFate::kEqualToTest ? "equal_to_test" : "duplicate"; }

bool is_validation_row(const Hash128& hash, double fraction, std::uint64_t seed) {
  const std::uint64_t position = splitmix64(hash.low ^ splitmix64(seed));
  return static_cast<double>(position >> 11) < std::ldexp(fraction, 53);
}

CuratePlan plan_curate(const CurateSnapshot& snapshot, const CurateSettings& settings) {
  CHECK(settings.validation_fraction >= 0 && settings.validation_fraction < 1, "validation_fraction in [0, 1)");
  const FirstRows test = settings.drop_train_equal_to_test ? index_rows(snapshot.test) : FirstRows();
  FirstRows seen;
  seen.reserve(snapshot.train.size());

  CuratePlan plan;
  plan.train.reserve(snapshot.train.size());
  plan.test_rows = static_cast<std::int64_t>(snapshot.test.size());
  for (const RowKey& row : snapshot.train) {
    if (const auto equal = test.find(row.hash); equal != test.end()) {
      drop(plan, row, *equal->second, RowFate::kEqualToTest);
    } else if (const auto [first, is_new] = seen.try_emplace(row.hash, &row); !is_new) {
      drop(plan, row, *first->second, RowFate::kDuplicate);
    } else if (is_validation_row(row.hash, settings.validation_fraction, settings.seed)) {
      plan.train.push_back(RowFate::kValidation);
      ++plan.validation_rows;
    } else {
      plan.train.push_back(RowFate::kTrain);
      ++plan.train_rows;
    }
  }
  return plan;
}

}  // namespace trainyard::data
