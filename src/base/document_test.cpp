#include "base/document.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace trainyard {
namespace {

Document sample() {
  Document document = Document::object();
  document.set("flag", true);
  document.set("count", 3);
  document.set("rate", 0.5);
  document.set("name", "x");
  document.set("nothing", Document());
  return document;
}

TEST(Document, kinds_follow_what_it_was_built_from) {
  EXPECT_EQ(Document().kind(), Document::Kind::kNull);
  EXPECT_EQ(Document(true).kind(), Document::Kind::kBool);
  EXPECT_EQ(Document(1).kind(), Document::Kind::kInt);
  EXPECT_EQ(Document(1.0).kind(), Document::Kind::kDouble);
  EXPECT_EQ(Document("x").kind(), Document::Kind::kString);
  EXPECT_EQ(Document::array().kind(), Document::Kind::kArray);
  EXPECT_EQ(Document::object().kind(), Document::Kind::kObject);
}

TEST(Document, unsigned_becomes_signed_while_it_fits) {
  constexpr std::uint64_t kLargestSigned = 9223372036854775807ULL;
  EXPECT_EQ(Document(kLargestSigned).kind(), Document::Kind::kInt);
  EXPECT_EQ(Document(kLargestSigned + 1).kind(), Document::Kind::kUnsigned);
  EXPECT_EQ(Document(kLargestSigned + 1).as_unsigned().value(), kLargestSigned + 1);
  EXPECT_FALSE(Document(kLargestSigned + 1).as_int().ok());
  EXPECT_EQ(Document(std::uint64_t{5}), Document(5));
}

TEST(Document, integer_is_read_from_whole_doubles_and_digit_strings) {
  EXPECT_EQ(Document(2.0).as_int().value(), 2);
  EXPECT_EQ(Document("-9007199254740993").as_int().value(), -9007199254740993);
  EXPECT_EQ(Document("18446744073709551615").as_unsigned().value(), std::numeric_limits<std::uint64_t>::max());
  for (const Document& wrong :
       {Document(2.5), Document(1e300), Document("2.0"), Document(""), Document(" 2"), Document("2 "), Document("0x2"), Document(true),
        Document(), Document(std::nan("")), Document(INFINITY), Document("9223372036854775808")}) {
    EXPECT_EQ(wrong.as_int().error().id, "document.type") << to_json(wrong);
  }
  EXPECT_FALSE(Document(-1).as_unsigned().ok());
  EXPECT_FALSE(Document("-1").as_unsigned().ok());
}

TEST(Document, double_is_read_from_integers_and_the_names_of_special_values) {
  EXPECT_EQ(Document(3).as_double().value(), 3.0);
  EXPECT_EQ(Document("Infinity").as_double().value(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(Document("-Infinity").as_double().value(), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(Document("NaN").as_double().value()));
  EXPECT_FALSE(Document("3").as_double().ok());
  EXPECT_FALSE(Document("nan").as_double().ok());
}

TEST(Document, type_error_says_what_was_expected_found_and_where) {
  const Document document = parse_json(R"({"a":{"b":[1,"x"]}})").value();
  const Error error = document["a"]["b"].items()[1].as_double().error();
  EXPECT_EQ(error.category, Category::kInvalidArgument);
  EXPECT_EQ(error.id, "document.type");
  EXPECT_EQ(error.where, "/a/b/1");
  EXPECT_EQ(error.message, "expected a number, found a string");
}

TEST(Document, absent_member_reads_as_null_all_the_way_down) {
  const Document document = sample();
  EXPECT_EQ(document.find("other"), nullptr);
  EXPECT_TRUE(document["other"]["deeper"].is_null());
  EXPECT_TRUE(document["count"]["deeper"].is_null());
  EXPECT_TRUE(Document()["x"].is_null());
  EXPECT_TRUE(document["name"].items().empty());
  EXPECT_EQ(document["count"].text(), "");
}

TEST(Document, defaults_stand_in_for_absent_and_null_but_not_for_a_wrong_type) {
  const Document document = sample();
  EXPECT_EQ(document.string_or("name", "y").value(), "x");
  EXPECT_EQ(document.string_or("other", "y").value(), "y");
  EXPECT_EQ(document.string_or("nothing", "y").value(), "y");
  EXPECT_FALSE(document.string_or("count", "y").ok());
  EXPECT_EQ(document.int_or("count", 9).value(), 3);
  EXPECT_EQ(document.int_or("other", 9).value(), 9);
  EXPECT_EQ(document.double_or("rate", 9).value(), 0.5);
  EXPECT_EQ(document.bool_or("flag", false).value(), true);
  EXPECT_FALSE(document.bool_or("count", false).ok());
}

TEST(Document, required_member_that_is_absent_is_named) {
  const Document document = sample();
  EXPECT_EQ(document.string_at("name").value(), "x");
  EXPECT_EQ(document.int_at("count").value(), 3);
  EXPECT_EQ(document.double_at("rate").value(), 0.5);
  const Error error = document.string_at("other").error();
  EXPECT_EQ(error.id, "document.missing");
  EXPECT_NE(error.message.find("\"other\""), std::string::npos);
  EXPECT_EQ(document.string_at("nothing").error().id, "document.type");
}

TEST(Document, set_replaces_in_place_and_keeps_the_order_of_members) {
  Document document = sample();
  document.set("flag", 1);
  document.set("last", 2);
  std::string order;
  for (const auto& [key, value] : document.members()) order += key + " ";
  EXPECT_EQ(order, "flag count rate name nothing last ");
  EXPECT_EQ(document["flag"].as_int().value(), 1);
}

TEST(Document, null_becomes_what_is_put_into_it) {
  Document object, list;
  object.set("a", 1);
  list.push(1);
  EXPECT_TRUE(object.is_object());
  EXPECT_TRUE(list.is_array());
}

TEST(Document, equality_compares_kind_value_and_order_but_not_place) {
  EXPECT_EQ(sample(), sample());
  EXPECT_FALSE(Document(1) == Document(1.0));
  EXPECT_FALSE(Document("1") == Document(1));
  EXPECT_FALSE(Document() == Document(false));
  Document placed = sample();
  placed.set_where("file:1:1");
  EXPECT_EQ(placed, sample());
  EXPECT_FALSE(parse_json(R"({"a":1,"b":2})").value() == parse_json(R"({"b":2,"a":1})").value());
}

TEST(Document, pointer_into_a_copy_finds_the_line_of_the_original) {
  const Document root = parse_yaml("a:\n  - x: 1\n    y: 2\n\"b/~c\": 3\n", "f.yaml").value();
  EXPECT_EQ(place_of(root, "/a/0/y"), "f.yaml:3:5");
  EXPECT_EQ(place_of(root, "/b~1~0c"), "f.yaml:4:1");
}

TEST(Document, pointer_to_a_missing_node_finds_the_nearest_one_above_it) {
  const Document root = parse_yaml("a:\n  - x: 1\n", "f.yaml").value();
  EXPECT_EQ(place_of(root, "/a/0/z/1"), place_of(root, "/a/0"));
  EXPECT_EQ(place_of(root, "/a/7"), "f.yaml:1:1");
  EXPECT_EQ(place_of(root, "/none"), root.where());
}

TEST(Document, place_that_nothing_is_known_of_stays_as_it_is) {
  EXPECT_EQ(place_of(sample(), "/count"), "/count");
  EXPECT_EQ(place_of(sample(), "f.yaml:1:1"), "f.yaml:1:1");
  EXPECT_EQ(place_of(sample(), ""), "");
}

TEST(DocumentDeathTest, set_and_push_on_another_kind_abort) {
  Document number(1);
  EXPECT_DEATH(number.set("a", 1), "no object");
  EXPECT_DEATH(number.push(1), "no list");
}

}  // namespace
}  // namespace trainyard
