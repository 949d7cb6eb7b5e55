#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "base/document.h"
#include "base/testing/random_document.h"

namespace trainyard {
namespace {

Document yaml(const std::string& text) {
  Result<Document> document = parse_yaml(text, "job.yaml");
  EXPECT_TRUE(document.ok()) << text << ": " << document.error().describe();
  return document.ok() ? *document : Document();
}

Error yaml_error(const std::string& text) {
  const Result<Document> document = parse_yaml(text, "job.yaml");
  EXPECT_FALSE(document.ok()) << text;
  return document.ok() ? Error() : document.error();
}

TEST(YamlParser, core_schema_scalars_resolve) {
  for (const char* text : {"null", "Null", "NULL", "~", ""}) EXPECT_TRUE(yaml(text).is_null()) << text;
  for (const char* text : {"true", "True", "TRUE"}) EXPECT_EQ(yaml(text), Document(true)) << text;
  for (const char* text : {"false", "False", "FALSE"}) EXPECT_EQ(yaml(text), Document(false)) << text;
  EXPECT_EQ(yaml("12"), Document(12));
  EXPECT_EQ(yaml("+12"), Document(12));
  EXPECT_EQ(yaml("-12"), Document(-12));
  EXPECT_EQ(yaml("0012"), Document(12));
  EXPECT_EQ(yaml("0x1F"), Document(31));
  EXPECT_EQ(yaml("0o17"), Document(15));
  EXPECT_EQ(yaml("18446744073709551615"), Document(std::numeric_limits<std::uint64_t>::max()));
  EXPECT_EQ(yaml("1.5"), Document(1.5));
  EXPECT_EQ(yaml("1."), Document(1.0));
  EXPECT_EQ(yaml("-.5e1"), Document(-5.0));
  EXPECT_EQ(yaml("1e3"), Document(1000.0));
  for (const char* text : {".inf", "+.inf", ".Inf", ".INF"})
    EXPECT_EQ(yaml(text), Document(std::numeric_limits<double>::infinity())) << text;
  for (const char* text : {"-.inf", "-.Inf", "-.INF"}) EXPECT_EQ(yaml(text), Document(-std::numeric_limits<double>::infinity())) << text;
  for (const char* text : {".nan", ".NaN", ".NAN"}) EXPECT_TRUE(std::isnan(yaml(text).as_double().value())) << text;
}

TEST(YamlParser, everything_else_is_a_string) {
  for (const char* text :
       {"yes", "no",    "on",    "off", "y",  "n",    "nUll", "tRUE", "-inf", "inf",   "nan",        "-nan", "+-5",
        "--5", "1_000", "12:30", "1e",  "0x", "0xZZ", "0o8",  "+",    ".",    "1.2.3", "2026-01-02", "1e5x", "Infinity"}) {
    EXPECT_EQ(yaml(text), Document(text)) << text;
  }
  EXPECT_EQ(yaml("'12'"), Document("12"));
  EXPECT_EQ(yaml("\"true\""), Document("true"));
  EXPECT_EQ(yaml("''"), Document(""));
}

TEST(YamlParser, block_document_reads_as_a_tree) {
  const Document document = yaml("kind: command\ncommand: [echo, hello]\nenv:\n  A: 1\n  B: 'x'\nlist:\n- 1\n- k: v\n");
  EXPECT_EQ(to_json(document), R"({"kind":"command","command":["echo","hello"],"env":{"A":1,"B":"x"},"list":[1,{"k":"v"}]})");
}

TEST(YamlParser, members_know_the_place_of_their_key_and_items_their_own) {
  const Document document = yaml("a: 1\nb:\n  c: [10,\n      20]\n  d:\n  - x\n");
  EXPECT_EQ(document["a"].where(), "job.yaml:1:1");
  EXPECT_EQ(document["b"].where(), "job.yaml:2:1");
  EXPECT_EQ(document["b"]["c"].where(), "job.yaml:3:3");
  EXPECT_EQ(document["b"]["c"].items()[1].where(), "job.yaml:4:7");
  EXPECT_EQ(document["b"]["d"].items()[0].where(), "job.yaml:6:5");
}

TEST(YamlParser, malformed_text_is_refused_with_its_place) {
  const Error error = yaml_error("a: 1\nb: [1, 2\nc: 3\n");
  EXPECT_EQ(error.id, "yaml.malformed");
  EXPECT_EQ(error.category, Category::kInvalidArgument);
  EXPECT_EQ(error.where.rfind("job.yaml:", 0), 0u) << error.where;
  EXPECT_EQ(yaml_error("a: b: c\n").id, "yaml.malformed");
  EXPECT_EQ(yaml_error("\t- x").id, "yaml.malformed");
  EXPECT_EQ(yaml_error("a: *unknown").id, "yaml.malformed");
  EXPECT_EQ(yaml_error("\"open").id, "yaml.malformed");
}

TEST(YamlParser, duplicate_key_is_refused_where_it_stands) {
  const Error error = yaml_error("a: 1\nb: 2\na: 3\n");
  EXPECT_EQ(error.id, "document.duplicate_key");
  EXPECT_EQ(error.where, "job.yaml:3:1");
  EXPECT_EQ(yaml_error("{a: 1, \"a\": 2}").id, "document.duplicate_key");
}

TEST(YamlParser, malformed_text_is_refused_with_what_to_do) {
  const auto advised = [](const char* text, const char* advice) {
    const Error error = yaml_error(text);
    return error.message.find(advice) != std::string::npos ? std::string() : error.message;
  };
  EXPECT_EQ(advised("a: b: c\n", "into quotes"), "");
  EXPECT_EQ(advised("a:\n\tb: 1\n", "not with tabs"), "");
  EXPECT_EQ(advised("a:\n    b: 1\n  c: 1\n", "indent it like"), "");
  EXPECT_EQ(advised("a: [1, 2\nb: 1\n", "close the bracket"), "");
  EXPECT_EQ(advised("a: *unknown\n", "&NAME"), "");
  EXPECT_EQ(advised("a: 1\nb: 2\na: 3\n", "first in line 1; remove one"), "");
}

TEST(YamlParser, text_that_is_not_utf_8_is_refused_with_its_place) {
  EXPECT_EQ(yaml_error("a: 1\nb: Gr\xf6\xdf\n").id, "yaml.encoding");
  EXPECT_EQ(yaml_error("a: 1\nb: Gr\xf6\xdf\n").where, "job.yaml:2:6");
  EXPECT_EQ(yaml_error("\xff\xfe"
                       "a")
                .id,
            "yaml.encoding");
  for (const char* text : {"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5", "\xe2\x82", "\x80"}) {
    EXPECT_EQ(yaml_error(text).id, "yaml.encoding") << text;
  }
  EXPECT_EQ(parse_yaml("\xef\xbb\xbfGr\xc3\xb6\xc3\x9f\xe2\x82\xac\xf0\x9f\x9a\x82", "job.yaml")->text(), "Gr\u00f6\u00df\u20ac\U0001f682");
}

TEST(YamlParser, control_character_is_refused_with_its_escape) {
  EXPECT_EQ(yaml_error("a: x\x07y\n").where, "job.yaml:1:5");
  EXPECT_NE(yaml_error("a: x\x07y\n").message.find("\"\\x07\""), std::string::npos);
  EXPECT_EQ((*parse_yaml("a: \"x\\x07y\"\n", "job.yaml"))["a"].text(), "x\x07y");
}

TEST(YamlParser, tags_on_values_and_keys_are_refused) {
  for (const char* text : {"!!str 1", "!local x", "a: !!binary aGk=", "!!map {}", "[!x 1]", "!!str a: 1"})
    EXPECT_EQ(yaml_error(text).id, "yaml.tag") << text;
}

TEST(YamlParser, keys_that_are_no_text_are_refused) {
  EXPECT_EQ(yaml_error("[1, 2]: x").id, "yaml.key");
  EXPECT_EQ(yaml_error("{a: 1}: x").id, "yaml.key");
}

TEST(YamlParser, several_documents_are_refused) {
  const Error error = yaml_error("a: 1\n---\nb: 2\n");
  EXPECT_EQ(error.id, "yaml.several_documents");
  EXPECT_EQ(error.where, "job.yaml:2:1");
  EXPECT_EQ(to_json(yaml("---\na: 1\n")), R"({"a":1})");
  EXPECT_EQ(to_json(yaml("a: 1\n...\n")), R"({"a":1})");
}

TEST(YamlParser, text_after_the_end_of_the_document_is_refused) {
  for (const char* text : {",", ", a", "[1] x", "{a: 1} }", "]", "}"}) EXPECT_EQ(yaml_error(text).id, "yaml.malformed") << text;
}

TEST(YamlParser, aliases_expand_within_the_bound) {
  EXPECT_EQ(to_json(yaml("a: &x [1, 2]\nb: *x\n")), R"({"a":[1,2],"b":[1,2]})");
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 1; j < 10; ++j) laughs += ", " + before;
    laughs += "]\n";
  }
  EXPECT_EQ(yaml_error(laughs).id, "document.too_large");
  const Error endless = yaml_error("&a [*a]");
  EXPECT_TRUE(endless.id == "document.too_deep" || endless.id == "yaml.malformed") << endless.describe();
}

