#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trainyard::sim {

/// What a reader takes from one file. Hostile files end in an error, not in an exhausted machine.
struct ReadLimits {
  std::size_t record_max = std::size_t{1} << 20;     ///< Bytes of one line, or of one CSV record that spans lines.
  std::uint64_t bytes_max = std::uint64_t{8} << 30;  ///< Bytes after decompression.
  std::uint64_t records_max = 5'000'000;
};

/// The bytes of a file or of a text in memory, through gzip when they start with the gzip magic, in bounded memory. Not thread-safe.
/// Errors of reading: INVALID_ARGUMENT "sim.gzip" for damaged or cut-off compression, and system errors.
class TextInput {
 public:
  /// Errors: those of opening; FAILED_PRECONDITION "sim.not_a_file" for a directory.
  static Result<TextInput> open(const std::string& path);
  /// `bytes` must outlive the input. `name` stands for the file in errors.
  static TextInput over(std::string name, std::string_view bytes);
  ~TextInput();
  TextInput(TextInput&& other) noexcept;
  TextInput& operator=(TextInput&& other) noexcept;

  /// Fills `buffer`; fewer bytes than asked only at the end.
  Result<std::size_t> read(std::span<char> buffer);
  const std::string& name() const;

 private:
  struct State;
  explicit TextInput(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Where a record stands.
struct Place {
  std::string_view file;
  std::uint64_t line = 0;  ///< From 1.
};

/// Hands out the records of a text one by one: lines without their end (LF or CRLF), after an optional UTF-8 byte order mark. With
/// `Quotes::kRfc4180` a record goes on while a double quote is open. Memory is bounded by ReadLimits::record_max. Not thread-safe.
/// Errors: INVALID_ARGUMENT "sim.record_too_long", "sim.too_large", "sim.too_many_records", "sim.nul_byte", "sim.open_quote", each with
/// the line, and those of the input.
class RecordReader {
 public:
  enum class Quotes { kNone, kRfc4180 };
  RecordReader(TextInput& input, Quotes quotes, const ReadLimits& limits) : input_(input), quotes_(quotes), limits_(limits) {}

  /// The next record; false at the end. The view lives until the next call.
  Result<bool> next(std::string_view& record);
  /// Of the record last returned: the line on which it starts.
  Place place() const { return {input_.name(), record_line_}; }

 private:
  Result<bool> refill();
  Result<bool> find_end(std::size_t from);
  Result<void> extend_over_quotes();
  Error error(std::string id, std::string message) const;

  TextInput& input_;
  Quotes quotes_;
  ReadLimits limits_;
  std::string buffer_;  ///< [begin_, filled_) is not consumed yet.
  std::size_t begin_ = 0;
  std::size_t filled_ = 0;
  std::size_t end_ = 0;  ///< Of the line that was found: its '\n', or the end of the input.
  std::uint64_t bytes_ = 0;
  std::uint64_t records_ = 0;
  std::uint64_t line_ = 1;
  std::uint64_t record_line_ = 0;
  bool at_end_ = false;
  bool started_ = false;
};

}  // namespace trainyard::sim
