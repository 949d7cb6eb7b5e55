#include "runner/exit_code.h"

#include <gtest/gtest.h>

namespace trainyard::runner {
namespace {

TEST(ExitCode, category_of_the_error_decides) {
  EXPECT_EQ(exit_code_of(invalid_argument("spec.range", "x")), ExitCode::kBadConfiguration);
  EXPECT_EQ(exit_code_of(failed_precondition("train.diverged", "x")), ExitCode::kBadConfiguration);
  EXPECT_EQ(exit_code_of(data_loss("data.pack", "x")), ExitCode::kBadData);
  EXPECT_EQ(exit_code_of(unavailable("comm.peer_lost", "x")), ExitCode::kInternal);
  EXPECT_EQ(exit_code_of(internal_error("trainer.failed", "x")), ExitCode::kInternal);
}

}  // namespace
}  // namespace trainyard::runner
