#include "apps/train/child_process.h"

#include <gtest/gtest.h>

namespace trainyard::apps {
namespace {

using namespace std::chrono_literals;

TEST(RunChild, output_and_exit_code_come_back) {
  const SystemClock clock;
  const Result<ChildOutcome> outcome = run_child({"/bin/sh", "-c", "echo hello; exit 3"}, clock, 10s);
  ASSERT_TRUE(outcome.ok()) << outcome.error().describe();
  EXPECT_EQ(outcome->output, "hello\n");
  EXPECT_EQ(outcome->exit_code, 3);
}

TEST(RunChild, child_that_hangs_is_killed_at_the_deadline) {
  const SystemClock clock;
  EXPECT_EQ(run_child({"/bin/sh", "-c", "exec sleep 60"}, clock, 100ms).error().id, "program.timeout");
}

TEST(RunChild, endless_output_is_refused) {
  const SystemClock clock;
  EXPECT_EQ(run_child({"/bin/sh", "-c", "exec cat /dev/zero"}, clock, 10s).error().id, "program.output");
}

TEST(RunChild, missing_program_is_an_error) {
  const SystemClock clock;
  EXPECT_FALSE(run_child({"/nowhere/program"}, clock, 1s).ok());
}

TEST(FindProgram, missing_program_is_an_error_that_says_where_was_looked) {
  const Error error = find_program("trainyard-no-such-program").error();
  EXPECT_EQ(error.id, "program.missing");
  EXPECT_NE(error.message.find("libexec/trainyard"), std::string::npos);
}

}  // namespace
}  // namespace trainyard::apps
