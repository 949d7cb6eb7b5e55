#pragma once
#include <algorithm>

#include "sched/job.h"

namespace trainyard::sched {

/// How long the job is expected to run: its estimate, else its limit; kForever when neither is known.
inline Duration expected_length(const JobSnapshot& job) {
  return job.estimate > Duration(0) ? std::min(job.estimate, job.walltime) : job.walltime;
}

}  // namespace trainyard::sched
