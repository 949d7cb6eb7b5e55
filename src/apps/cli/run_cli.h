#pragma once
#include <string>
#include <vector>

namespace trainyard::apps {

/// Runs the command line behind the program's name and returns the exit code. `version` is that of this build. Commands that are programs
/// of their own replace this process.
int run_cli(std::vector<std::string> words, std::string version);

}  // namespace trainyard::apps
