#include "adapters/postgres/internal/dialect.h"

#include <gtest/gtest.h>

namespace trainyard::adapters::postgres::internal {
namespace {

TEST(Dialect, parameters_are_numbered_and_literals_kept) {
  const Translated translated = translate("SELECT '?', \"a?\", x -- ?\n, /* ? */ ? FROM t WHERE a=? AND b IN (?,?) AND c = 'it''s ?'");
  EXPECT_EQ(translated.sql, "SELECT '?', \"a?\", x -- ?\n, /* ? */ $1 FROM t WHERE a=$2 AND b IN ($3,$4) AND c = 'it''s ?'");
  EXPECT_EQ(translated.parameters, 4u);
}

TEST(Dialect, types_of_definitions_are_translated_and_nothing_else) {
  EXPECT_EQ(translate("CREATE TABLE t(a TEXT NOT NULL DEFAULT 'TEXT', b BLOB, text BIGINT, TEXTS BIGINT)").sql,
            "CREATE TABLE t(a TEXT COLLATE \"C\" NOT NULL DEFAULT 'TEXT', b BYTEA, text BIGINT, TEXTS BIGINT)");
  EXPECT_EQ(translate("  ALTER TABLE t ADD COLUMN c TEXT").sql, "  ALTER TABLE t ADD COLUMN c TEXT COLLATE \"C\"");
  EXPECT_EQ(translate("SELECT CAST(a AS TEXT) FROM t").sql, "SELECT CAST(a AS TEXT) FROM t");
  EXPECT_EQ(translate("").sql, "");
}

TEST(Dialect, literal_that_does_not_end_is_left_to_the_server) {
  EXPECT_EQ(translate("SELECT '?").sql, "SELECT '?");
  EXPECT_EQ(translate("SELECT /* ?").parameters, 0u);
}

}  // namespace
}  // namespace trainyard::adapters::postgres::internal
