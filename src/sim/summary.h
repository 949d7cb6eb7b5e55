#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "base/document.h"
#include "sim/simulation.h"

namespace trainyard::sim {

/// What a simulation comes to. Means are over the jobs that started and ended; seconds.
struct Summary {
  std::uint64_t jobs = 0;  ///< Of the trace.
  std::uint64_t rejected = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t failed = 0;
  std::uint64_t unfinished = 0;  ///< Never started, or waiting again at the end.
  std::uint64_t jobs_that_waited = 0;
  std::uint64_t skipped_records = 0;
  double mean_wait_s = 0;  ///< From the submit to the first start.
  double max_wait_s = 0;
  double mean_turnaround_s = 0;  ///< From the submit to the end.
  double weighted_mean_turnaround_s = 0;
  double makespan_s = 0;                  ///< The latest end.
  double mean_bounded_slowdown = 0;       ///< max(1, turnaround / max(time run, 10 s)).
  double utilisation = 0;                 ///< Processors in use over the makespan.
  std::optional<double> gpu_utilisation;  ///< The same of devices, where there are any.
  double fairness = 1;
  std::uint64_t preemptions = 0;
  std::uint64_t node_losses = 0;
  std::uint64_t interrupted = 0;
  double lost_gpu_seconds = 0;
  double lost_cpu_seconds = 0;
  std::optional<std::uint64_t> deadlines_missed;  ///< Where jobs have deadlines.
  std::uint64_t events = 0;
  std::uint64_t plans = 0;
};

Summary summarise(const Trace& trace, const Machine& machine, const SimulationResult& result);

/// With the member names of Summary.
Document to_document(const Summary& summary);

/// For people: one fact a line.
std::string summary_text(const Summary& summary);

}  // namespace trainyard::sim
