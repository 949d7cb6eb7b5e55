#include "store/database.h"

#include <gtest/gtest.h>

namespace trainyard::store {
namespace {

TEST(Row, value_is_read_as_what_it_is) {
  const Row row({std::int64_t{7}, 0.5, std::string("text"), std::monostate{}});
  EXPECT_EQ(row.size(), 4u);
  EXPECT_EQ(row.integer(0), 7);
  EXPECT_EQ(row.real(0), 7.0);
  EXPECT_EQ(row.real(1), 0.5);
  EXPECT_EQ(row.text(2), "text");
  EXPECT_TRUE(row.is_null(3));
  EXPECT_EQ(row.optional_text(2), "text");
  EXPECT_EQ(row.optional_integer(0), 7);
  EXPECT_EQ(row.optional_text(3), std::nullopt);
  EXPECT_EQ(row.optional_integer(3), std::nullopt);
}

TEST(RowDeathTest, column_of_another_kind_or_out_of_range_is_a_bug) {
  const Row row({std::int64_t{7}});
  EXPECT_DEATH((void)row.text(0), "reader reads");
  EXPECT_DEATH((void)row.integer(1), "fewer columns");
}

}  // namespace
}  // namespace trainyard::store
