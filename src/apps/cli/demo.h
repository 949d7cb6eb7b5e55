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

/// Starts `trainyard up` on a data directory of its own, runs the pipeline, shows it live and prints what came out. The server holds the
/// reading end of a lifeline pipe: when this process dies, even by SIGKILL, everything it started ends. Returns the exit code.
int run_demo(CommandContext& context, const DemoOptions& options);

}  // namespace trainyard::apps
