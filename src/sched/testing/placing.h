#pragma once
#include <optional>
#include <string_view>

#include "sched/placement.h"
#include "sched/testing/scenario.h"

namespace trainyard::sched::testing {

/// Where `policy` puts a job in a scenario as it is, with what is free now; none when it does not fit. Nothing starts. The workload is what
/// `workload` holds, nothing by default; `memory` may be null.
std::optional<Placement> placed(Scenario& scenario, const JobSpec& spec, std::string_view policy, const Workload* workload = nullptr,
                                PlacementMemory* memory = nullptr);

/// What `policy` thinks of `node` for the job. The policy must have scores (CHECK).
std::int64_t score_on(Scenario& scenario, const JobSpec& spec, std::string_view policy, NodeIndex node, const Workload* workload = nullptr);

/// A workload of `counts` jobs of each specification.
Workload workload_of(Scenario& scenario, const std::vector<std::pair<JobSpec, int>>& counts);

}  // namespace trainyard::sched::testing
