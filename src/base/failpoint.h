#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trainyard {

/// Named places where a test makes the process die or an operation fail. Armed by the environment variable TRAINYARD_FAILPOINTS, a comma
/// separated list of `name=action[@n]`: action `exit` ends the process with _exit(137) at the n-th hit (default 1), `stall` does so
/// after a while in which only other threads go on (what should have waited for this one is seen outside), `io` returns UNAVAILABLE
/// "failpoint.injected", `disk_full` returns RESOURCE_EXHAUSTED "io.disk_full". Unarmed, a failpoint is one relaxed load. With
/// TRAINYARD_FAILPOINT_MARK=FILE the process that dies leaves the failpoint's name in FILE, and no process dies while FILE is there: what
/// takes its place with the same environment lives. Thread-safe.
Result<void> hit_failpoint(std::string_view name);

/// Reads the variable now instead of at the first hit. TRAINYARD_FAILPOINTS=list prints every name, one a line, and ends the process.
/// For the start of main.
void arm_failpoints_from_environment();

/// Arms from a list in the same form, replacing what was armed. For tests inside one process. Errors: INVALID_ARGUMENT "failpoint.syntax".
Result<void> arm_failpoints(std::string_view list);

/// Every failpoint of the product by name, sorted: crash sweeps iterate over it. hit_failpoint CHECKs that its name is listed.
const std::vector<std::string_view>& failpoint_names();

}  // namespace trainyard

/// Returns the injected error from the enclosing function, or ends the process.
#define FAILPOINT(name) TRY(::trainyard::hit_failpoint(name))
