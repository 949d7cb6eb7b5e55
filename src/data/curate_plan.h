#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "data/row_hash.h"

namespace trainyard::data {

/// A row as the plan sees it: its content and where it came from.
struct RowKey {
  Hash128 hash;             ///< Of the whole record, label and pixels, with seed 0.
  std::int64_t source = 0;  ///< _src
  std::int64_t offset = 0;  ///< _off
};

/// All rows of a raw version, in its order.
struct CurateSnapshot {
  std::vector<RowKey> train;
  std::vector<RowKey> test;
};

struct CurateSettings {
  double validation_fraction = 0.1;      ///< Of the training rows, in [0, 1).
  std::uint64_t seed = 0;                ///< Chooses which rows are for validation.
  bool drop_train_equal_to_test = true;  ///< A training row that is also a test row would make the test meaningless.
};

/// What becomes of a training row.
enum class RowFate : std::uint8_t { kTrain, kValidation, kDuplicate, kEqualToTest };

/// Why a row was dropped, and for which one that stays.
struct DroppedRow {
  RowKey dropped;
  RowKey kept;
  RowFate reason = RowFate::kDuplicate;
};

/// "duplicate" or "equal_to_test", as the drop list says it.
std::string_view drop_reason(RowFate fate);

struct CuratePlan {
  std::vector<RowFate> train;       ///< One for each training row of the snapshot. Test rows all stay.
  std::vector<DroppedRow> dropped;  ///< In the order of the snapshot.
  std::int64_t train_rows = 0;
  std::int64_t validation_rows = 0;
  std::int64_t test_rows = 0;
  std::int64_t dropped_duplicates = 0;
  std::int64_t dropped_equal_to_test = 0;
};

/// Decides for every row whether it stays and in which split. Of equal training rows the first stays; a test row is never dropped. The
/// split depends on the row's content and the seed alone, so that a row keeps its split when others come or go. Pure.
CuratePlan plan_curate(const CurateSnapshot& snapshot, const CurateSettings& settings);

/// Whether a row with this hash is for validation: splitmix64(hash.low xor splitmix64(seed)) lies below `fraction` of 2^64.
bool is_validation_row(const Hash128& hash, double fraction, std::uint64_t seed);

}  // namespace trainyard::data
