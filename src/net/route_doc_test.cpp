#include "net/route_doc.h"

#include <gtest/gtest.h>

#include "net/testing/fake_responder.h"

namespace trainyard::net {
namespace {

class CheckQueryTest : public ::testing::Test {
 protected:
  Result<void> check(std::string_view query) { return check_query(testing::make_request("GET", "/x?" + std::string(query)), doc); }
  void expect_refused(std::string_view query, std::string_view id, std::string_view where, std::string_view part = {}) {
    const Result<void> result = check(query);
    ASSERT_FALSE(result.ok()) << query;
    EXPECT_EQ(result.error().id, id) << query;
    EXPECT_EQ(result.error().where, where) << query;
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
  }

  RouteDoc doc{
      .operation = "getX",
      .parameters = {query_integer("limit", {.min = 1, .max = 1000}, 100, "How many."), query_flag("follow", "Whether to go on."),
                     query_choice("layer", {"raw", "curated"}, "Which."), query_text("filter", "What."), path_text("id", "The name.")}};
};

TEST_F(CheckQueryTest, good_values_pass) {
  for (const char* query : {"", "limit=1", "limit=1000&follow=1", "follow=true", "follow=false", "layer=raw", "filter=", "filter=a%20b"}) {
    EXPECT_TRUE(check(query).ok()) << query;
  }
}

TEST_F(CheckQueryTest, unknown_parameter_is_refused_with_the_nearest_one) {
  expect_refused("limti=5", "query.unknown", "/limti", "did you mean \"limit\"?");
  expect_refused("zzzzzz=5", "query.unknown", "/zzzzzz", "known ones: limit, follow, layer, filter");
  expect_refused("id=5", "query.unknown", "/id", "known ones");
  expect_refused("Limit=5", "query.unknown", "/Limit", "did you mean \"limit\"?");
}

TEST_F(CheckQueryTest, value_of_the_wrong_kind_is_refused_with_what_it_must_be) {
  expect_refused("limit=", "query.number", "/limit", "from 1 to 1000");
  expect_refused("limit=5x", "query.number", "/limit");
  expect_refused("limit=99999999999999999999", "query.number", "/limit");
  expect_refused("limit=0", "query.range", "/limit", "from 1 to 1000");
  expect_refused("limit=1001", "query.range", "/limit");
  expect_refused("follow=yes", "query.choice", "/follow");
  expect_refused("layer=rwa", "query.choice", "/layer", "did you mean \"raw\"?");
}

TEST_F(CheckQueryTest, parameter_that_comes_twice_is_refused_unless_it_may) {
  expect_refused("limit=1&limit=2", "query.repeated", "/limit");
  doc.parameters[0].repeated = true;
  EXPECT_TRUE(check("limit=1&limit=2").ok());
}

TEST_F(CheckQueryTest, required_parameter_is_missed) {
  doc.parameters[3].required = true;
  expect_refused("limit=1", "query.missing", "/filter", "What.");
}

TEST_F(CheckQueryTest, checked_values_are_read_with_a_fallback) {
  const Request request = testing::make_request("GET", "/x?limit=7&follow=true");
  EXPECT_EQ(query_number(request, "limit", 100), 7);
  EXPECT_EQ(query_number(request, "other", 100), 100);
  EXPECT_TRUE(query_is_set(request, "follow"));
  EXPECT_FALSE(query_is_set(request, "other"));
}

}  // namespace
}  // namespace trainyard::net
