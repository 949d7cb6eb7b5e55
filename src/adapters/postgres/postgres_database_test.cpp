#include "adapters/postgres/postgres_database.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "adapters/postgres/testing/tell.h"
#include "store/testing/server_process.h"

namespace trainyard::adapters::postgres {
namespace {

using store::Connection;
using store::Database;
using testing::tell;

Result<void> run_sql(Database& database, std::string_view sql, const std::vector<store::SqlValue>& parameters = {}) {
  return database.write([&](Connection& connection) -> Result<void> {
    TRY(connection.execute(sql, parameters));
    return {};
  });
}

std::int64_t count_of(Database& database, const std::string& table) {
  std::int64_t count = -1;
  const Result<void> done = database.read([&](Connection& connection) -> Result<void> {
    ASSIGN_OR_RETURN(const std::vector<store::Row> rows, connection.query("SELECT COUNT(*) FROM " + table));
    count = rows.at(0).integer(0);
    return {};
  });
  EXPECT_TRUE(done.ok()) << done.error().describe();
  return count;
}

/// Over the shared server, in a schema of the test's own, with a table t(x).
class PostgresDatabaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    TRAINYARD_REQUIRE_SERVER(store::testing::shared_postgres());
    url_ = store::testing::shared_postgres().value()->url() + "?schema=" + store::testing::unused_name();
    database_ = make_postgres_database({.url = url_}).value();
    ASSERT_TRUE(run_sql(*database_, "CREATE TABLE t(x BIGINT PRIMARY KEY)").ok());
  }
  void end_all_sessions() {
    tell(url_, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'trainyard' AND pid <> pg_backend_pid()");
  }

  std::string url_;
  std::unique_ptr<Database> database_;
};

TEST_F(PostgresDatabaseTest, tables_lie_in_the_schema_of_the_url) {
  const auto other = make_postgres_database({.url = url_ + "x"}).value();
  ASSERT_TRUE(run_sql(*other, "CREATE TABLE t(x BIGINT)").ok());
  ASSERT_TRUE(run_sql(*other, "INSERT INTO t(x) VALUES(1)").ok());
  EXPECT_EQ(count_of(*database_, "t"), 0);
}

TEST_F(PostgresDatabaseTest, sessions_that_the_server_ended_are_replaced_before_reads_and_writes) {
  EXPECT_EQ(count_of(*database_, "t"), 0);
  end_all_sessions();
  EXPECT_TRUE(run_sql(*database_, "INSERT INTO t(x) VALUES(?)", {std::int64_t{1}}).ok());
  EXPECT_EQ(count_of(*database_, "t"), 1);
  end_all_sessions();
  EXPECT_EQ(count_of(*database_, "t"), 1);
  EXPECT_TRUE(run_sql(*database_, "INSERT INTO t(x) VALUES(?)", {std::int64_t{2}}).ok());
}

TEST_F(PostgresDatabaseTest, session_that_ends_amid_a_write_fails_it_and_stores_nothing) {
  int runs = 0;
  const Result<void> done = database_->write([&](Connection& connection) -> Result<void> {
    ++runs;
    TRY(connection.execute("INSERT INTO t(x) VALUES(1)"));
    end_all_sessions();
    TRY(connection.execute("INSERT INTO t(x) VALUES(2)"));
    return {};
  });
  EXPECT_EQ(done.error().id, "db.unavailable");
  EXPECT_EQ(runs, 1) << "work is never repeated";
  EXPECT_EQ(count_of(*database_, "t"), 0);
  const Result<void> silent = database_->write([&](Connection& connection) -> Result<void> {
    TRY(connection.execute("INSERT INTO t(x) VALUES(1)"));
    end_all_sessions();
    return {};
  });
  ASSERT_FALSE(silent.ok());
  EXPECT_NE(silent.error().message.find("unknown"), std::string::npos) << silent.error().describe();
  EXPECT_TRUE(run_sql(*database_, "INSERT INTO t(x) VALUES(3)").ok());
}

TEST_F(PostgresDatabaseTest, writers_of_several_processes_take_turns) {
  ASSERT_TRUE(run_sql(*database_, "INSERT INTO t(x) VALUES(0)").ok());
  const auto other = make_postgres_database({.url = url_}).value();
  {
    std::vector<std::jthread> writers;
    for (Database* database : {database_.get(), other.get(), database_.get(), other.get()}) {
      writers.emplace_back([database] {
        for (int i = 0; i < 10; ++i) {
          const Result<void> done = database->write([](Connection& connection) -> Result<void> {
            ASSIGN_OR_RETURN(const std::vector<store::Row> rows, connection.query("SELECT x FROM t"));
            TRY(connection.execute("UPDATE t SET x = ?", {rows.at(0).integer(0) + 1}));
            return {};
          });
          EXPECT_TRUE(done.ok()) << done.error().describe();
        }
      });
    }
  }
  EXPECT_EQ(tell(url_, "SELECT x FROM t"), "40");
}

TEST_F(PostgresDatabaseTest, write_that_another_process_blocks_is_unavailable_after_its_deadline) {
  const auto hasty = make_postgres_database({.url = url_, .busy_timeout = std::chrono::milliseconds(100)}).value();
  const Result<void> outer = database_->write([&](Connection&) {
    EXPECT_EQ(run_sql(*hasty, "INSERT INTO t(x) VALUES(1)").error().id, "db.unavailable");
    return Result<void>();
  });
  EXPECT_TRUE(outer.ok());
  EXPECT_TRUE(run_sql(*hasty, "INSERT INTO t(x) VALUES(1)").ok());
}

TEST_F(PostgresDatabaseTest, process_that_stops_amid_a_write_lets_go_of_it) {
  const auto stopping = make_postgres_database({.url = url_, .idle_transaction_timeout = std::chrono::milliseconds(200)}).value();
  const Result<void> stopped = stopping->write([&](Connection& connection) -> Result<void> {
    TRY(connection.execute("INSERT INTO t(x) VALUES(1)"));
    EXPECT_TRUE(run_sql(*database_, "INSERT INTO t(x) VALUES(2)").ok()) << "another process writes after a while";
    return {};
  });
  EXPECT_EQ(stopped.error().id, "db.unavailable");
  EXPECT_EQ(tell(url_, "SELECT string_agg(x::text, ',') FROM t"), "2");
}

TEST_F(PostgresDatabaseTest, statement_that_takes_too_long_is_given_up) {
  const auto hasty = make_postgres_database({.url = url_, .statement_timeout = std::chrono::milliseconds(100)}).value();
  const Result<void> slow = run_sql(*hasty, "SELECT pg_sleep(20)");
  EXPECT_EQ(slow.error().id, "db.unavailable");
  EXPECT_TRUE(run_sql(*hasty, "INSERT INTO t(x) VALUES(1)").ok());
}

TEST_F(PostgresDatabaseTest, read_that_finds_no_idle_connection_in_time_is_unavailable) {
  const auto single = make_postgres_database({.url = url_, .busy_timeout = Duration(1000), .readers = 1}).value();
  const Result<void> outer = single->read([&](Connection&) {
    EXPECT_EQ(single->read([](Connection&) { return Result<void>(); }).error().id, "db.unavailable");
    return Result<void>();
  });
  EXPECT_TRUE(outer.ok());
}

TEST_F(PostgresDatabaseTest, statements_beyond_the_cache_still_run) {
  const Result<void> done = database_->read([](Connection& connection) -> Result<void> {
    for (int i = 0; i < 600; ++i) TRY(connection.query("SELECT " + std::to_string(i)));
    return {};
  });
  EXPECT_TRUE(done.ok()) << done.error().describe();
}

TEST_F(PostgresDatabaseTest, statement_with_a_second_one_behind_it_or_with_a_nul_is_refused) {
  EXPECT_EQ(run_sql(*database_, "CREATE TABLE a(x BIGINT); CREATE TABLE b(x BIGINT)").error().id, "db.sql");
  EXPECT_EQ(run_sql(*database_, " ").error().id, "db.sql");
  EXPECT_EQ(run_sql(*database_, "INSERT INTO t(x) VALUES(?)", {std::string("1\0002", 3)}).error().id, "db.sql");
  ASSERT_TRUE(run_sql(*database_, "CREATE TABLE n(name TEXT)").ok());
  EXPECT_EQ(run_sql(*database_, "INSERT INTO n(name) VALUES(?)", {std::string("1\0002", 3)}).error().id, "db.sql");
  EXPECT_EQ(run_sql(*database_, "INSERT INTO n(name) VALUES(?)", {std::string("\xff")}).error().id, "db.sql");
}

TEST_F(PostgresDatabaseTest, password_stays_out_of_errors) {
  for (const char* url : {"postgresql://me:s3cret@127.0.0.1:1/d", "postgresql://me:s3cret@no-such-host.invalid/d?connect_timeout=2"}) {
    const auto absent = make_postgres_database({.url = url});
    ASSERT_FALSE(absent.ok());
    EXPECT_EQ(absent.error().category, Category::kUnavailable);
    EXPECT_EQ(absent.error().describe().find("s3cret"), std::string::npos) << absent.error().describe();
  }
}

/// With a server of its own.
TEST(PostgresDatabaseServer, death_of_the_server_loses_no_acknowledged_write) {
  TRAINYARD_SKIP_WITHOUT_SERVERS();
  Result<std::unique_ptr<store::testing::ServerProcess>> server = store::testing::ServerProcess::start_postgres();
  TRAINYARD_REQUIRE_SERVER(server);
  const auto database = make_postgres_database({.url = (*server)->url()}).value();
  ASSERT_TRUE(run_sql(*database, "CREATE TABLE t(x BIGINT PRIMARY KEY)").ok());
  std::atomic<std::int64_t> acknowledged = 0;
  {
    std::jthread writing([&] {
      while (run_sql(*database, "INSERT INTO t(x) VALUES(?)", {acknowledged + 1}).ok()) ++acknowledged;
    });
    while (acknowledged < 50) std::this_thread::yield();
    (*server)->kill();
  }
  EXPECT_FALSE(run_sql(*database, "INSERT INTO t(x) VALUES(?)", {acknowledged + 2}).ok());
  ASSERT_TRUE((*server)->restart().ok());
  const std::int64_t stored = count_of(*database, "t");
  EXPECT_TRUE(stored == acknowledged || stored == acknowledged + 1) << stored << " of " << acknowledged;
  EXPECT_TRUE(run_sql(*database, "INSERT INTO t(x) VALUES(?)", {acknowledged + 2}).ok()) << "it connects again";
}

}  // namespace
}  // namespace trainyard::adapters::postgres
