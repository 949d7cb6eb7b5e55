#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "sim/simulation.h"

namespace trainyard::sim::testing {

/// Bytes as gzip writes them.
std::string gzipped(std::string_view text);

/// The trace in a CSV text; it must be right (CHECK).
Trace trace_of(std::string_view csv);

/// A trace of rows "id,submit,runtime,walltime,procs" without a header; blank walltime: none. It must be right (CHECK).
Trace jobs(std::string_view rows);

/// Settings with these policies by name, "easy" or "drf+easy"; they must exist (CHECK).
SimulationSettings settings_of(std::string_view policy);

/// Runs with the books checked after each batch; it must succeed (CHECK).
SimulationResult run(const Trace& trace, const Machine& machine, SimulationSettings settings);

/// "id:start-end@hosts" for each segment, separated by spaces, with " STATE" in front of the next when it did not succeed.
std::string told(const Trace& trace, const SimulationResult& result);

/// Jobs of all kinds (gangs, shares, elastic, limits that are too short, dependencies, checkpoints) for a machine of `procs` x `gpus`.
Trace random_trace(Rng& rng, std::size_t count, std::int64_t procs, std::int64_t gpus);

/// What is wrong with the result, or nothing: replays the segments without the planner's books. No node holds more than it has, every
/// member of a gang runs, no job runs twice at once or before its submit, work adds up.
std::string flaw(const Trace& trace, const Machine& machine, const SimulationSettings& settings, const SimulationResult& result);

}  // namespace trainyard::sim::testing
