#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "store/database.h"

namespace trainyard::store::testing {

/// What every Database does, in the SQL they share. `Harness` is default-constructible and has `Database& database()` and `void reopen()`,
/// which leaves the database as a restarted process finds it. It may have `void start()`, which makes the database, or skips or fails the
/// test.
template <typename Harness>
class DatabaseContract : public ::testing::Test {
 protected:
  using Work = std::function<Result<void>(Connection&)>;

  Database& database() { return harness_.database(); }
  void SetUp() override {
    if constexpr (requires { harness_.start(); }) harness_.start();
    if (this->IsSkipped() || this->HasFatalFailure()) return;
    ASSERT_TRUE(write("CREATE TABLE item(id BIGINT PRIMARY KEY, name TEXT UNIQUE, weight DOUBLE PRECISION, "
                      "parent BIGINT REFERENCES item(id))")
                    .ok());
  }
  Result<void> write(std::string_view sql, const std::vector<SqlValue>& parameters = {}) {
    return database().write([&](Connection& connection) -> Result<void> {
      TRY(connection.execute(sql, parameters));
      return {};
    });
  }
  std::vector<Row> read(std::string_view sql, const std::vector<SqlValue>& parameters = {}) {
    std::vector<Row> rows;
    const Result<void> done = database().read([&](Connection& connection) -> Result<void> {
      ASSIGN_OR_RETURN(rows, connection.query(sql, parameters));
      return {};
    });
    EXPECT_TRUE(done.ok()) << done.error().describe();
    return rows;
  }
  std::int64_t count() { return read("SELECT COUNT(*) FROM item").at(0).integer(0); }
  static std::string id_of(const Result<void>& result) { return result.ok() ? "ok" : result.error().id; }

