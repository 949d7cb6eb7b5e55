#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace trainyard::agent {

struct CommandLimits {
  Duration deadline{5'000'000};  ///< The command and what it started are killed then.
  std::size_t output_max = std::size_t{1} << 20;
};

/// Runs a program (looked up in PATH, no shell) with /dev/null as input and returns what it wrote to its standard output; what it says
/// on standard error is dropped. Blocks. Errors: NOT_FOUND "command.not_found"; DEADLINE_EXCEEDED "command.deadline";
/// RESOURCE_EXHAUSTED "command.output"; FAILED_PRECONDITION "command.failed" with the exit code.
Result<std::string> run_command(const std::vector<std::string>& argv, const CommandLimits& limits, const Clock& clock);

}  // namespace trainyard::agent
