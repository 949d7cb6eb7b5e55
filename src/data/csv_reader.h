#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/byte_input.h"

namespace trainyard::data {

enum class CsvStatus { kOk, kBadQuote, kInvalidUtf8, kTooLong };

/// One record of a CSV file. The views live until the next call of the reader.
struct CsvRow {
  std::int64_t line = 0;  ///< The line it starts on, from 1.
  CsvStatus status = CsvStatus::kOk;
  std::string_view raw;                  ///< Its bytes without the line end.
  std::vector<std::string_view> fields;  ///< Unquoted; only with kOk.
};

struct CsvLimits {
  std::size_t row_max = std::size_t{1} << 20;  ///< Bytes of one record; a longer line is skipped as kTooLong.
  std::size_t chunk = std::size_t{256} << 10;  ///< Bytes read at a time.
};

/// A streaming RFC 4180 parser in bounded memory (row_max + chunk): quoted fields with "" and newlines, CRLF or LF, an optional UTF-8 byte
/// order mark. Empty lines are not records. A record that breaks the rules costs its first line only: parsing goes on at the next line,
/// so an open quote cannot swallow the rest of the file. Not thread-safe.
class CsvReader {
 public:
  CsvReader(ByteInput& input, CsvLimits limits) : input_(input), limits_(limits) {}

  /// Reads the next record; false at the end. Errors: those of the input.
  Result<bool> next(CsvRow& row);

 private:
  enum class Parse { kRow, kBadQuote, kNeedMore };

  Result<bool> refill();
  Result<bool> find_line_end();
  std::string_view first_line() const;
  Parse cut_off() const;
  Result<void> skip_long_line(CsvRow& row);
  void split_plain(std::string_view line, CsvRow& row) const;
  Parse parse_quoted(CsvRow& row);
  void finish_row(CsvRow& row, std::size_t end, std::size_t next);

  ByteInput& input_;
  CsvLimits limits_;
  std::string buffer_;     ///< Bytes from the input; [begin_, size) is not consumed yet.
  std::string unescaped_;  ///< Fields of the current record that held "".
  std::size_t begin_ = 0;
  std::size_t line_end_ = 0;  ///< Where the first line of the buffer ends (its '\n', or the end of the input).
  std::int64_t line_ = 1;
  bool at_end_ = false;  ///< The input is exhausted.
  bool started_ = false;
};

/// Whether `text` is well-formed UTF-8 (RFC 3629).
bool is_utf8(std::string_view text);

}  // namespace trainyard::data
