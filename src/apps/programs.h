#pragma once
#include <string>

#include "base/result.h"

namespace trainyard::apps {

/// The path of a program of this installation: in $TRAINYARD_LIBEXEC, beside this executable, or in ../libexec/trainyard, the first that
/// has it. Errors: NOT_FOUND "program.missing" with the places that were looked at.
Result<std::string> find_program(const std::string& program);

}  // namespace trainyard::apps
