#pragma once
#include "apps/serve_configs.h"
#include "apps/serve/prediction_run.h"
#include "runner/program.h"

namespace trainyard::apps {

/// Sends the test images of the spec's input `data` (role "pack:test") to a running model server and reports how right and how fast it is.
/// Errors: INVALID_ARGUMENT for configuration and spec, DATA_LOSS "data.pack", UNAVAILABLE when the server cannot be reached.
Result<runner::ExitCode> run_predict_job(runner::JobContext& context);

/// The result event of the job: accuracy, correct, rows, p50_ms, p99_ms, throughput_per_s, seconds and what was asked.
Document result_of(const PredictionFigures& figures, const PredictConfig& config);

}  // namespace trainyard::apps
