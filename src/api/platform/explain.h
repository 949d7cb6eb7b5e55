#pragma once
#include <optional>
#include <vector>

#include "base/document.h"
#include "jobs/job.h"
#include "sched/explain.h"
#include "sched/fix.h"

namespace trainyard::api {

/// Why a job is where it is, for clients. A job that does not wait has its state as code and its own words as text.
Document state_explanation(const jobs::Job& job);
/// Why a job waits, and what alone would start it: `code` is the binding reason, `rank` its place in the documented list, `fix` one entry
/// for each dimension with "none" where no change helps. `promised_start` and `planned_start` are there when they are known, `fix_error`
/// says why there are no fixes.
Document wait_explanation(const jobs::Job& job, const sched::Explanation& explanation, const Result<std::vector<sched::Fix>>& fixes,
                          std::optional<TimePoint> planned_start);

}  // namespace trainyard::api
