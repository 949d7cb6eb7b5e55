#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/csv_reader.h"
#include "data/record_source.h"

namespace trainyard::data {

/// Reads labelled images from a CSV file with the header `label,pixel_0,..,pixel_N` and one image a row, integers in decimal. Rows that
/// break this become dead letters with the line, the column and the reason. Errors: INVALID_ARGUMENT "data.csv_header" when the header
/// is another one.
class CsvImageSource final : public RecordSource {
 public:
  struct Origin {
    std::string name;        ///< Named in messages and dead letters.
    std::int64_t index = 0;  ///< RecordBatch::sources.
  };
  /// `input` outlives the source.
  CsvImageSource(ByteInput& input, ImageLayout layout, Origin origin, CsvLimits limits = {})
      : reader_(input, limits), layout_(layout), origin_(std::move(origin)) {}

  Result<bool> next(std::size_t rows_max, RecordBatch& batch, std::vector<DeadLetter>& dead) override;

 private:
  struct Fault {
    const char* code = nullptr;  ///< nullptr: none.
    std::string column;
    std::string reason;
  };

  Result<void> read_header();
  Fault parse(const CsvRow& row, std::vector<std::byte>& record) const;
  DeadLetter dead_letter(const CsvRow& row, Fault fault) const;

  CsvReader reader_;
  ImageLayout layout_;
  Origin origin_;
  CsvRow row_;
  std::vector<std::byte> record_;
  bool header_read_ = false;
};

}  // namespace trainyard::data