TEST(YamlParser, depth_and_size_are_bounded_as_in_json) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + "1" + std::string(depth, ']'); };
  EXPECT_TRUE(parse_yaml(nested(64), "x").ok());
  EXPECT_EQ(yaml_error(nested(65)).id, "document.too_deep");
  EXPECT_EQ(yaml_error(nested(100'000)).id, "document.too_deep");
  EXPECT_TRUE(parse_yaml("[1, 2, 3]", "x", {.nodes_max = 4}).ok());
  EXPECT_EQ(parse_yaml("[1, 2, 3, 4]", "x", {.nodes_max = 4}).error().id, "document.too_large");
}

TEST(YamlParser, large_map_is_read_in_linear_time) {
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += "k" + std::to_string(i) + ": 1\n";
  EXPECT_EQ(yaml(text).members().size(), 50'000u);
}

TEST(YamlParser, json_text_reads_like_json) {
  const std::string text = R"({"a":[1,2.5,"x\n\u00e9\/"],"b":{"c":null,"d":true}})";
  EXPECT_EQ(yaml(text), parse_json(text).value());
}

TEST(YamlWriter, strings_that_look_like_other_types_are_quoted) {
  const std::string text = to_yaml(parse_json(R"({"a":"1","b":"true","c":"null","d":"x y","e":1.0,"f":[],"g":{}})").value());
  EXPECT_EQ(text, "a: \"1\"\nb: \"true\"\nc: \"null\"\nd: x y\ne: 1.0\nf:\n  []\ng:\n  {}\n");
}

TEST(Yaml, special_doubles_read_back) {
  EXPECT_EQ(yaml(to_yaml(Document(-std::numeric_limits<double>::infinity()))), Document(-std::numeric_limits<double>::infinity()));
  EXPECT_TRUE(std::isnan(yaml(to_yaml(Document(std::nan("")))).as_double().value()));
}

TEST(Yaml, random_documents_read_back_equal) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SeededRng rng(seed);
    const Document document = testing::RandomDocument(rng).draw(5);
    const std::string text = to_yaml(document);
    const Result<Document> parsed = parse_yaml(text, "random");
    ASSERT_TRUE(parsed.ok()) << "seed " << seed << ": " << parsed.error().describe() << "\n" << text;
    ASSERT_EQ(*parsed, document) << "seed " << seed << ": " << to_json(document) << "\n" << text;
  }
}

TEST(Yaml, random_bytes_never_do_more_than_fail) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SeededRng rng(seed);
    std::string text = to_yaml(testing::RandomDocument(rng).draw(4));
    for (int i = 0; i < 3 && !text.empty(); ++i) text[rng.below(text.size())] = static_cast<char>(rng.below(256));
    (void)parse_yaml(text, "random");
  }
}

}  // namespace
}  // namespace trainyard
