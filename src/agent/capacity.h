#pragma once
#include <string>

#include "domain/resources.h"

namespace trainyard::agent {

/// Cores and memory this process may use: the machine's, less what CPU affinity and the control group (version 2 or 1) leave of it.
Resources discover_capacity();

/// The tighter of `capacity` and the limits in the control group files below `root` for the group `path` and its parents. What is not
/// there or says "max" limits nothing.
Resources within_control_group(Resources capacity, const std::string& root, const std::string& path);

}  // namespace trainyard::agent