  Harness harness_;
};

TYPED_TEST_SUITE_P(DatabaseContract);

TYPED_TEST_P(DatabaseContract, values_of_every_kind_come_back_after_a_restart) {
  const std::string text = "'; DROP TABLE item; -- \xc3\xa9 \xf0\x9f\x9a\x82";
  ASSERT_TRUE(this->write("INSERT INTO item(id, name, weight) VALUES(?, ?, ?)", {std::int64_t{9'007'199'254'740'993}, text, 0.1}).ok());
  ASSERT_TRUE(this->write("INSERT INTO item(id, name, weight) VALUES(?, ?, ?)", {std::int64_t{-1}, std::monostate{}, 2.0}).ok());
  this->harness_.reopen();
  const std::vector<Row> rows = this->read("SELECT id, name, weight FROM item ORDER BY id");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].integer(0), -1);
  EXPECT_TRUE(rows[0].is_null(1));
  EXPECT_EQ(rows[0].optional_text(1), std::nullopt);
  EXPECT_EQ(rows[0].real(2), 2.0);
  EXPECT_EQ(rows[1].integer(0), 9'007'199'254'740'993);
  EXPECT_EQ(rows[1].text(1), text);
  EXPECT_EQ(rows[1].real(2), 0.1);
  EXPECT_EQ(rows[1].size(), 3u);
}

TYPED_TEST_P(DatabaseContract, failed_work_is_rolled_back_whole) {
  const Result<void> done = this->database().write([](Connection& connection) -> Result<void> {
    TRY(connection.execute("INSERT INTO item(id) VALUES(1)"));
    TRY(connection.execute("INSERT INTO item(id) VALUES(2)"));
    return failed_precondition("test.stop", "stop here");
  });
  EXPECT_EQ(this->id_of(done), "test.stop");
  EXPECT_EQ(this->count(), 0);
  EXPECT_TRUE(this->write("INSERT INTO item(id) VALUES(1)").ok()) << "the next transaction is clean";
}

TYPED_TEST_P(DatabaseContract, changed_rows_are_counted_and_returned) {
  const Result<void> done = this->database().write([](Connection& connection) -> Result<void> {
    ASSIGN_OR_RETURN(const std::int64_t inserted, connection.execute("INSERT INTO item(id, name) VALUES(1, 'a'), (2, 'b'), (3, 'c')"));
    EXPECT_EQ(inserted, 3);
    ASSIGN_OR_RETURN(const std::int64_t updated, connection.execute("UPDATE item SET weight = ? WHERE id > ?", {1.5, std::int64_t{1}}));
    EXPECT_EQ(updated, 2);
    ASSIGN_OR_RETURN(const std::int64_t none, connection.execute("DELETE FROM item WHERE id = 99"));
    EXPECT_EQ(none, 0);
    ASSIGN_OR_RETURN(const std::vector<Row> rows,
                     connection.query("INSERT INTO item(id, name) VALUES(4, 'a') ON CONFLICT(name) DO UPDATE SET weight = 9 "
                                      "RETURNING id, weight"));
    EXPECT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows.at(0).integer(0), 1);
    EXPECT_EQ(rows.at(0).real(1), 9.0);
    return {};
  });
  EXPECT_EQ(this->id_of(done), "ok");
  EXPECT_EQ(this->count(), 3);
}

TYPED_TEST_P(DatabaseContract, violated_constraint_is_named) {
  ASSERT_TRUE(this->write("INSERT INTO item(id, name) VALUES(1, 'a')").ok());
  const Result<void> same_key = this->write("INSERT INTO item(id) VALUES(1)");
  EXPECT_EQ(this->id_of(same_key), "db.unique");
  EXPECT_EQ(same_key.error().category, Category::kAlreadyExists);
  EXPECT_EQ(this->id_of(this->write("INSERT INTO item(id, name) VALUES(2, 'a')")), "db.unique");
  const Result<void> no_parent = this->write("INSERT INTO item(id, parent) VALUES(2, 77)");
  EXPECT_EQ(this->id_of(no_parent), "db.constraint");
  EXPECT_EQ(no_parent.error().category, Category::kFailedPrecondition);
  EXPECT_EQ(this->count(), 1);
}

TYPED_TEST_P(DatabaseContract, faulty_statement_is_an_internal_error) {
  EXPECT_EQ(this->id_of(this->write("SELEKT 1")), "db.sql");
  EXPECT_EQ(this->id_of(this->write("INSERT INTO nowhere(id) VALUES(1)")), "db.sql");
  EXPECT_EQ(this->id_of(this->write("INSERT INTO item(id) VALUES(?)")), "db.sql") << "too few parameters";
  EXPECT_EQ(this->id_of(this->write("INSERT INTO item(id) VALUES(1)", {std::int64_t{1}})), "db.sql") << "too many parameters";
  EXPECT_TRUE(this->write("INSERT INTO item(id) VALUES(1)").ok());
}

TYPED_TEST_P(DatabaseContract, statement_is_reused_with_new_parameters) {
  const Result<void> done = this->database().write([](Connection& connection) -> Result<void> {
    for (std::int64_t id = 1; id <= 500; ++id) {
      TRY(connection.execute("INSERT INTO item(id, name) VALUES(?, ?)", {id, "n" + std::to_string(id)}));
    }
    return {};
  });
  EXPECT_EQ(this->id_of(done), "ok");
  EXPECT_EQ(this->count(), 500);
  EXPECT_EQ(this->read("SELECT name FROM item WHERE id = ?", {std::int64_t{77}}).at(0).text(0), "n77");
}

TYPED_TEST_P(DatabaseContract, concurrent_writes_are_serialised) {
  ASSERT_TRUE(this->write("INSERT INTO item(id, parent) VALUES(0, NULL)").ok());
  ASSERT_TRUE(this->write("UPDATE item SET weight = 0").ok());
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < 4; ++i) {
      writers.emplace_back([this] {
        for (int k = 0; k < 10; ++k) {
          const Result<void> done = this->database().write([](Connection& connection) -> Result<void> {
            ASSIGN_OR_RETURN(const std::vector<Row> rows, connection.query("SELECT weight FROM item WHERE id = 0"));
            TRY(connection.execute("UPDATE item SET weight = ? WHERE id = 0", {rows.at(0).real(0) + 1}));
            return {};
          });
          EXPECT_TRUE(done.ok()) << done.error().describe();
        }
      });
    }
  }
  EXPECT_EQ(this->read("SELECT weight FROM item").at(0).real(0), 40.0);
}

TYPED_TEST_P(DatabaseContract, read_sees_one_snapshot_while_others_write) {
  const Result<void> done = this->database().read([this](Connection& connection) -> Result<void> {
    ASSIGN_OR_RETURN(const std::vector<Row> before, connection.query("SELECT COUNT(*) FROM item"));
    TRY(this->write("INSERT INTO item(id) VALUES(1)"));
    ASSIGN_OR_RETURN(const std::vector<Row> after, connection.query("SELECT COUNT(*) FROM item"));
    EXPECT_EQ(before.at(0).integer(0), after.at(0).integer(0));
    return {};
  });
  EXPECT_EQ(this->id_of(done), "ok");
  EXPECT_EQ(this->count(), 1);
}

TYPED_TEST_P(DatabaseContract, write_inside_a_read_is_refused) {
  const Result<void> done = this->database().read([](Connection& connection) -> Result<void> {
    TRY(connection.execute("INSERT INTO item(id) VALUES(1)"));
    return {};
  });
  EXPECT_EQ(this->id_of(done), "db.sql");
  EXPECT_EQ(this->count(), 0);
}

TYPED_TEST_P(DatabaseContract, migrations_run_once_in_order_and_per_component) {
  const std::vector<Migration> first{{1, "CREATE TABLE a(x BIGINT);\nINSERT INTO a(x) VALUES(1);\n"}};
  const std::vector<Migration> both{first[0], {2, "ALTER TABLE a ADD COLUMN y BIGINT;\nUPDATE a SET y = x + 1;"}};
  ASSERT_TRUE(migrate(this->database(), "one", first).ok());
  ASSERT_TRUE(migrate(this->database(), "one", first).ok());
  ASSERT_TRUE(migrate(this->database(), "one", both).ok());
  ASSERT_TRUE(migrate(this->database(), "two", {{1, "CREATE TABLE b(x BIGINT)"}}).ok());
  this->harness_.reopen();
  ASSERT_TRUE(migrate(this->database(), "one", both).ok());
  const std::vector<Row> rows = this->read("SELECT x, y FROM a");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].integer(1), 2);
  EXPECT_EQ(this->read("SELECT number FROM schema_migrations").size(), 3u);
}

