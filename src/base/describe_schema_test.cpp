#include "base/describe_schema.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

struct Colour {
  static constexpr std::string_view kSchemaName = "Colour";
  std::string name;
  std::optional<std::string> shade;

  void describe(FieldVisitor& fields) {
    fields.field("name", name, "What people call it.");
    fields.required();
    fields.field("shade", shade, "Lighter or darker.");
  }
};

struct Paint {
  static constexpr std::string_view kSchemaName = "Paint";
  Colour colour;
  std::vector<Colour> spots;
  std::optional<Colour> border;
  Duration drying{60'000'000};
  TimePoint mixed_at;
  double gloss = 0.5;
  double weight = 0;
  std::int64_t coats = 1;
  std::string finish = "matt";
  Document extra;

  void describe(FieldVisitor& fields) {
    fields.field("colour", colour, "The colour.");
    fields.field("spots", spots, "Spots on it.");
    fields.field("border", border, "Around it.");
    fields.field("drying", drying, "How long it dries.");
    fields.field("mixed_at", mixed_at, "When it was mixed.");
    fields.field("gloss", gloss, {.min = 0, .max = 1}, "How it shines.");
    fields.field("weight", weight, "Of the pot.");
    fields.field("coats", coats, {.min = 1, .max = 9}, "How often.");
    fields.choice("finish", finish, {"matt", "gloss"}, "The surface.");
    fields.field("extra", extra, "Anything.");
  }
};

/// Holds itself, directly and below a map.
struct Branch {
  static constexpr std::string_view kSchemaName = "Branch";
  std::vector<Branch> twigs;
  std::map<std::string, Branch> named;

  void describe(FieldVisitor& fields) {
    fields.field("twigs", twigs, "Below.");
    fields.field("named", named, "Below, by name.");
  }
};

TEST(SchemaBook, named_structs_are_defined_once_and_referred_to) {
  SchemaBook book;
  Document whole = book.schema<Paint>(SchemaStyle::kResponse);
  book.settle(whole);
  EXPECT_EQ(to_json(whole), R"({"$ref":"#/components/schemas/Paint"})");
  const Document definitions = book.definitions();
  ASSERT_EQ(definitions.members().size(), 2u);
  EXPECT_EQ(definitions.members()[0].first, "Colour");
  const Document& paint = definitions["Paint"]["properties"];
  EXPECT_EQ(to_json(paint["colour"]), R"({"$ref":"#/components/schemas/Colour","description":"The colour."})");
  EXPECT_EQ(to_json(paint["spots"]["items"]), R"({"$ref":"#/components/schemas/Colour"})");
}

TEST(SchemaBook, answer_is_open_and_requires_what_is_always_written) {
  SchemaBook book;
  Document whole = book.schema<Paint>(SchemaStyle::kResponse);
  book.settle(whole);
  const Document paint = book.definitions()["Paint"];
  EXPECT_EQ(paint.find("additionalProperties"), nullptr);
  EXPECT_EQ(to_json(paint["required"]), R"(["colour","spots","drying","mixed_at","gloss","weight","coats","finish"])");
  EXPECT_EQ(to_json(paint["properties"]["weight"]["type"]), R"(["number","string"])") << "NaN is answered as text";
  EXPECT_EQ(to_json(paint["properties"]["coats"]), R"({"type":"integer","description":"How often.","minimum":1,"maximum":9})");
  EXPECT_EQ(to_json(paint["properties"]["mixed_at"]), R"({"type":"string","description":"When it was mixed.","format":"date-time"})");
}

TEST(SchemaBook, request_is_closed_and_takes_null_for_what_need_not_be_given) {
  SchemaBook book;
  Document whole = book.schema<Paint>(SchemaStyle::kRequest);
  book.settle(whole);
  const Document definitions = book.definitions();
  EXPECT_EQ(definitions["Paint"]["additionalProperties"], Document(false));
  EXPECT_EQ(definitions["Paint"].find("required"), nullptr);
  EXPECT_EQ(to_json(definitions["Colour"]["properties"]["name"]), R"({"type":"string","description":"What people call it."})");
  EXPECT_EQ(to_json(definitions["Colour"]["properties"]["shade"]["type"]), R"(["string","null"])");
  const Document& paint = definitions["Paint"]["properties"];
  EXPECT_EQ(to_json(paint["border"]["anyOf"]), R"([{"$ref":"#/components/schemas/Colour"},{"type":"null"}])");
  EXPECT_EQ(to_json(paint["finish"]["enum"]), R"(["matt","gloss",null])");
  EXPECT_EQ(paint["drying"]["default"].text(), "1m");
  EXPECT_NE(paint["drying"].find("pattern"), nullptr);
  EXPECT_EQ(to_json(paint["extra"]), R"({"description":"Anything."})");
}

TEST(SchemaBook, struct_that_is_asked_and_answered_has_two_definitions) {
  SchemaBook book;
  Document both = Document::array();
  both.push(book.schema<Colour>(SchemaStyle::kRequest));
  both.push(book.schema<Colour>(SchemaStyle::kResponse));
  book.settle(both);
  EXPECT_EQ(to_json(both), R"([{"$ref":"#/components/schemas/ColourInput"},{"$ref":"#/components/schemas/Colour"}])");
  EXPECT_EQ(book.definitions()["ColourInput"]["additionalProperties"], Document(false));
}

TEST(SchemaBook, struct_that_holds_itself_refers_to_itself) {
  SchemaBook book;
  Document whole = book.schema<Branch>(SchemaStyle::kRequest);
  book.settle(whole);
  const Document branch = book.definitions()["Branch"];
  EXPECT_EQ(branch["properties"]["twigs"]["items"]["$ref"].text(), "#/components/schemas/Branch");
  EXPECT_EQ(branch["properties"]["named"]["additionalProperties"]["$ref"].text(), "#/components/schemas/Branch");
}

TEST(SchemaBook, plain_schema_of_named_structs_stands_where_it_is_used) {
  const Document schema = schema_of<Paint>();
  EXPECT_EQ(schema["properties"]["colour"]["properties"]["name"]["type"].text(), "string");
  EXPECT_EQ(schema["properties"]["border"]["additionalProperties"], Document(false));
  EXPECT_EQ(schema["properties"]["gloss"]["default"], Document(0.5));
}

}  // namespace
}  // namespace trainyard
