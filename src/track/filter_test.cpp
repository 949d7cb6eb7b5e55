#include "track/filter.h"

#include <gtest/gtest.h>

namespace trainyard::track {
namespace {

FilterClause one(std::string_view text) {
  const auto clauses = parse_filter(text);
  EXPECT_TRUE(clauses.ok()) << text << ": " << (clauses.ok() ? "" : clauses.error().message);
  EXPECT_TRUE(!clauses.ok() || clauses->size() == 1u) << text;
  return clauses.ok() && !clauses->empty() ? clauses->front() : FilterClause{};
}

TEST(Filter, identifiers_have_a_type_and_a_key) {
  EXPECT_EQ(one("metrics.loss < 0.5").type, "metric");
  EXPECT_EQ(one("metric.a.b < 1").key, "a.b");
  EXPECT_EQ(one("params.`my key` = 'x'").key, "my key");
  EXPECT_EQ(one("tags.\"my key\" = 'x'").type, "tag");
  EXPECT_EQ(one("tag.`mlflow.prompt.is_prompt` != 'true'").key, "mlflow.prompt.is_prompt");
  EXPECT_EQ(one("attributes.status = 'RUNNING'").key, "status");
  EXPECT_EQ(one("run_id IN ('a', 'b')").type, "attribute");
  EXPECT_EQ(one("metrics.train/loss-1 >= -1e-3").key, "train/loss-1");
}

TEST(Filter, comparisons_are_read_in_any_case) {
  EXPECT_EQ(one("name LIKE 'a%'").comparison, Comparison::kLike);
  EXPECT_EQ(one("name ilike 'a%'").comparison, Comparison::kIlike);
  EXPECT_EQ(one("name not in ('a')").comparison, Comparison::kNotIn);
  EXPECT_EQ(one("params.x IS NULL").comparison, Comparison::kIsNull);
  EXPECT_EQ(one("params.x is not null").comparison, Comparison::kIsNotNull);
  EXPECT_EQ(one("metrics.x!=1").comparison, Comparison::kNotEqual);
  EXPECT_EQ(parse_filter("a = 'x' and b = 'y AND z' AND metrics.c > 1")->size(), 3u);
  EXPECT_TRUE(parse_filter("  ")->empty());
}

TEST(Filter, malformed_filters_are_refused_with_their_clause) {
  for (const char* text : {"a = 'x' OR b = 'y'", "a =", "= 'x'", "a 'x'", "a = 'x", "a IN 'x'", "a IN ('x'", "a NOT 'x'", "a IS 'x'",
                           "a = 'x' b = 'y'", "metrics.a > loss", "(a = 'x')"}) {
    const auto clauses = parse_filter(text);
    ASSERT_FALSE(clauses.ok()) << text;
    EXPECT_TRUE(clauses.error().message.starts_with("Invalid clause(s) in filter string: '")) << clauses.error().message;
  }
  EXPECT_EQ(parse_filter("a = 'x' OR b = 'y'").error().message, "Invalid clause(s) in filter string: 'OR'");
}

TEST(Filter, texts_and_absent_values_match) {
  const auto matches = [](std::string_view filter, std::optional<std::string> value) { return text_matches(one(filter), value).value(); };
  EXPECT_TRUE(matches("params.x = 'a'", "a"));
  EXPECT_FALSE(matches("params.x != 'a'", std::nullopt));
  EXPECT_TRUE(matches("params.x IS NULL", std::nullopt));
  EXPECT_TRUE(matches("params.x LIKE 'a_c%'", "abcdef"));
  EXPECT_FALSE(matches("params.x LIKE 'A%'", "abc"));
  EXPECT_TRUE(matches("params.x ILIKE 'A%C'", "abc"));
  EXPECT_TRUE(matches("params.x IN ('a', 'b')", "b"));
  EXPECT_FALSE(matches("params.x NOT IN ('a', 'b')", "b"));
  EXPECT_FALSE(text_matches(one("params.x > 'a'"), "b").ok());
  EXPECT_FALSE(text_matches(one("params.x = 1"), "1").ok());
}

TEST(Filter, numbers_match) {
  EXPECT_TRUE(number_matches(one("metrics.x >= 0.5"), 0.5).value());
  EXPECT_FALSE(number_matches(one("metrics.x < 0.5"), std::nullopt).value());
  EXPECT_FALSE(number_matches(one("metrics.x = '1'"), 1).ok());
  EXPECT_FALSE(number_matches(one("metrics.x LIKE 'a'"), 1).ok());
}

TEST(OrderBy, direction_is_optional_and_fields_are_unique) {
  const auto orders = parse_order_by({"metrics.`my loss` DESC", "start_time", "params.x ASC"});
  ASSERT_TRUE(orders.ok());
  EXPECT_EQ(orders->at(0).key, "my loss");
  EXPECT_FALSE(orders->at(0).ascending);
  EXPECT_TRUE(orders->at(1).ascending);
  EXPECT_EQ(parse_order_by({"a UP"}).error().message, "Invalid ordering key in order_by clause 'a UP'");
  EXPECT_EQ(parse_order_by({"a", "a DESC"}).error().message, "`order_by` contains duplicate fields: ['a', 'a DESC']");
}

}  // namespace
}  // namespace trainyard::track