TYPED_TEST_P(DatabaseContract, failed_migration_leaves_the_steps_before_it) {
  const Result<void> done = migrate(this->database(), "one", {{1, "CREATE TABLE a(x BIGINT)"}, {2, "CREATE TABLE c(x BIGINT);\nBROKEN"}});
  EXPECT_EQ(this->id_of(done), "db.sql");
  EXPECT_EQ(this->read("SELECT x FROM a").size(), 0u);
  ASSERT_TRUE(migrate(this->database(), "one", {{1, "CREATE TABLE a(x BIGINT)"}, {2, "CREATE TABLE c(x BIGINT)"}}).ok());
}

TYPED_TEST_P(DatabaseContract, database_of_a_newer_version_is_refused) {
  ASSERT_TRUE(migrate(this->database(), "one", {{1, "CREATE TABLE a(x BIGINT)"}, {2, "CREATE TABLE c(x BIGINT)"}}).ok());
  const Result<void> older = migrate(this->database(), "one", {{1, "CREATE TABLE a(x BIGINT)"}});
  EXPECT_EQ(this->id_of(older), "db.schema_newer");
}

TYPED_TEST_P(DatabaseContract, failed_statement_ends_its_transaction) {
  ASSERT_TRUE(this->write("INSERT INTO item(id) VALUES(1)").ok());
  const Result<void> done = this->database().write([](Connection& connection) -> Result<void> {
    TRY(connection.execute("INSERT INTO item(id) VALUES(2)"));
    EXPECT_FALSE(connection.execute("INSERT INTO item(id) VALUES(1)").ok());
    EXPECT_FALSE(connection.query("SELECT 1").ok());
    return {};  // The work does not notice.
  });
  EXPECT_EQ(this->id_of(done), "db.unique");
  EXPECT_EQ(this->count(), 1);
  EXPECT_TRUE(this->write("INSERT INTO item(id) VALUES(2)").ok()) << "the next transaction is clean";
}

TYPED_TEST_P(DatabaseContract, texts_are_in_the_order_of_their_bytes) {
  const std::vector<std::string> names{"A", "Z", "a", "a b", "aa", "a\xcc\x88", "b", "z", "\xc3\x84", "\xc3\xa9"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    ASSERT_TRUE(this->write("INSERT INTO item(id, name) VALUES(?, ?)", {static_cast<std::int64_t>(100 - i), names[i]}).ok());
  }
  ASSERT_TRUE(migrate(this->database(), "one", {{1, "ALTER TABLE item ADD COLUMN later TEXT;\nUPDATE item SET later = name"}}).ok());
  for (const char* column : {"name", "later"}) {
    std::vector<std::string> found;
    for (const Row& row : this->read(std::string("SELECT ") + column + " FROM item ORDER BY " + column)) found.push_back(row.text(0));
    std::vector<std::string> sorted = names;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(found, sorted) << column;
  }
  EXPECT_EQ(this->read("SELECT COUNT(*) FROM item WHERE name >= ? AND name < ?", {std::string("a"), std::string("b")}).at(0).integer(0), 4);
}

