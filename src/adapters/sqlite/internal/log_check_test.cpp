#include "adapters/sqlite/internal/log_check.h"

#include <gtest/gtest.h>

#include "adapters/sqlite/testing/temporary_database.h"

namespace trainyard::adapters::sqlite::internal {
namespace {

/// Runs one statement in a transaction of its own.
Result<void> commit_sql(store::Database& database, std::string_view sql) {
  return database.write([sql](store::Connection& connection) -> Result<void> {
    TRY(connection.execute(sql));
    return {};
  });
}

/// A write-ahead log of several commits, as a process that was killed leaves it, and a copy of its database file.
class WriteAheadLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store::Database& database = temporary_.database();
    ASSERT_TRUE(commit_sql(database, "CREATE TABLE t(x)").ok());
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(commit_sql(database, "INSERT INTO t VALUES(hex(randomblob(3000)))").ok());
    log_ = read_file(temporary_.path() + "-wal").value();
    ASSERT_GT(log_.size(), 8 * kFrame);
  }
  std::string check(const std::string& log) {
    const std::string path = temporary_.path() + "-copy";
    EXPECT_TRUE(write_file_atomically(path, log).ok());
    const Result<void> checked = check_write_ahead_log(path);
    return checked.ok() ? "ok" : checked.error().id;
  }
  std::string flipped(std::size_t byte, int bit = 0) {
    std::string log = log_;
    log[byte] = static_cast<char>(log[byte] ^ (1 << bit));
    return log;
  }

  static constexpr std::size_t kFrame = 24 + 4096;
  testing::TemporaryDatabase temporary_;
  std::string log_;
};

TEST_F(WriteAheadLogTest, log_of_whole_commits_is_in_order) {
  EXPECT_EQ(check(log_), "ok");
  EXPECT_EQ(check(""), "ok");
}

TEST_F(WriteAheadLogTest, log_cut_anywhere_is_in_order) {
  for (std::size_t size = 0; size < log_.size(); size += 997) EXPECT_EQ(check(log_.substr(0, size)), "ok") << size;
}

TEST_F(WriteAheadLogTest, flip_before_the_last_commits_is_found) {
  for (std::size_t byte = 0; byte < 32; ++byte) EXPECT_EQ(check(flipped(byte, static_cast<int>(byte % 8))), "db.corrupt") << byte;
  for (std::size_t byte = 32; byte + 6 * kFrame < log_.size(); byte += 61) {
    // The number that says how large the database is after a commit can say by one flip that the frame is none; it is found all the same.
    EXPECT_EQ(check(flipped(byte, static_cast<int>(byte % 8))), "db.corrupt") << byte;
  }
}

TEST_F(WriteAheadLogTest, zeroed_end_is_a_torn_write) {
  std::string log = log_;
  log.replace(log.size() - kFrame / 2, kFrame / 2, kFrame / 2, '\0');
  EXPECT_EQ(check(log), "ok");
}

TEST_F(WriteAheadLogTest, database_whose_log_lost_commits_does_not_open) {
  const std::string path = temporary_.path() + "-crashed";
  ASSERT_TRUE(write_file_atomically(path, read_file(temporary_.path()).value()).ok());
  ASSERT_TRUE(write_file_atomically(path + "-wal", flipped(32 + 100)).ok());
  const auto database = make_sqlite_database({.path = path});
  ASSERT_FALSE(database.ok());
  EXPECT_EQ(database.error().id, "db.corrupt");
}

}  // namespace
}  // namespace trainyard::adapters::sqlite::internal
