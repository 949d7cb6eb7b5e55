#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace trainyard {
namespace {

Result<int> half_of(int number) {
  if (number % 2 != 0) return invalid_argument("test.odd", "the number is odd");
  return number / 2;
}

Result<int> quarter_of(int number) {
  ASSIGN_OR_RETURN(const int half, half_of(number));
  ASSIGN_OR_RETURN(const int quarter, half_of(half));
  return quarter;
}

Result<void> even_only(int number, int& reached) {
  TRY(half_of(number));
  ++reached;
  return {};
}

Result<std::unique_ptr<int>> boxed(int number) { return std::make_unique<int>(number); }

TEST(Result, value_is_read_by_copy_reference_and_move) {
  Result<std::vector<int>> result = std::vector<int>{1, 2, 3};
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(static_cast<bool>(result));
  EXPECT_EQ(result->size(), 3u);
  result.value().push_back(4);
  EXPECT_EQ((*result).back(), 4);
  const std::vector<int> moved = std::move(result).value();
  EXPECT_EQ(moved.size(), 4u);
}

TEST(Result, error_is_kept_with_its_category_and_id) {
  const Result<int> result = half_of(3);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().category, Category::kInvalidArgument);
  EXPECT_EQ(result.error().id, "test.odd");
}

TEST(Result, value_or_gives_the_fallback_only_for_an_error) {
  EXPECT_EQ(half_of(8).value_or(-1), 4);
  EXPECT_EQ(half_of(7).value_or(-1), -1);
}

TEST(Result, assign_or_return_passes_the_first_error_on) {
  EXPECT_EQ(quarter_of(12).value(), 3);
  EXPECT_EQ(quarter_of(6).error().id, "test.odd");
  EXPECT_EQ(quarter_of(5).error().id, "test.odd");
}

TEST(Result, assign_or_return_moves_what_cannot_be_copied) {
  const auto unbox = []() -> Result<int> {
    ASSIGN_OR_RETURN(const std::unique_ptr<int> box, boxed(5));
    return *box;
  };
  EXPECT_EQ(unbox().value(), 5);
}

TEST(Result, try_of_an_error_leaves_the_function) {
  int reached = 0;
  EXPECT_TRUE(even_only(2, reached).ok());
  EXPECT_EQ(reached, 1);
  EXPECT_FALSE(even_only(3, reached).ok());
  EXPECT_EQ(reached, 1);
}

TEST(ResultDeathTest, value_of_an_error_aborts_and_names_the_error) {
  EXPECT_DEATH((void)half_of(3).value(), "test.odd: the number is odd");
  const Result<void> failed = not_found("test.gone", "it is gone");
  EXPECT_DEATH(failed.value(), "test.gone");
}

TEST(ResultDeathTest, error_of_a_value_aborts) {
  EXPECT_DEATH((void)half_of(2).error(), "holds a value");
  const Result<void> fine;
  EXPECT_DEATH((void)fine.error(), "succeeded");
}

}  // namespace
}  // namespace trainyard
