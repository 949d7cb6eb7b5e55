#pragma once
#include <string>

#include "apps/cli/command_line.h"

namespace trainyard::apps {

struct DemoOptions {
  std::string pipeline;
  std::string summary_out;
  std::string data;
  bool keep = false;
  bool resume = false;
  bool fresh = false;
};

/// What can be said about the options before anything is started. Errors: INVALID_ARGUMENT "demo.options", FAILED_PRECONDITION
/// "demo.foreign_directory", those of files.
Result<void> check_demo_options(const DemoOptions& options);

/// Starts `trainyard up` on a data directory of its own, runs the pipeline, shows it live and prints what came out. When this process dies,
/// even by SIGKILL, everything it started ends and its temporary directory goes. Returns the exit code: 0 when every step held, 1 when one
/// failed, 128 + the number of a signal that ended it, else that of the error.
int run_demo(CommandContext& context, const DemoOptions& options);

}  // namespace trainyard::apps
