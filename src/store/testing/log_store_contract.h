#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "store/testing/log_records.h"

namespace trainyard::store::testing {

/// What every LogStore does. `Harness` is default-constructible and has `LogStore& logs()`, `void reopen()`, which leaves the store as a
/// restarted process finds it, and `void damage(rank, at)`, which flips a bit of the stored stream.
template <typename Harness>
class LogStoreContract : public ::testing::Test {
 protected:
  LogStore& logs() { return harness_.logs(); }
  std::uint64_t append(const RankKey& rank, std::uint64_t offset, std::string_view encoded) {
    const Result<std::uint64_t> end = logs().append(rank, offset, encoded);
    EXPECT_TRUE(end.ok()) << end.error().describe();
    return end.ok() ? *end : 0;
  }
  std::string refusal(const RankKey& rank, std::uint64_t offset, std::string_view encoded) {
    const Result<std::uint64_t> end = logs().append(rank, offset, encoded);
    return end.ok() ? "accepted" : end.error().id;
  }
  std::uint64_t end(const RankKey& rank) {
    const Result<std::uint64_t> end = logs().end_offset(rank);
    EXPECT_TRUE(end.ok()) << end.error().describe();
    return end.ok() ? *end : ~std::uint64_t{0};
  }
  LogSlice read(const RankKey& rank, std::uint64_t offset, std::size_t size_max = 1 << 20) {
    Result<LogSlice> slice = logs().read(rank, offset, size_max);
    EXPECT_TRUE(slice.ok()) << slice.error().describe();
    return slice.ok() ? std::move(slice).value() : LogSlice{};
  }
  std::string text(const RankKey& rank) {
    std::string all;
    for (const LogRecord& record : read(rank, 0).records) all += record.bytes;
    return all;
  }

