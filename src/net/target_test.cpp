#include "net/target.h"

#include <gtest/gtest.h>

namespace trainyard::net {
namespace {

TEST(ParseTarget, path_and_query_are_decoded_once) {
  const Target target = parse_target("/a%20b/c%2Fd?x=1+2&y=%2B&x=3&flag&=v").value();
  EXPECT_EQ(target.path, "/a b/c/d");
  EXPECT_EQ(target.query.count("x"), 2u);
  EXPECT_EQ(target.query.find("x")->second, "1 2");
  EXPECT_EQ(target.query.find("y")->second, "+");
  EXPECT_EQ(target.query.find("flag")->second, "");
  EXPECT_EQ(parse_target("/%2525").value().path, "/%25");
}

TEST(ParseTarget, traversal_and_control_characters_are_refused_however_they_are_written) {
  for (const char* text : {"/..", "/a/../b", "/a/%2e%2e/b", "/a%2f..%2fb", "/.", "/a/./b", "/%2e", "/a%00b", "/a%0ab", "/a%7f", "", "a",
                           "*", "http://x/", "?x=1"}) {
    const Result<Target> target = parse_target(text);
    ASSERT_FALSE(target.ok()) << text;
    EXPECT_EQ(target.error().id, "http.path") << text;
  }
}

TEST(ParseTarget, names_that_only_contain_dots_inside_stay) {
  EXPECT_EQ(parse_target("/a..b/...").value().path, "/a..b/...");
  EXPECT_EQ(parse_target("//a//").value().path, "//a//");
}

TEST(ParseTarget, broken_query_escape_is_refused) { EXPECT_EQ(parse_target("/a?x=%").error().id, "http.encoding"); }

}  // namespace
}  // namespace trainyard::net
