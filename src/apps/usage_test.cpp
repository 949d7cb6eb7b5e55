#include "apps/usage.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace trainyard::apps {
namespace {

/// A small program: yard [--url U] job {submit [--name N] command..., get id}, up.
class UsageTest : public ::testing::Test {
 protected:
  UsageTest() {
    app_.require_subcommand(1);
    app_.add_option("--url", text_);
    app_.fallthrough();
    app_.add_subcommand("up");
    CLI::App* job = app_.add_subcommand("job");
    job->require_subcommand(1);
    CLI::App* submit = job->add_subcommand("submit");
    submit->add_option("--name", text_);
    submit->add_option("command", words_);
    job->add_subcommand("get")->add_option("id", text_)->required();
  }

  std::string explain(std::vector<std::string> words) {
    try {
      app_.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    } catch (const CLI::ParseError& error) {
      return explain_usage_error(app_, words, error.what());
    }
    return "accepted";
  }

  CLI::App app_{"A yard.", "yard"};
  std::string text_;
  std::vector<std::string> words_;
};

TEST_F(UsageTest, wrong_command_suggests_the_nearest) {
  EXPECT_EQ(explain({"jbo"}),
            "error: cli.usage: there is no such command; did you mean `job`?: yard jbo\nnext: `yard --help` explains it\n");
  EXPECT_EQ(explain({"--url", "http://x", "job", "sbumit"}),
            "error: cli.usage: there is no such command; did you mean `submit`?: yard job sbumit\nnext: `yard job --help` explains it\n");
}

TEST_F(UsageTest, word_that_is_like_nothing_gets_no_suggestion) {
  EXPECT_NE(explain({"quarterly"}).find("there is no such command: yard quarterly"), std::string::npos);
}

TEST_F(UsageTest, wrong_option_suggests_the_nearest) {
  EXPECT_NE(explain({"job", "submit", "--nmae", "x"}).find("there is no such option; did you mean `--name`?: --nmae"), std::string::npos);
  EXPECT_NE(explain({"up", "--ulr=x"}).find("did you mean `--url`?: --ulr"), std::string::npos);
}

TEST_F(UsageTest, missing_parts_are_named) {
  EXPECT_NE(explain({"job", "get"}).find("an argument is missing: id\nnext: `yard job get --help`"), std::string::npos);
  EXPECT_NE(explain({"job"}).find("a command is missing, one of submit, get: yard job ..."), std::string::npos);
  EXPECT_NE(explain({"job", "get", "--url"}).find("the option wants a value: --url"), std::string::npos);
}

TEST_F(UsageTest, right_command_is_accepted) { EXPECT_EQ(explain({"job", "get", "7"}), "accepted"); }

}  // namespace
}  // namespace trainyard::apps
