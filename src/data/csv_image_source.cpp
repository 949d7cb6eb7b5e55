#include "data/csv_image_source.h"

#include <fmt/format.h>

#include <algorithm>

namespace trainyard::data {
namespace {

constexpr std::size_t kShownMax = 40;  ///< Bytes of a faulty value that a message repeats.

std::string column_name(std::size_t index) { return index == 0 ? "label" : fmt::format("pixel_{}", index - 1); }

/// A value as a message shows it: short and printable.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kShownMax)) out += c >= ' ' && c <= '~' ? c : '?';
  if (text.size() > kShownMax) out += "..";
  return out;
}

enum class Number { kOk, kNot, kOutOfRange };

/// Decimal integers with an optional minus sign and nothing else; no locale, no blanks.
Number parse_number(std::string_view text, int max, std::byte& out) {
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  if (text.empty()) return Number::kNot;
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return Number::kNot;
    value = std::min(value * 10 + (c - '0'), 100'000);
  }
  if (value > max || (negative && value > 0)) return Number::kOutOfRange;
  out = static_cast<std::byte>(value);
  return Number::kOk;
}

}  // namespace

Result<void> CsvImageSource::read_header() {
  header_read_ = true;
  const auto fault = [this](std::string what) {
    return invalid_argument("data.csv_header", fmt::format("a CSV file of images starts with the header label,pixel_0,..,pixel_{}; correct "
                                                           "the first line or name another file, this one {}: {}",
                                                           layout_.pixel_bytes() - 1, what, origin_.name));
  };
  ASSIGN_OR_RETURN(const bool found, reader_.next(row_));
  if (!found) return fault("is empty");
  if (row_.status != CsvStatus::kOk) return fault("starts with a line that is no CSV");
  for (std::size_t i = 0; i < std::min(row_.fields.size(), layout_.record_bytes()); ++i) {
    if (row_.fields[i] != column_name(i)) return fault(fmt::format("has \"{}\" where {} belongs", shown(row_.fields[i]), column_name(i)));
  }
  if (row_.fields.size() != layout_.record_bytes()) {
    return fault(fmt::format("has {} columns instead of {}", row_.fields.size(), layout_.record_bytes()));
  }
  return {};
}

CsvImageSource::Fault CsvImageSource::parse(const CsvRow& row, std::vector<std::byte>& record) const {
  switch (row.status) {
    case CsvStatus::kBadQuote:
      return {"bad_quote", "", "a quote is not closed, or stands inside a field; double it and quote the field"};
    case CsvStatus::kInvalidUtf8:
      return {"invalid_utf8", "", "the bytes are not UTF-8; save the file as UTF-8"};
    case CsvStatus::kTooLong:
      return {"row_too_long", "", "the line is longer than a row may be"};
    case CsvStatus::kOk:
      break;
  }
  if (row.fields.size() != layout_.record_bytes()) {
    return {"column_count", "", fmt::format("{} columns instead of {}", row.fields.size(), layout_.record_bytes())};
  }
  record.resize(row.fields.size());
  for (std::size_t i = 0; i < row.fields.size(); ++i) {
    const int max = i == 0 ? static_cast<int>(layout_.classes) - 1 : 255;
    const Number number = parse_number(row.fields[i], max, record[i]);
    if (number == Number::kOk) continue;
    if (number == Number::kNot) return {"not_a_number", column_name(i), fmt::format("not an integer: \"{}\"", shown(row.fields[i]))};
    return {"out_of_range", column_name(i), fmt::format("outside 0..{}: {}", max, shown(row.fields[i]))};
  }
  return {};
}

DeadLetter CsvImageSource::dead_letter(const CsvRow& row, Fault fault) const {
  return {.source = origin_.name,
          .line = row.line,
          .raw = std::string(row.raw),
          .code = fault.code,
          .column = std::move(fault.column),
          .reason = std::move(fault.reason)};
}

Result<bool> CsvImageSource::next(std::size_t rows_max, RecordBatch& batch, std::vector<DeadLetter>& dead) {
  if (!header_read_) TRY(read_header());
  for (std::size_t taken = 0; taken < rows_max; ++taken) {
    ASSIGN_OR_RETURN(const bool found, reader_.next(row_));
    if (!found) return false;
    if (Fault fault = parse(row_, record_); fault.code != nullptr) {
      dead.push_back(dead_letter(row_, std::move(fault)));
      continue;
    }
    batch.records.insert(batch.records.end(), record_.begin(), record_.end());
    batch.sources.push_back(origin_.index);
    batch.offsets.push_back(row_.line);
  }
  return true;
}

}  // namespace trainyard::data
