#pragma once
#include <tuple>
#include <vector>

#include "sched/preemption.h"
#include "sched/testing/scenario.h"

namespace trainyard::sched::testing {

/// The settings with preemption on.
QueueSettings preempting(QueueSettings settings);

/// A quota of so many cores; other resources have none.
Amounts cores_quota(std::int64_t cores);

/// Tasks with the devices that they use: {{node, tasks, devices}...}.
Placement gpus_on(const std::vector<std::tuple<NodeIndex, std::uint32_t, unsigned>>& places);

/// Who would give way to a waiting job, asked at the beginning of a pass: claims and reservations hold their room.
EvictionAnswer asked(const Scenario& scenario, JobId job, TimePoint now, std::int64_t evictions_left = 60);

/// A victim has left and waits again, with its place.
void leave(Scenario& scenario, JobId victim, TimePoint now);

}  // namespace trainyard::sched::testing
