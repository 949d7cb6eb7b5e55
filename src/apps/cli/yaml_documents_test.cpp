#include "apps/cli/yaml_documents.h"

#include <gtest/gtest.h>

#include "base/document.h"

namespace trainyard::apps {
namespace {

TEST(YamlDocuments, lines_of_each_part_are_those_of_the_file) {
  const std::string text = "# jobs\nname: a\n---\nname: b\ncommand: [x]\n--- # third\nname: c\n";
  const std::vector<YamlPart> parts = split_yaml_documents(text);
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0].line, 1U);
  EXPECT_EQ(parts[1].line, 3U);
  EXPECT_EQ(parts[2].line, 6U);
  EXPECT_EQ(parse_yaml(parts[1].text, "f")->find("command")->where(), "f:5:1");
  EXPECT_EQ(parse_yaml(parts[2].text, "f")->find("name")->where(), "f:7:1");
}

TEST(YamlDocuments, parts_without_content_are_left_out) {
  EXPECT_TRUE(split_yaml_documents("").empty());
  EXPECT_TRUE(split_yaml_documents("---\n# nothing\n---\n\n...\n").empty());
  EXPECT_EQ(split_yaml_documents("---\na: 1\n---\n").size(), 1U);
  EXPECT_EQ(split_yaml_documents("--- {a: 1}").size(), 1U);
}

TEST(YamlDocuments, dashes_inside_of_a_text_do_not_split) {
  EXPECT_EQ(split_yaml_documents("script: |\n  ---\n  x\n").size(), 1U);
  EXPECT_EQ(split_yaml_documents("a: 1\n---b: 2\n").size(), 1U);
}

TEST(YamlDocuments, file_without_a_last_newline_is_whole) {
  const std::vector<YamlPart> parts = split_yaml_documents("a: 1\n...\n---\nb: 2");
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parse_yaml(parts[1].text, "f")->find("b")->where(), "f:4:1");
}

}  // namespace
}  // namespace trainyard::apps
