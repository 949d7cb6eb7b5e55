#pragma once
#include <string>
#include <vector>

#include "base/result.h"

namespace trainyard::apps {

/// Prepares a training by hand: writes WORKDIR/spec.json for the words CONFIG WORKDIR [TRAIN_PACK [VALIDATION_PACK [TEST_PACK]]] and sets
/// the environment variables that the node would set, unless they are set already (RANK and WORLD_SIZE make a gang by hand). Without a pack
/// it makes up a small dataset below WORKDIR, and says so. To be called first in main. Errors: INVALID_ARGUMENT "usage"; those of reading
/// and writing.
Result<void> prepare_local_run(const std::vector<std::string>& words);

}  // namespace trainyard::apps
