#pragma once
#include "base/executor.h"
#include "net/router.h"
#include "tune/study_board.h"

namespace trainyard::api {

/// Adds GET /api/v1/trials/{job}/rungs/{step}?wait=SECONDS: {"decision":"continue"|"stop"|"pending"}. "pending" means: ask
/// again, a trial with a lower number has not reported yet.
void add_trial_routes(net::Router& router, Executor& strand, Clock& clock, tune::StudyBoard& board);

}  // namespace trainyard::api
