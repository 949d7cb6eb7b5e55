#include "adapters/sqlite/sqlite_database.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/sqlite/internal/log_check.h"
#include "adapters/sqlite/testing/temporary_database.h"
#include "store/testing/database_contract.h"

namespace trainyard::adapters::sqlite {
namespace {

using testing::TemporaryDatabase;

struct SqliteDatabaseHarness {
  store::Database& database() { return temporary.database(); }
  void reopen() { temporary.reopen(); }
  TemporaryDatabase temporary;
};

Result<void> run_sql(store::Database& database, std::string_view sql) {
  return database.write([sql](store::Connection& connection) -> Result<void> {
    TRY(connection.execute(sql));
    return {};
  });
}

class SqliteDatabaseTest : public ::testing::Test {
 protected:
  TemporaryDatabase temporary_;
};

TEST_F(SqliteDatabaseTest, file_is_private_with_its_log) {
  ASSERT_TRUE(run_sql(temporary_.database(), "CREATE TABLE t(x)").ok());
  for (const char* suffix : {"", "-wal"}) {
    struct stat info {};
    ASSERT_EQ(::stat((temporary_.path() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << suffix;
  }
}

TEST_F(SqliteDatabaseTest, file_in_a_missing_directory_is_not_found) {
  const auto database = make_sqlite_database({.path = "/nonexistent/directory/x.db"});
  ASSERT_FALSE(database.ok());
  EXPECT_EQ(database.error().category, Category::kNotFound);
}

TEST_F(SqliteDatabaseTest, text_file_in_its_place_is_data_loss) {
  const std::string path = temporary_.path() + "2";
  ASSERT_TRUE(write_file_atomically(path, std::string(10'000, 'x')).ok());
  const auto database = make_sqlite_database({.path = path});
  ASSERT_FALSE(database.ok());
  EXPECT_EQ(database.error().id, "db.corrupt");
  EXPECT_EQ(database.error().category, Category::kDataLoss);
}

TEST_F(SqliteDatabaseTest, log_without_its_file_is_data_loss) {
  const std::string path = temporary_.path() + "2";
  ASSERT_TRUE(write_file_atomically(path + "-wal", "left over").ok());
  const auto database = make_sqlite_database({.path = path});
  ASSERT_FALSE(database.ok());
  EXPECT_EQ(database.error().id, "db.corrupt");
}

TEST_F(SqliteDatabaseTest, read_that_finds_no_idle_connection_in_time_is_unavailable) {
  const std::string path = temporary_.path() + "2";
  auto database = make_sqlite_database({.path = path, .busy_timeout = Duration(1000), .readers = 1, .durable = false});
  ASSERT_TRUE(database.ok());
  const Result<void> outer = (*database)->read([&](store::Connection&) {
    const Result<void> inner = (*database)->read([](store::Connection&) { return Result<void>(); });
    EXPECT_EQ(inner.error().id, "db.unavailable");
    return Result<void>();
  });
  EXPECT_TRUE(outer.ok());
}

TEST_F(SqliteDatabaseTest, write_that_another_process_blocks_is_unavailable) {
  auto other = make_sqlite_database({.path = temporary_.path(), .busy_timeout = Duration(1000), .durable = false});
  ASSERT_TRUE(other.ok());
  const Result<void> outer = temporary_.database().write([&](store::Connection&) {
    EXPECT_EQ(run_sql(**other, "CREATE TABLE t(x)").error().id, "db.unavailable");
    return Result<void>();
  });
  EXPECT_TRUE(outer.ok());
  EXPECT_TRUE(run_sql(**other, "CREATE TABLE t(x)").ok());
}

TEST_F(SqliteDatabaseTest, read_only_database_refuses_writes) {
  const std::string path = temporary_.path() + "2";
  { ASSERT_TRUE(run_sql(*make_sqlite_database({.path = path}).value(), "CREATE TABLE t(x)").ok()); }
  auto database = make_sqlite_database({.path = path, .read_only = true});
  ASSERT_TRUE(database.ok()) << database.error().describe();
  EXPECT_EQ(run_sql(**database, "INSERT INTO t VALUES(1)").error().id, "db.read_only");
  const Result<void> done = (*database)->read([](store::Connection& connection) -> Result<void> {
    TRY(connection.query("SELECT x FROM t"));
    return {};
  });
  EXPECT_TRUE(done.ok());
  EXPECT_FALSE(file_exists(path + "-shm"));
}

TEST_F(SqliteDatabaseTest, statement_with_a_second_one_behind_it_is_refused) {
  EXPECT_EQ(run_sql(temporary_.database(), "CREATE TABLE a(x); CREATE TABLE b(x)").error().id, "db.sql");
  EXPECT_EQ(run_sql(temporary_.database(), " ").error().id, "db.sql");
  EXPECT_TRUE(run_sql(temporary_.database(), "CREATE TABLE a(x);").ok());
}

TEST_F(SqliteDatabaseTest, statements_beyond_the_cache_still_run) {
  const Result<void> done = temporary_.database().write([](store::Connection& connection) -> Result<void> {
    for (int i = 0; i < 600; ++i) TRY(connection.query("SELECT " + std::to_string(i)));
    return {};
  });
  EXPECT_TRUE(done.ok());
}

TEST_F(SqliteDatabaseTest, change_count_of_a_statement_that_changes_nothing_is_zero) {
  const Result<void> done = temporary_.database().write([](store::Connection& connection) -> Result<void> {
    TRY(connection.execute("CREATE TABLE t(x)"));
    TRY(connection.execute("INSERT INTO t VALUES(1), (2)"));
    ASSIGN_OR_RETURN(const std::int64_t changed, connection.execute("CREATE TABLE u(x)"));
    EXPECT_EQ(changed, 0);
    return {};
  });
  EXPECT_TRUE(done.ok());
}

/// A write-ahead log of several commits, as a process that was killed leaves it, and a copy of its database file.
class WriteAheadLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store::Database& database = temporary_.database();
    ASSERT_TRUE(run_sql(database, "CREATE TABLE t(x)").ok());
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(run_sql(database, "INSERT INTO t VALUES(hex(randomblob(3000)))").ok());
    log_ = read_file(temporary_.path() + "-wal").value();
    ASSERT_GT(log_.size(), 8 * kFrame);
  }
  std::string check(const std::string& log) {
    const std::string path = temporary_.path() + "-copy";
    EXPECT_TRUE(write_file_atomically(path, log).ok());
    const Result<void> checked = internal::check_write_ahead_log(path);
    return checked.ok() ? "ok" : checked.error().id;
  }
  std::string flipped(std::size_t byte, int bit = 0) {
    std::string log = log_;
    log[byte] = static_cast<char>(log[byte] ^ (1 << bit));
    return log;
  }

  static constexpr std::size_t kFrame = 24 + 4096;
  TemporaryDatabase temporary_;
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
}  // namespace trainyard::adapters::sqlite

namespace trainyard::store::testing {
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, DatabaseContract, adapters::sqlite::SqliteDatabaseHarness);
}  // namespace trainyard::store::testing