  Harness harness_;
};

TYPED_TEST_SUITE_P(LogStoreContract);

TYPED_TEST_P(LogStoreContract, rank_without_output_is_empty) {
  EXPECT_EQ(this->end(rank_of(1)), 0u);
  const LogSlice slice = this->read(rank_of(1), 0);
  EXPECT_TRUE(slice.records.empty());
  EXPECT_EQ(slice.next_offset, 0u);
  EXPECT_TRUE(this->logs().sync(rank_of(1)).ok());
}

TYPED_TEST_P(LogStoreContract, appended_records_are_read_after_a_restart) {
  const std::string first = encoded_line(5, "out\n");
  const std::string second = encoded_line(6, std::string("e\0r", 3), LogStream::kStderr);
  EXPECT_EQ(this->append(rank_of(1), 0, first + second), first.size() + second.size());
  ASSERT_TRUE(this->logs().sync(rank_of(1)).ok());
  this->harness_.reopen();
  EXPECT_EQ(this->end(rank_of(1)), first.size() + second.size());
  const LogSlice slice = this->read(rank_of(1), 0);
  ASSERT_EQ(slice.records.size(), 2u);
  EXPECT_EQ(slice.records[0].bytes, "out\n");
  EXPECT_EQ(slice.records[0].time, time_from_micros(5));
  EXPECT_EQ(slice.records[0].stream, LogStream::kStdout);
  EXPECT_EQ(slice.records[1].bytes, std::string("e\0r", 3));
  EXPECT_EQ(slice.records[1].stream, LogStream::kStderr);
  EXPECT_EQ(slice.next_offset, first.size() + second.size());
}

TYPED_TEST_P(LogStoreContract, overlap_is_ignored) {
  const std::string a = encoded_line(1, "a");
  const std::string b = encoded_line(2, "bb");
  const std::string c = encoded_line(3, "ccc");
  this->append(rank_of(1), 0, a + b);
  EXPECT_EQ(this->append(rank_of(1), 0, a), a.size() + b.size());
  EXPECT_EQ(this->append(rank_of(1), a.size(), b + c), a.size() + b.size() + c.size());
  EXPECT_EQ(this->append(rank_of(1), 0, a + b + c), a.size() + b.size() + c.size());
  EXPECT_EQ(this->text(rank_of(1)), "abbccc");
}

TYPED_TEST_P(LogStoreContract, gap_is_refused) {
  const std::string a = encoded_line(1, "a");
  this->append(rank_of(1), 0, a);
  EXPECT_EQ(this->refusal(rank_of(1), a.size() + 1, a), "log.gap");
  EXPECT_EQ(this->refusal(rank_of(2), 1, a), "log.gap");
  EXPECT_EQ(this->end(rank_of(1)), a.size());
  EXPECT_EQ(this->end(rank_of(2)), 0u);
}

TYPED_TEST_P(LogStoreContract, damaged_or_cut_or_shifted_input_is_refused_whole) {
  const std::string a = encoded_line(1, "aaaa");
  const std::string b = encoded_line(2, "bb");
  std::string damaged = a + b;
  damaged[a.size() + 14] = static_cast<char>(damaged[a.size() + 14] ^ 1);
  EXPECT_EQ(this->refusal(rank_of(1), 0, damaged), "log.malformed");
  EXPECT_EQ(this->refusal(rank_of(1), 0, std::string_view(a).substr(0, a.size() - 1)), "log.malformed");
  EXPECT_EQ(this->refusal(rank_of(1), 0, "no record at all"), "log.malformed");
  EXPECT_EQ(this->end(rank_of(1)), 0u);
  this->append(rank_of(1), 0, a);
  EXPECT_EQ(this->refusal(rank_of(1), 1, a + b), "log.malformed") << "the overlap does not end where a record does";
  EXPECT_EQ(this->text(rank_of(1)), "aaaa");
}

TYPED_TEST_P(LogStoreContract, read_goes_on_where_the_last_one_ended) {
  std::string all;
  for (int i = 0; i < 10; ++i) all += encoded_line(i, std::to_string(i));
  this->append(rank_of(1), 0, all);
  const std::size_t size = all.size() / 10;
  const LogSlice first = this->read(rank_of(1), 0, 3 * size + 1);
  EXPECT_EQ(first.records.size(), 3u);
  EXPECT_EQ(first.next_offset, 3 * size);
  const LogSlice one = this->read(rank_of(1), first.next_offset, 1);
  ASSERT_EQ(one.records.size(), 1u) << "one record at least, whatever the limit";
  EXPECT_EQ(one.records[0].bytes, "3");
  const LogSlice rest = this->read(rank_of(1), one.next_offset);
  EXPECT_EQ(rest.records.size(), 6u);
  EXPECT_EQ(rest.next_offset, all.size());
  EXPECT_TRUE(this->read(rank_of(1), all.size()).records.empty());
  EXPECT_EQ(this->read(rank_of(1), all.size() + 99).next_offset, all.size()) << "a reader beyond the end is sent back to it";
}

TYPED_TEST_P(LogStoreContract, ranks_and_attempts_are_streams_of_their_own) {
  const RankKey other_attempt{{JobId(1), AttemptNumber(2)}, 0};
  this->append(rank_of(1, 0), 0, encoded_line(1, "zero"));
  this->append(rank_of(1, 1), 0, encoded_line(1, "one"));
  this->append(rank_of(1, 11), 0, encoded_line(1, "eleven"));
  this->append(other_attempt, 0, encoded_line(1, "again"));
  EXPECT_EQ(this->text(rank_of(1, 0)), "zero");
  EXPECT_EQ(this->text(rank_of(1, 1)), "one");
  EXPECT_EQ(this->text(rank_of(1, 11)), "eleven");
  EXPECT_EQ(this->text(other_attempt), "again");
}

TYPED_TEST_P(LogStoreContract, removed_job_is_empty_and_others_stay) {
  this->append(rank_of(1), 0, encoded_line(1, "one"));
  this->append(rank_of(1, 1), 0, encoded_line(1, "one"));
  this->append(rank_of(12), 0, encoded_line(1, "two"));
  ASSERT_TRUE(this->logs().remove_job(JobId(1)).ok());
  ASSERT_TRUE(this->logs().remove_job(JobId(1)).ok()) << "removal is repeated after crashes";
  EXPECT_EQ(this->end(rank_of(1)), 0u);
  EXPECT_EQ(this->end(rank_of(1, 1)), 0u);
  EXPECT_EQ(this->text(rank_of(12)), "two");
}

TYPED_TEST_P(LogStoreContract, stream_longer_than_two_segments_is_contiguous) {
  std::uint64_t offset = 0;
  int count = 0;
  while (offset < (std::uint64_t{17} << 20)) {
    std::string piece;
    for (int i = 0; i < 12; ++i, ++count) piece += encoded_line(count, std::string(60'000, static_cast<char>('a' + count % 26)));
    offset = this->append(rank_of(1), offset, piece);
  }
  ASSERT_TRUE(this->logs().sync(rank_of(1)).ok());
  this->harness_.reopen();
  EXPECT_EQ(this->end(rank_of(1)), offset);
  std::uint64_t at = 0;
  int seen = 0;
  while (at < offset) {
    const LogSlice slice = this->read(rank_of(1), at, 300'000);
    ASSERT_FALSE(slice.records.empty());
    for (const LogRecord& record : slice.records) ASSERT_EQ(record.time, time_from_micros(seen++));
    at = slice.next_offset;
  }
  EXPECT_EQ(seen, count);
}

TYPED_TEST_P(LogStoreContract, damage_is_reported_where_it_lies) {
  const std::string a = encoded_line(1, "aaaa");
  const std::string b = encoded_line(2, "bbbb");
  this->append(rank_of(1), 0, a + b + a);
  ASSERT_TRUE(this->logs().sync(rank_of(1)).ok());
  this->harness_.damage(rank_of(1), a.size() + 15);
  this->harness_.reopen();
  const LogSlice before = this->read(rank_of(1), 0);
  EXPECT_EQ(before.records.size(), 1u);
  EXPECT_EQ(before.next_offset, a.size());
  const Result<LogSlice> at = this->logs().read(rank_of(1), a.size(), 1000);
  ASSERT_FALSE(at.ok());
  EXPECT_EQ(at.error().category, Category::kDataLoss);
  EXPECT_EQ(at.error().id, "log.corrupt");
}

REGISTER_TYPED_TEST_SUITE_P(LogStoreContract, rank_without_output_is_empty, appended_records_are_read_after_a_restart, overlap_is_ignored,
                            gap_is_refused, damaged_or_cut_or_shifted_input_is_refused_whole, read_goes_on_where_the_last_one_ended,
                            ranks_and_attempts_are_streams_of_their_own, removed_job_is_empty_and_others_stay,
                            stream_longer_than_two_segments_is_contiguous, damage_is_reported_where_it_lies);

}  // namespace trainyard::store::testing
