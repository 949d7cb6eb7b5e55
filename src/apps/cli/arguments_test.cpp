#include "apps/cli/arguments.h"

#include <gtest/gtest.h>

namespace trainyard::apps {
namespace {

void nothing(CommandContext&, const Arguments&) {}

/// yard job {submit [-n N] [--wait] [-l K=V] command..., get id}, up (a program).
const std::vector<CommandSpec>& yard() {
  static const std::vector<CommandSpec> tree{
      {.path = "", .summary = "A yard"},
      {.path = "up", .summary = "Up", .program = "yard-server"},
      {.path = "job", .summary = "Jobs"},
      {.path = "job submit",
       .summary = "Submit",
       .arguments = {{.name = "command", .doc = "It", .repeated = true}},
       .options =
           {{.name = "number", .letter = 'n', .value = "N", .doc = "N", .preset = "7", .type = ValueType::kInteger, .min = -3, .max = 9},
            {.name = "wait", .letter = 'w', .doc = "Wait"},
            {.name = "for", .value = "TIME", .doc = "T", .type = ValueType::kDuration},
            {.name = "by", .value = "WHAT", .doc = "By", .choices = {"user", "queue"}},
            {.name = "label", .letter = 'l', .value = "K=V", .doc = "L", .repeated = true}},
       .run = nothing},
      {.path = "job get", .summary = "Get", .arguments = {{.name = "id", .doc = "Id", .required = true}}, .run = nothing},
  };
  return tree;
}

Result<ParsedLine> parse(const std::vector<std::string>& words) { return parse_command_line(yard(), words); }

std::string refusal(const std::vector<std::string>& words) {
  const Result<ParsedLine> line = parse(words);
  return line.ok() ? "accepted" : line.error().message;
}

TEST(CommandLine, text_that_is_no_utf8_is_refused_but_for_names_of_files) {
  EXPECT_NE(refusal({"job", "submit", "echo", "a\xff"}).find("command: \"a\\xff\""), std::string::npos)
      << refusal({"job", "submit", "echo", "a\xff"});
  EXPECT_NE(refusal({"job", "submit", "-l", "k=\xc3", "x"}).find("--label: \"k=\\xc3\""), std::string::npos);
  EXPECT_EQ(refusal({"job", "submit", "gr\xc3\xbc\xc3\x9f", "\xef\xbf\xbd", "a\tb"}), "accepted");
  EXPECT_EQ(refusal({"job", "submit", "--token-file", "/tmp/\xff", "x"}), "accepted");
}

TEST(CommandLine, options_and_arguments_may_be_mixed) {
  const Result<ParsedLine> line =
      parse({"-q", "job", "submit", "-n5", "sh", "--label=a=b", "-l", "c=d", "-w", "-o", "json", "--", "-c", "--number"});
  ASSERT_TRUE(line.ok()) << line.error().describe();
  const Arguments& arguments = line->arguments;
  EXPECT_EQ(arguments.command().path, "job submit");
  EXPECT_EQ(arguments.number("number"), 5);
  EXPECT_TRUE(arguments.given("wait"));
  EXPECT_TRUE(arguments.given("quiet"));
  EXPECT_EQ(arguments.text("output"), "json");
  EXPECT_EQ(arguments.all("label"), (std::vector<std::string>{"a=b", "c=d"}));
  EXPECT_EQ(arguments.all("command"), (std::vector<std::string>{"sh", "-c", "--number"}));
}

TEST(CommandLine, value_that_is_not_given_is_its_preset) {
  const Result<ParsedLine> line = parse({"job", "submit"});
  ASSERT_TRUE(line.ok());
  EXPECT_FALSE(line->arguments.given("number"));
  EXPECT_EQ(line->arguments.number("number"), 7);
  EXPECT_TRUE(line->arguments.all("command").empty());
}

TEST(CommandLine, letters_may_be_joined) {
  const Result<ParsedLine> line = parse({"job", "submit", "-qwn", "3"});
  ASSERT_TRUE(line.ok()) << line.error().describe();
  EXPECT_TRUE(line->arguments.given("quiet") && line->arguments.given("wait"));
  EXPECT_EQ(line->arguments.number("number"), 3);
}

TEST(CommandLine, negative_number_is_a_value_and_an_argument) {
  EXPECT_EQ(parse({"job", "submit", "-n", "-2"})->arguments.number("number"), -2);
  EXPECT_EQ(parse({"job", "get", "-5"})->arguments.text("id"), "-5");
}

TEST(CommandLine, values_are_checked_when_they_are_read) {
  EXPECT_EQ(refusal({"job", "submit", "-n", "10"}), "--number is a whole number between -3 and 9: 10");
  EXPECT_EQ(refusal({"job", "submit", "-n", "two"}), "--number is a whole number between -3 and 9: two");
  EXPECT_EQ(refusal({"job", "submit", "--for", "soon"}), "--for is a time as 90s, 15m or 1h30m: soon");
  EXPECT_EQ(refusal({"job", "submit", "--by", "usre"}), "--by is one of user, queue; did you mean `user`?: usre");
  EXPECT_EQ(refusal({"job", "get", "1", "-o", "xml"}),
            "--output is one of table, wide, json, yaml, ndjson, name or jsonpath=EXPR; did you mean `yaml`?: xml");
  EXPECT_EQ(refusal({"job", "get", "1", "-o", "jsonpath=.a["}).substr(0, 8), "--output");
  EXPECT_EQ(refusal({"job", "submit", "--wait=yes"}), "the option takes no value: --wait");
  EXPECT_EQ(parse({"job", "submit", "--for", "1h30m"})->arguments.duration("for"), std::chrono::minutes(90));
}

TEST(CommandLine, wrong_words_suggest_the_nearest) {
  EXPECT_EQ(refusal({"jbo"}), "there is no such command; did you mean `job`?: trainyard jbo");
  EXPECT_EQ(refusal({"job", "sbumit"}), "there is no such command; did you mean `submit`?: trainyard job sbumit");
  EXPECT_EQ(refusal({"job", "quarterly"}), "there is no such command: trainyard job quarterly");
  EXPECT_EQ(refusal({"job", "submit", "--nmuber", "1"}), "there is no such option; did you mean `--number`?: --nmuber");
  EXPECT_EQ(refusal({"job", "submit", "python", "x.py", "--momentum", "1"}),
            "there is no such option; options of the job's own command stand behind `--`: --momentum");
}

TEST(CommandLine, missing_and_superfluous_words_are_named) {
  EXPECT_EQ(refusal({"job"}), "a command is missing, one of submit, get: trainyard job ...");
  EXPECT_EQ(refusal({"job", "get"}), "an argument is missing: id");
  EXPECT_EQ(refusal({"job", "get", "1", "2"}), "there is a word too many for `trainyard job get`: 2");
  EXPECT_EQ(refusal({"job", "submit", "-n"}), "the option wants a value: -n");
  EXPECT_EQ(parse({"job", "get"}).error().where, "trainyard job get --help");
}

TEST(CommandLine, help_wins_over_what_is_missing) {
  EXPECT_TRUE(parse({"job", "--help"})->wants_help);
  EXPECT_EQ(parse({"job", "get", "-h"})->arguments.command().path, "job get");
}

TEST(CommandLine, other_program_gets_all_words_behind_its_name) {
  EXPECT_EQ(parse({"up", "--port", "0", "-o"})->program_words, (std::vector<std::string>{"--port", "0", "-o"}));
  EXPECT_EQ(refusal({"--url", "x", "up"}), "the options of `trainyard up` stand behind it: --url");
}

}  // namespace
}  // namespace trainyard::apps
