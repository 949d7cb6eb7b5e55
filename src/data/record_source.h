#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trainyard::data {

/// The shape of a labelled image record: one label byte, then the pixels, row by row.
struct ImageLayout {
  std::int64_t height = 28;
  std::int64_t width = 28;
  std::int64_t classes = 10;  ///< Labels are 0..classes-1.
  bool operator==(const ImageLayout&) const = default;

  std::size_t pixel_bytes() const { return static_cast<std::size_t>(height * width); }
  std::size_t record_bytes() const { return 1 + pixel_bytes(); }
  /// "uint8[1,28,28]"
  std::string pixels_type() const;
};

/// Reads pixels_type back. Errors: INVALID_ARGUMENT "data.layout".
Result<ImageLayout> image_layout_from_type(std::string_view pixels_type, std::int64_t classes);

/// Records one after the other, and for each where it came from.
struct RecordBatch {
  std::vector<std::byte> records;     ///< rows() * record_bytes.
  std::vector<std::int64_t> sources;  ///< Index of the source in the task's list.
  std::vector<std::int64_t> offsets;  ///< Line (from 1) of a CSV file, image number (from 0) of an IDX file.

  std::size_t rows() const { return offsets.size(); }
  void clear();
};

/// A row that could not become a record. It is kept, never dropped silently.
struct DeadLetter {
  std::string source;     ///< The path as configured.
  std::int64_t line = 0;  ///< As RecordBatch::offsets.
  std::string raw;        ///< The bytes as they were, without the line end.
  std::string code;       ///< column_count, not_a_number, out_of_range, bad_quote, invalid_utf8 or row_too_long.
  std::string column;     ///< Empty when the whole row is at fault.
  std::string reason;     ///< For people.

  /// "extra.csv line 7: not_a_number in pixel_3: .."
  std::string text() const;
};

/// Yields the records of one source in order. Not thread-safe.
class RecordSource {
 public:
  virtual ~RecordSource() = default;
  /// Appends up to `rows_max` rows, good ones to `batch`, malformed ones to `dead`; false when there is nothing left. Errors: what makes
  /// the whole source unusable, INVALID_ARGUMENT or NOT_FOUND "data.*".
  virtual Result<bool> next(std::size_t rows_max, RecordBatch& batch, std::vector<DeadLetter>& dead) = 0;
};

}  // namespace trainyard::data
