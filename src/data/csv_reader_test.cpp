#include "data/csv_reader.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "data/testing/sample_files.h"

namespace trainyard::data {
namespace {

struct ReadRow {
  std::int64_t line = 0;
  CsvStatus status = CsvStatus::kOk;
  std::string raw;
  std::vector<std::string> fields;
  bool operator==(const ReadRow&) const = default;
};

std::vector<ReadRow> read_csv(const std::string& path, CsvLimits limits = {}) {
  const auto input = ByteInput::open(path).value();
  CsvReader reader(*input, limits);
  std::vector<ReadRow> rows;
  CsvRow row;
  for (;;) {
    const Result<bool> more = reader.next(row);
    EXPECT_TRUE(more.ok());
    if (!more.ok() || !*more) return rows;
    rows.push_back({row.line, row.status, std::string(row.raw), std::vector<std::string>(row.fields.begin(), row.fields.end())});
  }
}

std::vector<std::vector<std::string>> fields_of(const std::vector<ReadRow>& rows) {
  std::vector<std::vector<std::string>> fields;
  for (const ReadRow& row : rows) fields.push_back(row.fields);
  return fields;
}

class CsvReaderTest : public ::testing::Test {
 protected:
  std::vector<ReadRow> parse(std::string_view text, CsvLimits limits = {}) { return read_csv(files.write("x.csv", text), limits); }
  testing::SampleFiles files;
};

using Fields = std::vector<std::vector<std::string>>;

TEST_F(CsvReaderTest, plain_rows_are_split_at_commas) { EXPECT_EQ(fields_of(parse("a,b\n1,,3\n")), (Fields{{"a", "b"}, {"1", "", "3"}})); }

TEST_F(CsvReaderTest, last_row_needs_no_line_end) { EXPECT_EQ(fields_of(parse("1,2\n3,4")), (Fields{{"1", "2"}, {"3", "4"}})); }

TEST_F(CsvReaderTest, carriage_returns_and_byte_order_mark_are_dropped) {
  EXPECT_EQ(fields_of(parse("\xEF\xBB\xBF"
                            "a,b\r\n\"c\",d\r\n")),
            (Fields{{"a", "b"}, {"c", "d"}}));
}

TEST_F(CsvReaderTest, empty_lines_are_no_records_but_count_as_lines) {
  const std::vector<ReadRow> rows = parse("\n\r\na\n\nb\n");
  EXPECT_EQ(fields_of(rows), (Fields{{"a"}, {"b"}}));
  EXPECT_EQ(rows[1].line, 5);
}

TEST_F(CsvReaderTest, quoted_fields_hold_commas_quotes_and_newlines) {
  const std::vector<ReadRow> rows = parse("\"a,b\",\"c\"\"d\",\"e\nf\"\ng\n");
  EXPECT_EQ(fields_of(rows), (Fields{{"a,b", "c\"d", "e\nf"}, {"g"}}));
  EXPECT_EQ(rows[0].line, 1);
  EXPECT_EQ(rows[1].line, 3);
}

TEST_F(CsvReaderTest, bad_quote_costs_its_first_line_only) {
  for (const char* bad : {"a\"b,c", "\"a\"b,c", "\"open,c"}) {
    const std::vector<ReadRow> rows = parse(std::string(bad) + "\nx,y\nz\n");
    ASSERT_EQ(rows.size(), 3u) << bad;
    EXPECT_EQ(rows[0].status, CsvStatus::kBadQuote);
    EXPECT_EQ(rows[0].raw, bad);
    EXPECT_EQ(rows[1].fields, (std::vector<std::string>{"x", "y"}));
    EXPECT_EQ(rows[2].line, 3);
  }
}

TEST_F(CsvReaderTest, invalid_utf8_is_reported_with_its_line) {
  const std::vector<ReadRow> rows = parse("ok,\xC3\xA4\nbad,\xC3(\nok,2\n");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].status, CsvStatus::kOk);
  EXPECT_EQ(rows[1].status, CsvStatus::kInvalidUtf8);
  EXPECT_EQ(rows[1].line, 2);
  EXPECT_EQ(rows[2].status, CsvStatus::kOk);
}