TYPED_TEST_P(DatabaseContract, blobs_of_any_bytes_come_back) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  ASSERT_TRUE(this->write("CREATE TABLE chunk(id BIGINT PRIMARY KEY, content BLOB NOT NULL)").ok());
  ASSERT_TRUE(this->write("INSERT INTO chunk(id, content) VALUES(1, ?)", {bytes + bytes}).ok());
  ASSERT_TRUE(this->write("INSERT INTO chunk(id, content) VALUES(2, ?)", {std::string()}).ok());
  this->harness_.reopen();
  const std::vector<Row> rows = this->read("SELECT content FROM chunk ORDER BY id");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].text(0), bytes + bytes);
  EXPECT_EQ(rows[1].text(0), "");
  EXPECT_EQ(this->read("SELECT id FROM chunk WHERE content = ?", {bytes + bytes}).size(), 1u);
}

TYPED_TEST_P(DatabaseContract, numbers_that_are_computed_keep_their_kind) {
  ASSERT_TRUE(this->write("INSERT INTO item(id, weight) VALUES(1, 0.5), (2, 1.5), (9000000000, NULL)").ok());
  const std::vector<Row> rows = this->read(
      "SELECT SUM(id), COUNT(weight), SUM(weight), AVG(weight), MAX(id) + 1, COALESCE(MIN(weight), 0) "
      "FROM item");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].integer(0), 9'000'000'003);
  EXPECT_EQ(rows[0].integer(1), 2);
  EXPECT_EQ(rows[0].real(2), 2.0);
  EXPECT_EQ(rows[0].real(3), 1.0);
  EXPECT_EQ(rows[0].integer(4), 9'000'000'001);
  EXPECT_EQ(rows[0].real(5), 0.5);
  for (const double extreme : {0.1, 1e300, -5e-324, 123456789.123456789}) {
    ASSERT_TRUE(this->write("UPDATE item SET weight = ? WHERE id = ?", {extreme, std::int64_t{1}}).ok());
    EXPECT_EQ(this->read("SELECT weight FROM item WHERE weight = ?", {extreme}).at(0).real(0), extreme);
  }
}

TYPED_TEST_P(DatabaseContract, parameters_stand_wherever_values_do) {
  ASSERT_TRUE(this->write("INSERT INTO item(id, name) VALUES(1, 'a'), (2, 'b'), (3, 'c'), (4, NULL)").ok());
  EXPECT_EQ(
      this->read("SELECT id FROM item WHERE name IN (?, ?) ORDER BY id LIMIT ?", {std::string("a"), std::string("c"), std::int64_t{1}})
          .size(),
      1u);
  EXPECT_EQ(this->read("SELECT id FROM item WHERE lower(name) LIKE ? ESCAPE '!'", {std::string("%b%")}).size(), 1u);
  EXPECT_EQ(this->read("SELECT '?' FROM item WHERE id = ? -- ?", {std::int64_t{2}}).at(0).text(0), "?");
  EXPECT_EQ(
      this->read("SELECT id FROM item WHERE (id, COALESCE(name, '')) > (?, ?) ORDER BY id", {std::int64_t{2}, std::string("b")}).size(),
      2u);
}

TYPED_TEST_P(DatabaseContract, two_that_migrate_at_once_apply_each_step_once) {
  const std::vector<Migration> steps{{1, "CREATE TABLE a(x BIGINT);\nINSERT INTO a(x) VALUES(1)"}, {2, "INSERT INTO a(x) VALUES(2)"}};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        const Result<void> done = migrate(this->database(), "one", steps);
        EXPECT_TRUE(done.ok()) << done.error().describe();
      });
    }
  }
  EXPECT_EQ(this->read("SELECT x FROM a").size(), 2u);
}

REGISTER_TYPED_TEST_SUITE_P(DatabaseContract, values_of_every_kind_come_back_after_a_restart, failed_work_is_rolled_back_whole,
                            changed_rows_are_counted_and_returned, violated_constraint_is_named, faulty_statement_is_an_internal_error,
                            statement_is_reused_with_new_parameters, concurrent_writes_are_serialised,
                            read_sees_one_snapshot_while_others_write, write_inside_a_read_is_refused,
                            migrations_run_once_in_order_and_per_component, failed_migration_leaves_the_steps_before_it,
                            database_of_a_newer_version_is_refused, failed_statement_ends_its_transaction,
                            texts_are_in_the_order_of_their_bytes, blobs_of_any_bytes_come_back, numbers_that_are_computed_keep_their_kind,
                            parameters_stand_wherever_values_do, two_that_migrate_at_once_apply_each_step_once);

}  // namespace trainyard::store::testing
