#pragma once
#include "runner/program.h"

namespace trainyard::apps {

/// Runs a job of kind train as one rank: data, model, peers, loop, export, result. Ends with kDone, or with kStoppedOnRequest once the
/// checkpoint that a stop asked for is durable. Errors: see the parts.
Result<runner::ExitCode> run_train_job(runner::JobContext& context);

}  // namespace trainyard::apps
