#pragma once
#include "apps/cli/command_tree.h"

namespace trainyard::apps {

/// `job logs`: of one job, or of several one after the other.
CommandSpec logs_command();

}  // namespace trainyard::apps
