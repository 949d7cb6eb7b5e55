#pragma once
#include <chrono>

#include "apps/cli/command_line.h"

namespace trainyard::apps {

/// The full-screen view: fetches every `every`, reads keys, and gives the terminal back as it was on every end, signals included. Off a
/// terminal it prints one picture.
void run_top(CommandContext& context, std::chrono::milliseconds every);

}  // namespace trainyard::apps
