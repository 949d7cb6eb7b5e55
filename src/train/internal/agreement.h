#pragma once
#include <optional>
#include <vector>

#include "base/result.h"
#include "train/checkpoint.h"
#include "train/comm.h"

namespace trainyard::train::internal {

/// Tells every rank what every rank wrote, in rank order. When one of them failed, all get an error: the one that failed its own, the
/// others UNAVAILABLE "checkpoint.peer_failed".
Result<std::vector<CheckpointFile>> exchange_files(Comm& comm, const Result<CheckpointFile>& mine);

/// Succeeds on all ranks when no rank has a failure; otherwise as `exchange_files`.
Result<void> agree_on_success(Comm& comm, const std::optional<Error>& failure);

}  // namespace trainyard::train::internal
