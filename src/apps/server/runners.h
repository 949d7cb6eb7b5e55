#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "domain/job_spec.h"

namespace trainyard::apps {

/// A kind of job and the program that does it.
struct RunnerKind {
  std::string_view kind;
  std::vector<std::string> argv;  ///< Empty: the spec's own command.
  /// Checks a `config`, which may hold references, as the program will, errors with positions; null: the program alone knows it.
  Result<void> (*check_config)(const Document& config) = nullptr;
  std::string_view input = {};  ///< The dataset that it cannot do without, by the name it knows; empty: none.
};

/// Every kind of job this build knows. A new kind is a line here.
const std::vector<RunnerKind>& builtin_runners();
const RunnerKind* find_runner(std::string_view kind);

/// Whether a program knows this kind and would take this `config`. References in it (${tasks...}) have no value yet and are not judged.
/// Errors: INVALID_ARGUMENT "spec.kind" with the nearest known kind and where "/kind", and those of the program's configuration with the
/// position of the faulty node.
Result<void> check_runner(const JobSpec& spec);
/// Whether the dataset is named that the program cannot do without. Errors: INVALID_ARGUMENT "spec.input", where "/inputs".
Result<void> check_input(const JobSpec& spec);

}  // namespace trainyard::apps
