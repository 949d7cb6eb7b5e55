#pragma once
#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>
#include <vector>

#include "apps/cli/run_cli.h"

namespace trainyard::apps::testing {

struct CliRun {
  int code = 0;
  std::string out;
  std::string err;
};

/// Runs a command line in this process, with a home that does not exist and none of the caller's settings.
inline CliRun run_words(std::vector<std::string> words) {
  for (const char* name : {"TRAINYARD_URL", "TRAINYARD_API_URL", "TRAINYARD_TOKEN_FILE", "TRAINYARD_OUTPUT", "XDG_DATA_HOME",
                           "XDG_CONFIG_HOME", "NO_COLOR", "FORCE_COLOR"}) {
    ::unsetenv(name);
  }
  ::setenv("HOME", "/nonexistent", 1);
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  CliRun run;
  run.code = run_cli(std::move(words), "9.8.7");
  std::fflush(stdout);
  std::fflush(stderr);
  run.out = ::testing::internal::GetCapturedStdout();
  run.err = ::testing::internal::GetCapturedStderr();
  return run;
}

}  // namespace trainyard::apps::testing
