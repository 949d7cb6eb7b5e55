#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/document.h"
#include "base/testing/random_document.h"

namespace trainyard {
namespace {

std::string nested_lists(std::size_t depth, const std::string& inside) {
  return std::string(depth, '[') + inside + std::string(depth, ']');
}

TEST(JsonParser, values_keep_their_kinds) {
  const Document document = parse_json(R"({"a":null,"b":true,"c":-1,"d":1.0,"e":"x","f":[],"g":{}})").value();
  std::vector<Document::Kind> kinds;
  for (const auto& [key, value] : document.members()) kinds.push_back(value.kind());
  using Kind = Document::Kind;
  EXPECT_EQ(kinds, (std::vector<Kind>{Kind::kNull, Kind::kBool, Kind::kInt, Kind::kDouble, Kind::kString, Kind::kArray, Kind::kObject}));
}

TEST(JsonParser, integers_keep_all_64_bits) {
  EXPECT_EQ(parse_json("9007199254740993").value().as_int().value(), 9007199254740993);
  EXPECT_EQ(parse_json("-9223372036854775808").value().as_int().value(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(parse_json("9223372036854775807").value().as_int().value(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(parse_json("18446744073709551615").value().as_unsigned().value(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(parse_json("18446744073709551616").value().kind(), Document::Kind::kDouble);
}

TEST(JsonParser, nodes_know_their_pointer) {
  const Document document = parse_json(R"({"a/b":{"c~d":[10,{"e":1}]}})").value();
  EXPECT_EQ(document.where(), "");
  EXPECT_EQ(document["a/b"].where(), "/a~1b");
  EXPECT_EQ(document["a/b"]["c~d"].where(), "/a~1b/c~0d");
  EXPECT_EQ(document["a/b"]["c~d"].items()[0].where(), "/a~1b/c~0d/0");
  EXPECT_EQ(document["a/b"]["c~d"].items()[1]["e"].where(), "/a~1b/c~0d/1/e");
}

TEST(JsonParser, escapes_and_surrogate_pairs_become_utf8) {
  EXPECT_EQ(parse_json(R"("\u00e9\ud83d\ude00\n\/\u0000x")").value().as_string().value(),
            std::string("\xC3\xA9\xF0\x9F\x98\x80\n/\0x", 10));
}

TEST(JsonParser, malformed_text_is_refused_with_line_and_column) {
  struct Case {
    std::string text;
    std::string where;
  };
  for (const Case& c :
       {Case{"", "line 1, column 1"}, Case{"{\"a\": }", "line 1, column 7"}, Case{"{\n  \"a\": 1,\n  x\n}", "line 3, column 3"},
        Case{"[1,]", "line 1, column 4"}, Case{"{\"a\":1} x", "line 1, column 9"}, Case{"[1\n2]", "line 2, column 1"}}) {
    const Result<Document> result = parse_json(c.text);
    ASSERT_FALSE(result.ok()) << c.text;
    EXPECT_EQ(result.error().id, "json.malformed") << c.text;
    EXPECT_EQ(result.error().where, c.where) << c.text << ": " << result.error().message;
  }
}

TEST(JsonParser, everything_outside_rfc_8259_is_refused) {
  for (const char* text : {"nul",
                           "NaN",
                           "Infinity",
                           "+1",
                           "01",
                           "1.",
                           ".5",
                           "'a'",
                           "{a:1}",
                           "[1 2]",
                           "// c\n1",
                           "\"a\nb\"",
                           "\"\\x41\"",
                           "\"\\ud83d\"",
                           "\"\\ude00\"",
                           "\"\xFF\"",
                           "\"\xC0\x80\"",
                           "\"\xED\xA0\x80\"",
                           "\"unterminated",
                           "[",
                           "{\"a\"",
                           "1e999",
                           "\"\t\"",
                           "{}{}"}) {
    const Result<Document> result = parse_json(text);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_EQ(result.error().id, "json.malformed") << text;
    EXPECT_EQ(result.error().category, Category::kInvalidArgument) << text;
  }
}

TEST(JsonParser, message_of_a_syntax_error_says_what_was_found_and_expected) {
  for (const char* text : {R"({"a": x})", R"({"note": "see this: and that more words" "b"})", "1e999", "\"\xFF\""}) {
    const Error error = parse_json(text).error();
    EXPECT_EQ(error.message.find("json.exception"), std::string::npos) << error.message;
    EXPECT_TRUE(error.message.rfind("syntax error", 0) == 0 || error.message.rfind("number overflow", 0) == 0) << error.message;
  }
}

TEST(JsonParser, duplicate_key_is_refused_where_it_stands) {
  const Error error = parse_json(R"({"a":{"k":1,"k":2}})").error();
  EXPECT_EQ(error.id, "document.duplicate_key");
  EXPECT_EQ(error.where, "/a/k");
  EXPECT_TRUE(parse_json(R"({"a":{"k":1},"b":{"k":2}})").ok());
}

TEST(JsonParser, depth_is_bounded_exactly) {
  EXPECT_TRUE(parse_json(nested_lists(64, "1")).ok());
  const Error error = parse_json(nested_lists(65, "1")).error();
  EXPECT_EQ(error.id, "document.too_deep");
  EXPECT_EQ(parse_json(nested_lists(100'000, "")).error().id, "document.too_deep");
  EXPECT_TRUE(parse_json(nested_lists(3, ""), {.depth_max = 3}).ok());
  EXPECT_FALSE(parse_json(nested_lists(4, ""), {.depth_max = 3}).ok());
}

TEST(JsonParser, number_of_values_is_bounded_exactly) {
  EXPECT_TRUE(parse_json("[1,2,3]", {.nodes_max = 4}).ok());
  EXPECT_EQ(parse_json("[1,2,3,4]", {.nodes_max = 4}).error().id, "document.too_large");
}

TEST(JsonWriter, compact_form_is_stable) {
  const std::string text = R"({"a":[1,-2,18446744073709551615,0.5,1.0],"b":{"c":null,"d":true},"e":"x"})";
  EXPECT_EQ(to_json(parse_json(text).value()), text);
  EXPECT_EQ(to_json(Document::array()), "[]");
  EXPECT_EQ(to_json(Document::object()), "{}");
}

TEST(JsonWriter, control_characters_quotes_and_backslashes_are_escaped) {
  EXPECT_EQ(to_json(Document(std::string("\"\\\n\r\t\0\x1F\x7F/", 9))), "\"\\\"\\\\\\n\\r\\t\\u0000\\u001f\\u007f/\"");
}

TEST(JsonWriter, invalid_utf8_becomes_the_replacement_character) {
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(to_json(Document("a\xFFz")), "\"a" + replacement + "z\"");
  EXPECT_EQ(to_json(Document("\xE2\x82")), "\"" + replacement + replacement + "\"");
  EXPECT_EQ(to_json(Document("\xC0\x80")), "\"" + replacement + replacement + "\"");
  EXPECT_EQ(to_json(Document("\xED\xA0\x80")), "\"" + replacement + replacement + replacement + "\"");
  EXPECT_EQ(to_json(Document("\xF4\x90\x80\x80")).size(), 2 + 4 * replacement.size());
  EXPECT_EQ(to_json(Document("\xF0\x9F\x98\x80\xC3\xA9")), "\"\xF0\x9F\x98\x80\xC3\xA9\"");
}

TEST(JsonWriter, special_doubles_become_strings_that_read_back_as_doubles) {
  for (const double value : {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(parse_json(to_json(Document(value))).value().as_double().value(), value);
  }
  EXPECT_EQ(to_json(Document(std::nan(""))), "\"NaN\"");
}

TEST(JsonWriter, pretty_form_indents_by_two_and_keeps_empty_containers_on_one_line) {
  EXPECT_EQ(to_pretty_json(parse_json(R"({"a":[1,{"b":2}],"c":[],"d":{}})").value()),
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ],\n  \"c\": [],\n  \"d\": {}\n}");
}

TEST(Json, random_documents_read_back_equal) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SeededRng rng(seed);
    const Document document = testing::RandomDocument(rng).draw(5);
    const Result<Document> compact = parse_json(to_json(document));
    ASSERT_TRUE(compact.ok()) << "seed " << seed << ": " << compact.error().describe();
    ASSERT_EQ(*compact, document) << "seed " << seed << ": " << to_json(document);
    ASSERT_EQ(parse_json(to_pretty_json(document)).value(), document) << "seed " << seed;
  }
}

TEST(Json, random_bytes_never_do_more_than_fail) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SeededRng rng(seed);
    std::string text = to_json(testing::RandomDocument(rng).draw(4));
    for (int i = 0; i < 3 && !text.empty(); ++i) text[rng.below(text.size())] = static_cast<char>(rng.below(256));
    const Result<Document> result = parse_json(text);
    if (!result.ok()) continue;
    EXPECT_EQ(parse_json(to_json(*result)).value(), *result) << "seed " << seed;
  }
}

}  // namespace
}  // namespace trainyard
