#include "data/csv_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace trainyard::data {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string_view without_carriage_return(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

/// Length of the UTF-8 sequence at the front of `text`, 0 when it is malformed.
std::size_t utf8_sequence(std::string_view text) {
  const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  if (byte(1) < low || byte(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
  }
  return length;
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    if (text.size() >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data(), 8);
      if ((word & 0x8080808080808080U) == 0) {
        text.remove_prefix(8);
        continue;
      }
    }
    const std::size_t length = utf8_sequence(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

Result<bool> CsvReader::refill() {
  if (at_end_) return false;
  buffer_.erase(0, std::exchange(begin_, 0));
  const std::size_t old_size = buffer_.size();
  buffer_.resize(old_size + limits_.chunk);
  ASSIGN_OR_RETURN(const std::size_t got, input_.read(std::as_writable_bytes(std::span(buffer_).subspan(old_size))));
  buffer_.resize(old_size + got);
  at_end_ = got < limits_.chunk;
  if (!std::exchange(started_, true) && std::string_view(buffer_).starts_with(kByteOrderMark)) begin_ = kByteOrderMark.size();
  return got > 0;
}

/// Finds the end of the first line. False when there is no line left.
Result<bool> CsvReader::find_line_end() {
  std::size_t searched = 0;  // Bytes from begin_ that hold no newline.
  for (;;) {
    const std::size_t found = buffer_.find('\n', begin_ + searched);
    if (found != std::string::npos) {
      line_end_ = found;
      return true;
    }
    searched = buffer_.size() - begin_;
    if (searched > limits_.row_max) break;
    ASSIGN_OR_RETURN(const bool more, refill());
    if (!more) break;
  }
  line_end_ = buffer_.size();
  return line_end_ > begin_;
}

/// Drops bytes up to the next newline; `row.raw` keeps the start of the line.
Result<void> CsvReader::skip_long_line(CsvRow& row) {
  row.status = CsvStatus::kTooLong;
  row.fields.clear();
  unescaped_.assign(buffer_, begin_, std::min(limits_.row_max, line_end_ - begin_));
  row.raw = unescaped_;
  begin_ = line_end_;
  while (begin_ == buffer_.size()) {
    ASSIGN_OR_RETURN(const bool more, refill());
    if (!more) return {};
    begin_ = std::min(buffer_.find('\n'), buffer_.size());
  }
  ++begin_;
  ++line_;
  return {};
}

void CsvReader::split_plain(std::string_view line, CsvRow& row) const {
  row.fields.clear();
  for (;;) {
    const std::size_t comma = line.find(',');
    row.fields.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return;
    line.remove_prefix(comma + 1);
  }
}

void CsvReader::finish_row(CsvRow& row, std::size_t end, std::size_t next) {
  row.raw = without_carriage_return(std::string_view(buffer_).substr(begin_, end - begin_));
  const std::string_view consumed = std::string_view(buffer_).substr(begin_, next - begin_);
  line_ += std::count(consumed.begin(), consumed.end(), '\n');
  begin_ += consumed.size();
}

std::string_view CsvReader::first_line() const { return std::string_view(buffer_).substr(begin_, line_end_ - begin_); }

/// The record does not end inside the buffer: more bytes may end it, within bounds.
CsvReader::Parse CsvReader::cut_off() const {
  return at_end_ || buffer_.size() - begin_ > limits_.row_max ? Parse::kBadQuote : Parse::kNeedMore;
}

/// Parses a record that holds quotes from begin_. Fields that need it are unescaped into unescaped_, which never reallocates: the record is
/// at least as long.
CsvReader::Parse CsvReader::parse_quoted(CsvRow& row) {
  row.fields.clear();
  unescaped_.clear();
  unescaped_.reserve(buffer_.size() - begin_);
  const std::string_view text = buffer_;
  std::size_t at = begin_;
  for (;;) {
    if (at < text.size() && text[at] == '"') {
      const std::size_t field_begin = unescaped_.size();
      for (++at;; ++at) {
        const std::size_t quote = text.find('"', at);
        if (quote == std::string_view::npos) return cut_off();
        unescaped_.append(text.substr(at, quote - at));
        at = quote + 1;
        if (at == text.size() && !at_end_) return cut_off();
        if (at == text.size() || text[at] != '"') break;
        unescaped_ += '"';
      }
      row.fields.push_back(std::string_view(unescaped_).substr(field_begin));
      if (at < text.size() && text[at] == '\r') {
        if (at + 1 == text.size() && !at_end_) return cut_off();
        if (at + 1 == text.size() || text[at + 1] == '\n') ++at;
      }
    } else {
      const std::size_t end = std::min(text.find_first_of(",\n\"", at), text.size());
      if (end == text.size() && !at_end_) return cut_off();
      if (end < text.size() && text[end] == '"') return Parse::kBadQuote;
      const std::string_view field = text.substr(at, end - at);
      row.fields.push_back(end == text.size() || text[end] == '\n' ? without_carriage_return(field) : field);
      at = end;
    }
    if (at >= text.size() || text[at] == '\n') break;
    if (text[at] != ',') return Parse::kBadQuote;
    ++at;
  }
  finish_row(row, at, at + 1);
  return Parse::kRow;
}

Result<bool> CsvReader::next(CsvRow& row) {
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, find_line_end());
    if (!found) return false;
    if (!without_carriage_return(first_line()).empty()) break;
    finish_row(row, line_end_, line_end_ + 1);
  }
  row.line = line_;
  row.status = CsvStatus::kOk;
  if (line_end_ - begin_ > limits_.row_max) {
    TRY(skip_long_line(row));
    return true;
  }
  Parse parsed = Parse::kRow;
  if (first_line().find('"') == std::string_view::npos) {
    split_plain(without_carriage_return(first_line()), row);
    finish_row(row, line_end_, line_end_ + 1);
  } else {
    parsed = parse_quoted(row);
    while (parsed == Parse::kNeedMore) {
      TRY(refill());
      parsed = parse_quoted(row);
    }
  }
  if (parsed == Parse::kBadQuote) {
    row.status = CsvStatus::kBadQuote;
    row.fields.clear();
    line_end_ = std::min(buffer_.find('\n', begin_), buffer_.size());
    finish_row(row, line_end_, line_end_ + 1);
  } else if (!is_utf8(row.raw)) {
    row.status = CsvStatus::kInvalidUtf8;
    row.fields.clear();
  }
  return true;
}

}  // namespace trainyard::data
