#pragma once
#include <string_view>

#include "data/curate.h"
#include "data/data_task.h"
#include "runner/program.h"

namespace trainyard::apps {

/// Runs a job of kind ingest or curate, whatever its spec says, and sends its `result` event with the exact counts. Returns 0; 75 when it
/// was asked to stop (nothing was published, the next attempt starts afresh); 65 with the reason on stderr and as an event for data that
/// cannot be used. Errors: those of the configuration and the environment.
Result<runner::ExitCode> run_etl_job(runner::JobContext& context, data::TableIo& tables);

/// What a curate job reads out of the version that the server pinned. Errors: INVALID_ARGUMENT "data.input" for a version that no ingest of
/// this product made.
Result<data::CurateInput> curate_input_from(const runner::InputDataset& dataset);

}  // namespace trainyard::apps
