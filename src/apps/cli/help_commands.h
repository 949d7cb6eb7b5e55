#pragma once
#include <string>
#include <vector>

#include "apps/cli/command_line.h"

namespace trainyard::apps {

/// Becomes the program that `command` is, with these words. Returns only when that failed.
Error run_program(const CommandSpec& command, const std::vector<std::string>& words);

/// Prints what may continue `words`, for a shell: within 200 ms, or nothing. Errors are silent.
void answer_completion(CommandContext& context, std::vector<std::string> words);

}  // namespace trainyard::apps
