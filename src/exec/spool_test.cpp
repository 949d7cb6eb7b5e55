#include "exec/spool.h"

#include <gtest/gtest.h>

namespace trainyard::exec {
namespace {

const RankKey kKey{{JobId(17), AttemptNumber(2)}, 1};

TEST(Spool, files_of_a_rank_lie_below_its_attempt) {
  const SpoolPaths paths = spool_paths("/data", kKey);
  EXPECT_EQ(paths.log, "/data/spool/17.2.1.log");
  EXPECT_EQ(paths.exit_record, "/data/spool/17.2.1.exit.json");
  EXPECT_EQ(default_workdir("/data", kKey.attempt), "/data/work/17/2");
}

TEST(Spool, records_survive_their_files) {
  ExitRecord record;
  record.rank = kKey;
  record.pid = 99;
  record.started_at = time_from_micros(5);
  record.exit.code = 75;
  record.exit.ended_at = time_from_micros(7);
  record.log_size = 1'000;
  record.events_size = 30;
  const Result<ExitRecord> read = exit_record_from(to_text(record));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(to_text(*read), to_text(record));
  const ShippedMark mark{.log_size = 3, .events_size = 2, .event_lines = 1};
  EXPECT_EQ(to_text(shipped_mark_from(to_text(mark)).value()), to_text(mark));
  const StartRecord started{.rank = kKey, .boot_id = "b", .started_at = time_from_micros(1)};
  EXPECT_EQ(to_text(start_record_from(to_text(started)).value()), to_text(started));
}

TEST(Spool, record_that_is_cut_short_anywhere_is_data_loss) {
  const std::string whole = to_text(ExitRecord{});
  for (std::size_t length = 0; length + 1 < whole.size(); ++length) {
    const Result<ExitRecord> read = exit_record_from(std::string_view(whole).substr(0, length));
    ASSERT_FALSE(read.ok()) << length;
    EXPECT_EQ(read.error().category, Category::kDataLoss);
  }
}

TEST(LogRecords, encoding_is_the_documented_one) {
  std::string encoded;
  append_log_record(time_from_micros(0x0102030405060708), kStderrStream, "hi\n", encoded);
  ASSERT_EQ(encoded.size(), 3 + kLogRecordOverhead);
  EXPECT_EQ(encoded.substr(0, 16), std::string("\x08\x07\x06\x05\x04\x03\x02\x01\x02\x03\x00\x00\x00hi\n", 16));
}

TEST(LogRecords, whole_records_end_before_a_torn_one) {
  std::string encoded;
  append_log_record(time_from_micros(1), kStdoutStream, "first\n", encoded);
  const std::size_t first = encoded.size();
  append_log_record(time_from_micros(2), kStdoutStream, "", encoded);
  const std::size_t second = encoded.size();
  for (std::size_t length = 0; length <= encoded.size(); ++length) {
    const std::size_t expected = length < first ? 0 : length < second ? first : second;
    EXPECT_EQ(whole_log_records(std::string_view(encoded).substr(0, length)), expected);
  }
  encoded[second - 8] = '\x7f';  // The top byte of the second length.
  EXPECT_EQ(whole_log_records(encoded), first);
}

}  // namespace
}  // namespace trainyard::exec
