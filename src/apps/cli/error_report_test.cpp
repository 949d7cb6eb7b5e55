#include "apps/cli/error_report.h"

#include <gtest/gtest.h>

namespace trainyard::apps {
namespace {

const std::string kSpec = "name: x\ntasks:  4..2   # both\nresources:\n  cpu: 10x\n";

std::optional<std::string> read_spec(const std::string& file) { return file == "train.yaml" ? std::optional(kSpec) : std::nullopt; }

Document problem(const std::string& json) { return parse_json(json).value(); }

TEST(ErrorReport, place_in_a_file_is_shown_with_marks) {
  const Error error = invalid_argument("spec.range_reversed", "the bounds are reversed: \"4..2\"", "train.yaml:2:9");
  EXPECT_EQ(
      error_report(
          error,
          problem(R"({"code":"spec.range_reversed","request_id":"7f3a","errors":[{"pointer":"train.yaml:2:9","suggestion":"2..4"}]})"),
          "train.yaml", read_spec),
      "error: train.yaml:2:9: spec.range_reversed: the bounds are reversed: \"4..2\"\n"
      "  2 | tasks:  4..2   # both\n"
      "    |         ^~~~\n"
      "  did you mean: 2..4\n"
      "  next: `trainyard job submit --dry-run` checks a spec without running it\n"
      "  request: 7f3a\n");
}

TEST(ErrorReport, pointer_is_looked_up_in_the_file_that_was_sent) {
  const Error error = invalid_argument("spec.cpu", "no CPU quantity: 10x", "/resources/cpu");
  const std::string report = error_report(error, Document(), "train.yaml", read_spec);
  EXPECT_EQ(report.substr(0, report.find("  next")),
            "error: train.yaml:4:3: spec.cpu: no CPU quantity: 10x\n"
            "  4 |   cpu: 10x\n"
            "    |   ^~~\n");
  EXPECT_EQ(error_report(error, Document(), "", read_spec).substr(0, 31), "error: /resources/cpu: spec.cpu");
}

TEST(ErrorReport, line_and_column_are_those_of_the_file_that_was_sent) {
  const Error error = invalid_argument("json.malformed", "unexpected '}'", "line 2, column 9");
  EXPECT_TRUE(
      error_report(error, Document(), "train.yaml", read_spec).starts_with("error: train.yaml:2:9: json.malformed: unexpected '}'\n  2 |"));
}

TEST(ErrorReport, bytes_that_are_no_text_are_replaced) {
  EXPECT_EQ(caret_lines({"x.yaml", 1, 1}, "Gr\xf6\xdf"), "  1 | Gr\xef\xbf\xbd\xef\xbf\xbd\n    | ^~~~~~~~\n");
}

TEST(ErrorReport, every_fault_is_told_and_what_led_to_it) {
  Error error = invalid_argument("spec.cpu", "no CPU quantity", "train.yaml:4:8");
  error.context = {"checking task train"};
  const std::string report =
      error_report(error,
                   problem(
                       R"({"errors":[{"pointer":"train.yaml:4:8"},{"pointer":"/tasks","detail":"reversed","suggestion":"2..4"}],
                     "type":"https://example.org/e"})"),
                   "train.yaml", read_spec);
  EXPECT_NE(report.find("  also: train.yaml:2:1: reversed\n  2 | tasks:"), std::string::npos) << report;
  EXPECT_NE(report.find("  why: checking task train\n"), std::string::npos) << report;
  EXPECT_NE(report.find("  docs: https://example.org/e\n"), std::string::npos) << report;
}

TEST(ErrorReport, message_that_names_a_command_gets_no_other_next_step) {
  EXPECT_EQ(next_step(not_found("job.unknown", "there is no job 9; `trainyard job ls` lists them")), "");
  EXPECT_NE(next_step(not_found("job.unknown", "there is no job 9")), "");
  EXPECT_NE(next_step(unavailable("net.connect", "nobody listens")), "");
}

TEST(ErrorReport, usage_error_names_the_help) {
  EXPECT_EQ(error_report(invalid_argument("cli.usage", "there is no such option: --x", "trainyard job --help"), Document(), "", read_spec),
            "error: cli.usage: there is no such option: --x\nnext: `trainyard job --help` explains it\n");
}

TEST(FilePlace, is_read_from_the_end) {
  const std::optional<FilePlace> place = parse_file_place("a:b/c.yaml:12:3");
  ASSERT_TRUE(place);
  EXPECT_EQ(place->file, "a:b/c.yaml");
  EXPECT_EQ(place->line, 12U);
  EXPECT_EQ(place->column, 3U);
  for (const char* text : {"", "/tasks", "x:1", "x:0:1", "x:a:1", ":1:2"}) EXPECT_FALSE(parse_file_place(text)) << text;
}

TEST(CaretLines, place_outside_of_the_text_shows_nothing) {
  EXPECT_EQ(caret_lines({"f", 9, 1}, "a\nb\n"), "");
  EXPECT_EQ(caret_lines({"f", 1, 5}, "a\nb\n"), "");
  EXPECT_EQ(caret_lines({"f", 2, 2}, "a\nb"), "  2 | b\n    |  ^\n");
}

TEST(CaretLines, long_line_is_cut_around_the_place) {
  const std::string text = caret_lines({"f", 1, 5001}, std::string(5000, 'a') + "X" + std::string(5000, 'b'));
  EXPECT_LT(text.size(), 300U);
  const std::size_t mark = text.find('^') - text.find('\n') - 1;
  EXPECT_EQ(text[mark], 'X') << text;
}

}  // namespace
}  // namespace trainyard::apps
