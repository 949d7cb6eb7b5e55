#pragma once
#include <functional>

#include "sim/simulation.h"

namespace trainyard::sim {

/// As `simulate`, through the whole of jobs/: every job goes through JobService as the server runs it, with its spec, its events, its
/// commits (to a ledger in memory), its launches and stops and its limits, in one thread under a clock of its own. Nodes are simulated: a
/// rank runs as long as the trace says; one that is asked to give way exits with the checkpoint code when its checkpoint fits the grace.
/// Far slower than `simulate`, and everything is kept in memory. Deterministic: equal arguments give equal results.
///
/// Events of equal time: all ends, then all submits in file order, then one plan; but a job reaches its limit by a request to stop, so that
/// a plan which still sees it on its nodes comes before the plan of that time. What a job specification cannot say is an error: tiers,
/// dependencies, elastic gangs, GPU models, deadlines under the deadline order, estimates by prediction, exact estimates of jobs that can
/// be evicted, users' weights, jobs that outlive their limit. Faults and the check of the books are errors too. SimulationResult::plans is
/// 0: the service does not count them.
///
/// Errors: those of `simulate` and INVALID_ARGUMENT "sim.driver".
Result<SimulationResult> simulate_jobs(const Trace& trace, const Machine& machine, const SimulationSettings& settings,
                                       const std::function<bool(const SimulationProgress&)>& watch = {});

}  // namespace trainyard::sim
