#include "apps/cli/log_printer.h"

#include <gtest/gtest.h>

namespace trainyard::apps {
namespace {

/// What is printed, each piece behind its stream.
class LogPrinterTest : public ::testing::Test {
 protected:
  void make(const LogFormat& format) {
    Result<LogPrinter> made = LogPrinter::make(
        format, [this](const std::string& stream, std::string_view text) { printed_ += stream.substr(3, 3) + ":" + std::string(text); });
    ASSERT_TRUE(made.ok()) << made.error().describe();
    printer_ = std::make_unique<LogPrinter>(std::move(made).value());
  }
  void take(const std::string& text, std::int64_t rank = 0, const std::string& stream = "stdout") {
    printer_->take(Document::object({{"rank", rank}, {"stream", stream}, {"time", "T" + std::to_string(++time_)}, {"text", text}}));
  }

  std::unique_ptr<LogPrinter> printer_;
  std::string printed_;
  int time_ = 0;
};

TEST_F(LogPrinterTest, plain_bytes_pass_as_they_come) {
  make({});
  take("half");
  take(" a line\n", 1, "stderr");
  EXPECT_EQ(printed_, "out:halferr: a line\n");
}

TEST_F(LogPrinterTest, prefixes_stand_before_whole_lines_of_each_rank) {
  make({.timestamps = true, .rank_prefix = true});
  take("one ", 0);
  take("zwei\n", 1);
  take("line\nnext", 0);
  printer_->finish();
  EXPECT_EQ(printed_, "out:T2 [1] zwei\nout:T1 [0] one line\nout:T3 [0] next");
}

TEST_F(LogPrinterTest, mark_stands_before_everything_and_the_last_line_is_ended) {
  make({.timestamps = true, .rank_prefix = true, .mark = "17[3]"});
  take("one\nhalf", 2);
  printer_->finish();
  EXPECT_EQ(printed_, "out:17[3]: T1 [2] one\nout:17[3]: T1 [2] half\n");
}

TEST_F(LogPrinterTest, streams_of_a_rank_are_kept_apart) {
  make({.rank_prefix = true});
  take("out", 0);
  take("err\n", 0, "stderr");
  take("put\n", 0);
  EXPECT_EQ(printed_, "err:[0] err\nout:[0] output\n");
}

TEST_F(LogPrinterTest, only_matching_lines_are_printed) {
  make({.grep = "^loss|e+rror$"});
  take("loss 1\nthe loss\nan eeerror\nerror here\n");
  take(std::string("loss \0 zero\n", 12));
  EXPECT_EQ(printed_, std::string("out:loss 1\nout:an eeerror\nout:loss \0 zero\n", 42));
}

TEST_F(LogPrinterTest, endless_line_is_printed_in_pieces) {
  make({.rank_prefix = true});
  for (int i = 0; i < 40; ++i) take(std::string(std::size_t{1} << 16, 'x'));
  EXPECT_GT(printed_.size(), std::size_t{2} << 20);
}

TEST_F(LogPrinterTest, pattern_that_is_none_is_refused) {
  EXPECT_EQ(LogPrinter::make({.grep = "a("}, [](const std::string&, std::string_view) {}).error().id, "cli.grep");
}

}  // namespace
}  // namespace trainyard::apps
