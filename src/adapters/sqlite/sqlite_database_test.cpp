#include "adapters/sqlite/sqlite_database.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "adapters/sqlite/testing/temporary_database.h"

namespace trainyard::adapters::sqlite {
namespace {

using testing::TemporaryDatabase;

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

}  // namespace
}  // namespace trainyard::adapters::sqlite