TEST_F(CsvReaderTest, long_line_is_skipped_in_bounded_memory) {
  const std::vector<ReadRow> rows = parse("a\n" + std::string(10'000, 'x') + "\nb\n", {.row_max = 100, .chunk = 64});
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[1].status, CsvStatus::kTooLong);
  EXPECT_LE(rows[1].raw.size(), 200u);
  EXPECT_EQ(rows[2].fields, (std::vector<std::string>{"b"}));
  EXPECT_EQ(rows[2].line, 3);
}

TEST_F(CsvReaderTest, open_quote_in_a_large_file_does_not_swallow_it) {
  std::string text = "\"open\n";
  for (int i = 0; i < 1000; ++i) text += "1,2\n";
  const std::vector<ReadRow> rows = parse(text, {.row_max = 256, .chunk = 64});
  ASSERT_EQ(rows.size(), 1001u);
  EXPECT_EQ(rows[0].status, CsvStatus::kBadQuote);
  EXPECT_EQ(rows[1000].line, 1001);
}

/// The rules of RFC 4180 once more, over the whole text and one character at a time: slow and plain, to compare with.
std::vector<ReadRow> reference_parse(const std::string& text) {
  std::vector<ReadRow> rows;
  std::size_t begin = 0;
  std::int64_t line = 1;
  const auto line_end = [&](std::size_t at) { return std::min(text.find('\n', at), text.size()); };
  while (begin < text.size()) {
    const std::size_t first_end = line_end(begin);
    std::string first = text.substr(begin, first_end - begin);
    if (!first.empty() && first.back() == '\r') first.pop_back();
    if (first.empty()) {
      begin = first_end + 1;
      ++line;
      continue;
    }
    ReadRow row{line, CsvStatus::kOk, "", {""}};
    enum { kStart, kPlain, kQuoted, kClosed } state = kStart;
    std::size_t at = begin;
    for (; at <= text.size() && row.status == CsvStatus::kOk; ++at) {
      const bool end = at == text.size();
      const char c = end ? '\n' : text[at];
      const bool carriage_return = c == '\r' && (at + 1 == text.size() || text[at + 1] == '\n');
      if (state == kQuoted) {
        if (end)
          row.status = CsvStatus::kBadQuote;
        else if (c == '"' && at + 1 < text.size() && text[at + 1] == '"')
          row.fields.back() += text[at++];
        else if (c == '"')
          state = kClosed;
        else
          row.fields.back() += c;
      } else if (c == '\n') {
        break;
      } else if (carriage_return) {
        continue;
      } else if (c == ',') {
        row.fields.emplace_back();
        state = kStart;
      } else if (c == '"' && state == kStart) {
        state = kQuoted;
      } else if (c == '"' || state == kClosed) {
        row.status = CsvStatus::kBadQuote;
      } else {
        row.fields.back() += c;
        state = kPlain;
      }
    }
    std::size_t end = std::min(at, text.size());
    if (row.status != CsvStatus::kOk) end = first_end;
    row.raw = text.substr(begin, end - begin);
    if (!row.raw.empty() && row.raw.back() == '\r') row.raw.pop_back();
    line += std::count(text.begin() + static_cast<std::ptrdiff_t>(begin), text.begin() + static_cast<std::ptrdiff_t>(end), '\n') + 1;
    if (row.status != CsvStatus::kOk) row.fields.clear();
    rows.push_back(row);
    begin = end + 1;
  }
  return rows;
}

TEST_F(CsvReaderTest, random_texts_parse_as_the_reference_does_whatever_the_chunk_size) {
  constexpr std::uint64_t kSeed = 20260101;
  SCOPED_TRACE(kSeed);
  SeededRng rng(kSeed);
  constexpr std::string_view kAlphabet = "ab1,,,\"\"\"\n\n\r";
  for (int round = 0; round < 800; ++round) {
    std::string text;
    for (std::uint64_t length = rng.below(60); length > 0; --length) text += kAlphabet[rng.below(kAlphabet.size())];
    const std::size_t chunk = 3 + rng.below(20);
    ASSERT_EQ(parse(text, {.row_max = 4096, .chunk = chunk}), reference_parse(text))
        << ::testing::PrintToString(text) << " chunk " << chunk;
  }
}

TEST(Utf8Test, malformed_sequences_are_refused) {
  for (const char* good :
       {"", "plain ascii, longer than eight bytes", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "12345678\xC3\xA4"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80",
                          "\xE2\x82", "1234567\xFF"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
}

}  // namespace
}  // namespace trainyard::data
