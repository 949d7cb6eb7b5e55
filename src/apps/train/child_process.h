#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace trainyard::apps {

/// The path of another program of the platform: in $TRAINYARD_LIBEXEC, beside this executable, or in ../libexec/trainyard.
/// Errors: NOT_FOUND "program.missing" naming where was looked.
Result<std::string> find_program(const std::string& name);

struct ChildOutcome {
  int exit_code = 0;   ///< 128 + signal when killed by one.
  std::string output;  ///< What it wrote to stdout, at most 1 MiB.
};

/// Runs a program to its end; stderr goes where ours goes. A child that takes longer than `patience` is killed.
/// Errors: those of pipe and spawn; DEADLINE_EXCEEDED "program.timeout"; RESOURCE_EXHAUSTED "program.output".
Result<ChildOutcome> run_child(const std::vector<std::string>& argv, const Clock& clock, Duration patience);

}  // namespace trainyard::apps
