#include "adapters/localfs/local_log_store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/file.h"
#include "store/testing/log_store_contract.h"

namespace trainyard::adapters::localfs {
namespace {

using store::LogSlice;
using store::LogStore;
using store::testing::encoded_line;
using store::testing::rank_of;

constexpr std::size_t kHeader = 24;

/// A log store in a directory of its own.
class TemporaryLogs {
 public:
  TemporaryLogs() : directory_(make_temporary_directory("trainyard-logs-").value()) { reopen(); }
  ~TemporaryLogs() { (void)remove_tree(directory_).ok(); }
  TemporaryLogs(const TemporaryLogs&) = delete;
  TemporaryLogs& operator=(const TemporaryLogs&) = delete;

  LogStore& logs() { return *logs_; }
  std::string root() const { return directory_ + "/logs"; }
  std::string file(const RankKey& rank, int segment = 0) const {
    return fmt::format("{}/{}/{}/{}.{:03}", root(), rank.attempt.job.value, rank.attempt.attempt.value, rank.rank, segment);
  }
  void reopen() {
    logs_.reset();
    logs_ = make_local_log_store(root()).value();
  }
  void damage(const RankKey& rank, std::size_t at) {
    std::string bytes = read_file(file(rank)).value();
    bytes.at(kHeader + at) = static_cast<char>(bytes.at(kHeader + at) ^ 1);
    EXPECT_TRUE(write_file_atomically(file(rank), bytes).ok());
  }

