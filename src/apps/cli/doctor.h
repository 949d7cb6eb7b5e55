#pragma once
#include <functional>
#include <string>
#include <vector>

#include "apps/cli/command_line.h"

namespace trainyard::apps {

/// One thing that was looked at.
struct Check {
  enum class Outcome { kOk, kWarning, kFailed };
  std::string name;
  Outcome outcome = Outcome::kOk;
  std::string text;  ///< What was found.
  std::string fix;   ///< What to do about it; empty when it is in order.
};

struct DoctorOptions {
  std::string data;  ///< The data directory to look at; empty: the user's.
};

/// Looks at this installation and this machine, and at the server if there is one.
std::vector<Check> examine(const CommandContext& context, const DoctorOptions& options);

/// A line per check, with the fix below what is not in order, and a last line that counts.
std::string doctor_report(const std::vector<Check>& checks);
/// {"ok":..,"checks":[{"name","outcome":"ok|warning|failed","text","fix"?}]}
Document doctor_document(const std::vector<Check>& checks);

/// The libraries that an LD_TRACE_LOADED_OBJECTS listing names as not found.
std::vector<std::string> missing_libraries(std::string_view listing);

}  // namespace trainyard::apps
