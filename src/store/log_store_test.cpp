#include "store/log_store.h"

#include <gtest/gtest.h>

#include "store/log_record.h"
#include "store/testing/log_records.h"

namespace trainyard::store {
namespace {

using testing::encoded_line;

TEST(LogRecord, encoding_is_the_documented_bytes) {
  const std::string encoded = encoded_line(0x0102030405060708, "hi", LogStream::kStderr);
  ASSERT_EQ(encoded.size(), kLogRecordOverhead + 2);
  EXPECT_EQ(encoded.substr(0, 15), std::string("\x08\x07\x06\x05\x04\x03\x02\x01\x02\x02\x00\x00\x00hi", 15));
}

TEST(LogRecord, record_of_any_size_round_trips) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, kLogRecordBytesMax}) {
    const std::string encoded = encoded_line(-5, std::string(size, '\xff'), LogStream::kSystem);
    std::size_t consumed = 0;
    const Result<std::vector<LogRecord>> records = decode_log_records(encoded, consumed);
    ASSERT_TRUE(records.ok()) << records.error().describe();
    ASSERT_EQ(records->size(), 1u);
    EXPECT_EQ(consumed, encoded.size());
    EXPECT_EQ(records->front().time, time_from_micros(-5));
    EXPECT_EQ(records->front().stream, LogStream::kSystem);
    EXPECT_EQ(records->front().bytes, std::string(size, '\xff'));
  }
}

TEST(LogRecord, record_cut_anywhere_is_left_for_later) {
  const std::string whole = encoded_line(1, "whole\n");
  const std::string both = whole + encoded_line(2, "cut short\n");
  for (std::size_t size = whole.size(); size < both.size(); ++size) {
    std::size_t consumed = 0;
    const Result<std::vector<LogRecord>> records = decode_log_records(std::string_view(both).substr(0, size), consumed);
    ASSERT_TRUE(records.ok()) << "cut at " << size;
    EXPECT_EQ(records->size(), 1u);
    EXPECT_EQ(consumed, whole.size());
  }
}

TEST(LogRecord, flip_of_any_bit_is_never_served) {
  const std::string encoded = encoded_line(1'700'000'000'000'000, "a line of output\n") + encoded_line(2, "x");
  std::size_t consumed = 0;
  const std::vector<LogRecord> original = decode_log_records(encoded, consumed).value();
  for (std::size_t bit = 0; bit < encoded.size() * 8; ++bit) {
    std::string flipped = encoded;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const Result<std::vector<LogRecord>> records = decode_log_records(flipped, consumed);
    if (!records.ok()) {
      EXPECT_EQ(records.error().id, "log.corrupt");
      EXPECT_EQ(records.error().category, Category::kDataLoss);
      continue;
    }
    // A longer length looks like a record that is cut short: what comes before it must be right.
    ASSERT_LT(records->size(), original.size()) << "bit " << bit;
    for (std::size_t i = 0; i < records->size(); ++i) EXPECT_EQ((*records)[i].bytes, original[i].bytes);
  }
}

TEST(LogRecord, impossible_length_is_damage_not_a_cut) {
  std::string encoded = encoded_line(1, "x");
  encoded[11] = 2;  // 128 KiB more than there is.
  std::size_t consumed = 0;
  EXPECT_EQ(decode_log_records(encoded, consumed).error().id, "log.corrupt");
}

TEST(LogRecord, intact_prefix_ends_before_damage_and_before_a_cut) {
  const std::string a = encoded_line(1, "aaaa");
  const std::string b = encoded_line(2, "bbbb");
  EXPECT_EQ(intact_log_prefix(a + b), a.size() + b.size());
  EXPECT_EQ(intact_log_prefix(a + b.substr(0, 9)), a.size());
  std::string damaged = a + b;
  damaged[a.size() + 14] ^= 4;
  EXPECT_EQ(intact_log_prefix(damaged), a.size());
  EXPECT_EQ(intact_log_prefix(""), 0u);
}

TEST(LogRecord, whole_record_behind_damage_is_found) {
  const std::string a = encoded_line(1, "aaaa");
  EXPECT_TRUE(holds_log_record("????" + a));
  EXPECT_FALSE(holds_log_record(std::string(1000, '\0')));
  EXPECT_FALSE(holds_log_record(std::string_view(a).substr(1)));
}

}  // namespace
}  // namespace trainyard::store