 private:
  std::string directory_;
  std::unique_ptr<LogStore> logs_;
};

class LocalLogStoreTest : public ::testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(arm_failpoints("").ok()); }
  LogStore& logs() { return temporary_.logs(); }
  /// Three lines, synced; returns the sizes of their records.
  std::size_t write_three() {
    const std::string line = encoded_line(1, "line\n");
    EXPECT_TRUE(logs().append(kRank, 0, line + line + line).ok());
    EXPECT_TRUE(logs().sync(kRank).ok());
    return line.size();
  }
  /// Writes more than two segments.
  std::uint64_t write_segments() {
    std::uint64_t offset = 0;
    while (offset < (std::uint64_t{17} << 20)) {
      std::string piece;
      for (int i = 0; i < 20; ++i) piece += encoded_line(1, std::string(60'000, 'x'));
      offset = logs().append(kRank, offset, piece).value();
    }
    EXPECT_TRUE(logs().sync(kRank).ok());
    return offset;
  }
  void rewrite(const std::string& path, const std::string& bytes) { ASSERT_TRUE(write_file_atomically(path, bytes).ok()); }

  const RankKey kRank = rank_of(7, 3);
  TemporaryLogs temporary_;
};

TEST_F(LocalLogStoreTest, stream_cut_anywhere_goes_on_after_its_last_whole_record) {
  const std::size_t size = write_three();
  const std::string bytes = read_file(temporary_.file(kRank)).value();
  for (std::size_t cut = kHeader; cut < bytes.size(); ++cut) {
    rewrite(temporary_.file(kRank), bytes.substr(0, cut));
    temporary_.reopen();
    const std::size_t whole = (cut - kHeader) / size * size;
    ASSERT_EQ(logs().end_offset(kRank).value(), whole) << "cut at " << cut;
    ASSERT_EQ(logs().read(kRank, 0, 1000)->records.size(), whole / size);
    ASSERT_EQ(logs().append(kRank, whole, encoded_line(2, "more")).value(), whole + encoded_line(2, "more").size());
    ASSERT_EQ(logs().read(kRank, whole, 1000)->records.at(0).bytes, "more");
  }
}

TEST_F(LocalLogStoreTest, zeroed_or_scrambled_end_is_cut_back) {
  const std::size_t size = write_three();
  const std::string bytes = read_file(temporary_.file(kRank)).value();
  for (const char filler : {'\0', '\x01', '\xff'}) {
    std::string torn = bytes;
    torn.replace(kHeader + 2 * size + 4, std::string::npos, 5000, filler);
    rewrite(temporary_.file(kRank), torn);
    temporary_.reopen();
    EXPECT_EQ(logs().end_offset(kRank).value(), 2 * size);
    EXPECT_EQ(file_size(temporary_.file(kRank)).value(), kHeader + 2 * size);
  }
}

TEST_F(LocalLogStoreTest, file_cut_inside_its_header_is_made_anew) {
  write_three();
  for (const std::size_t cut : {std::size_t{0}, std::size_t{7}, kHeader - 1}) {
    rewrite(temporary_.file(kRank), read_file(temporary_.file(kRank)).value().substr(0, cut));
    temporary_.reopen();
    EXPECT_EQ(logs().end_offset(kRank).value(), 0u);
    write_three();
  }
}

TEST_F(LocalLogStoreTest, damage_before_whole_records_keeps_them_and_new_ones_are_appended) {
  const std::size_t size = write_three();
  temporary_.damage(kRank, size + 14);
  temporary_.reopen();
  EXPECT_EQ(logs().end_offset(kRank).value(), 3 * size);
  EXPECT_EQ(logs().read(kRank, size, 1000).error().id, "log.corrupt");
  EXPECT_EQ(logs().read(kRank, 2 * size, 1000)->records.size(), 1u);
  EXPECT_TRUE(logs().append(kRank, 3 * size, encoded_line(1, "more")).ok());
  EXPECT_EQ(logs().read(kRank, 2 * size, 1000)->records.size(), 2u);
}

TEST_F(LocalLogStoreTest, flip_of_any_bit_is_never_served) {
  const std::size_t size = write_three();
  const std::string bytes = read_file(temporary_.file(kRank)).value();
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    rewrite(temporary_.file(kRank), flipped);
    temporary_.reopen();
    const Result<LogSlice> slice = logs().read(kRank, 0, 1000);
    if (!slice.ok()) {
      EXPECT_EQ(slice.error().id, "log.corrupt") << "bit " << bit;
      continue;
    }
    ASSERT_LT(slice->records.size(), 3u) << "bit " << bit;
    ASSERT_EQ(slice->next_offset, slice->records.size() * size);
    for (const auto& record : slice->records) ASSERT_EQ(record.bytes, "line\n");
  }
}

TEST_F(LocalLogStoreTest, segments_hold_at_most_eight_mebibytes_of_whole_records) {
  const std::uint64_t end = write_segments();
  std::uint64_t total = 0;
  for (int segment = 0; segment < 3; ++segment) {
    const std::uint64_t size = file_size(temporary_.file(kRank, segment)).value() - kHeader;
    EXPECT_LE(size, std::uint64_t{8} << 20);
    EXPECT_EQ(size % encoded_line(1, std::string(60'000, 'x')).size(), 0u);
    total += size;
  }
  EXPECT_EQ(total, end);
}

TEST_F(LocalLogStoreTest, older_segment_cut_short_is_data_loss_at_the_cut_alone) {
  const std::uint64_t end = write_segments();
  const std::size_t record = encoded_line(1, std::string(60'000, 'x')).size();
  const std::string first = read_file(temporary_.file(kRank, 0)).value();
  const std::uint64_t second_start = first.size() - kHeader;
  rewrite(temporary_.file(kRank, 0), first.substr(0, first.size() - record));
  temporary_.reopen();
  EXPECT_EQ(logs().end_offset(kRank).value(), end);
  EXPECT_EQ(logs().read(kRank, 0, record)->records.size(), 1u);
  EXPECT_EQ(logs().read(kRank, second_start - record, 1000).error().id, "log.corrupt");
  EXPECT_EQ(logs().read(kRank, second_start, 1000)->records.size(), 1u);
}

TEST_F(LocalLogStoreTest, missing_segment_or_damaged_header_is_data_loss) {
  write_segments();
  const std::string second = read_file(temporary_.file(kRank, 1)).value();
  ASSERT_TRUE(remove_tree(temporary_.file(kRank, 1)).ok());
  temporary_.reopen();
  EXPECT_EQ(logs().end_offset(kRank).error().id, "log.corrupt");
  EXPECT_EQ(logs().append(kRank, 0, encoded_line(1, "x")).error().category, Category::kDataLoss);
  std::string damaged = second;
  damaged[12] ^= 1;
  rewrite(temporary_.file(kRank, 1), damaged);
  temporary_.reopen();
  EXPECT_EQ(logs().end_offset(kRank).error().id, "log.corrupt");
  rewrite(temporary_.file(kRank, 1), second);
  temporary_.reopen();
  EXPECT_TRUE(logs().end_offset(kRank).ok());
}

TEST_F(LocalLogStoreTest, more_streams_than_are_remembered_are_found_again) {
  constexpr std::uint64_t kJobs = 9000;
  const std::string line = encoded_line(1, "x");
  for (std::uint64_t job = 1; job <= kJobs; ++job) ASSERT_TRUE(logs().append(rank_of(job), 0, line).ok());
  for (std::uint64_t job = 1; job <= kJobs; job += 111) {
    EXPECT_EQ(logs().append(rank_of(job), line.size(), line).value(), 2 * line.size());
    EXPECT_TRUE(logs().sync(rank_of(job)).ok());
  }
}

TEST_F(LocalLogStoreTest, failure_after_the_append_is_repaired_by_sending_again) {
  ASSERT_TRUE(arm_failpoints("log.after_append_before_sync=io").ok());
  const std::string line = encoded_line(1, "x");
  EXPECT_EQ(logs().append(kRank, 0, line).error().id, "failpoint.injected");
  EXPECT_EQ(logs().append(kRank, 0, line).value(), line.size());
  EXPECT_EQ(logs().read(kRank, 0, 1000)->records.size(), 1u);
}

TEST_F(LocalLogStoreTest, process_that_died_between_append_and_sync_leaves_whole_records) {
  const pid_t child = ::fork();
  if (child == 0) {
    auto dying = make_local_log_store(temporary_.root());
    if (!dying.ok() || !arm_failpoints("log.after_append_before_sync=exit@2").ok()) ::_exit(1);
    const std::string line = encoded_line(1, "x");
    (void)(*dying)->append(kRank, 0, line).ok();
    (void)(*dying)->append(kRank, line.size(), line).ok();
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 137) << status;
  EXPECT_EQ(logs().read(kRank, 0, 1000)->records.size(), 2u);
}

}  // namespace
}  // namespace trainyard::adapters::localfs

namespace trainyard::store::testing {
INSTANTIATE_TYPED_TEST_SUITE_P(Local, LogStoreContract, adapters::localfs::TemporaryLogs);
}  // namespace trainyard::store::testing
