#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace trainyard::apps {

/// A kind of job and the program that does it.
struct RunnerKind {
  std::string_view kind;
  std::vector<std::string> argv;  ///< Empty: the spec's own command.
};

/// Every kind of job this build knows. A new kind is a line here.
const std::vector<RunnerKind>& builtin_runners();
const RunnerKind* find_runner(std::string_view kind);

}  // namespace trainyard::apps
