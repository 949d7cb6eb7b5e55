#pragma once
#include <vector>

#include "exec/execution_backend.h"
#include "jobs/job.h"

namespace trainyard::jobs {

/// Turns a job whose attempt was placed into what the nodes need: command line, environment, spec file, token. Called on the strand; does
/// not block; equal jobs give equal launches, so that a restarted server can say again what it said before.
class AttemptBuilder {
 public:
  virtual ~AttemptBuilder() = default;
  virtual exec::GangLaunch build(const Job& job) = 0;
};

}  // namespace trainyard::jobs
