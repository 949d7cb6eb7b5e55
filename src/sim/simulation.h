#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sched/queue.h"
#include "sim/faults.h"
#include "sim/machine.h"
#include "sim/schedule.h"
#include "sim/trace.h"

namespace trainyard::sim {

/// What the planner is told of run times. Jobs are killed by the trace's limit, whatever the planner believes.
enum class Estimate {
  kUser,       ///< The limit of the trace; none: unbounded.
  kExact,      ///< The true run time, cut at the limit.
  kPredicted,  ///< The mean of the user's last two run times, cut at the limit; the limit while there is none.
};

/// How the queues of the trace become queues of the scheduler.
struct QueueMapping {
  enum class Kind {
    kOne,     ///< All jobs stand in one line.
    kTrace,   ///< Each queue of the trace is one, weight 1.
    kListed,  ///< Those listed, with their weights; "*" gives a weight to all others.
  };
  Kind kind = Kind::kOne;
  std::vector<std::pair<std::string, std::int64_t>> weights_milli;
};

struct SimulationSettings {
  sched::QueueSettings queue;  ///< Of every queue; name, parent and weight are set by the mapping.
  sched::SharingSettings sharing;
  QueueMapping queues;
  std::vector<std::pair<std::string, std::int64_t>> user_weights_milli;
  Estimate estimate = Estimate::kUser;
  bool kill = true;               ///< A job is killed at its limit. False: it runs on, and the planner is told ever later ends.
  bool priority_is_tier = false;  ///< The trace's priority is the tier, between which preemption works.
  FaultSettings faults;
  std::uint64_t events_max = 0;  ///< 0: no bound.
  bool check = false;            ///< Checks the books of the cluster after every batch; slow.
};

/// How a job ended.
enum class Fate : std::uint8_t { kSucceeded, kTimedOut, kFailed, kRejected, kUnfinished };
std::string_view name_of(Fate fate);

struct JobOutcome {
  Fate fate = Fate::kUnfinished;
  std::uint32_t attempts = 0;
  Duration first_start{0};  ///< When attempts > 0.
  Duration end{0};          ///< When it succeeded, timed out or failed.
  Duration ran{0};          ///< Sum of all its segments.
};

/// A stretch of running of one job on the same hosts.
struct Segment {
  std::uint32_t job = 0;  ///< Position in the trace.
  std::uint32_t attempt = 1;
  Duration start{0};
  Duration end{0};
  std::uint32_t hosts_begin = 0;  ///< In SimulationResult::hosts.
  std::uint32_t hosts_count = 0;
  std::uint32_t tasks = 0;
  SegmentState state = SegmentState::kSucceeded;
};

/// A node was lost for a while. One that is never back is away until the end of the run.
struct Outage {
  std::uint32_t node = 0;  ///< Position in the machine.
  Duration from{0};
  Duration to{0};
};

struct SimulationResult {
  std::vector<JobOutcome> outcomes;  ///< By job of the trace.
  std::vector<Segment> segments;     ///< By start, ties in the order of the trace.
  std::vector<HostRange> hosts;      ///< Positions of nodes.
  std::vector<Outage> outages;       ///< By begin.
  std::uint64_t events = 0;          ///< Submits, starts and finishes.
  std::uint64_t plans = 0;
  std::uint64_t preemptions = 0;  ///< By other jobs and by spot notices.
  std::uint64_t node_losses = 0;
  std::uint64_t interrupted = 0;   ///< Attempts that ended because a node was lost.
  double lost_gpu_seconds = 0;     ///< Work done again, checkpoints on request and restarts, in device seconds.
  double lost_cpu_seconds = 0;     ///< The same of jobs without GPUs, in processor seconds.
  double fairness = 1;             ///< Jain's index; see fairness.h.
  std::uint64_t gpus_ignored = 0;  ///< Jobs whose GPUs were not modelled, because the hosts have processors alone.
};

/// Where a long run is.
struct SimulationProgress {
  Duration now{0};
  std::uint64_t events = 0;
  std::uint64_t ended = 0;
  std::uint64_t jobs = 0;
};

/// Runs the trace on the machine, event by event, with the planner that the server uses. Deterministic: equal arguments give equal results.
///
/// Events of equal time form one batch: all ends, then all submits in file order, then one plan. A job that is evicted checkpoints when
/// that fits its grace, leaves, and waits again with its place; a lost node costs the work since the last checkpoint. On hosts with
/// processors alone only processors are modelled. `watch` is called now and then; false ends the run. Errors: those of the queues and
/// their policies, INVALID_ARGUMENT "sim.queue", "sim.fault"; RESOURCE_EXHAUSTED "sim.too_many_events"; OUT_OF_RANGE "sim.horizon";
/// INTERNAL "sim.stalled"; CANCELLED "sim.stopped".
Result<SimulationResult> simulate(const Trace& trace, const Machine& machine, const SimulationSettings& settings,
                                  const std::function<bool(const SimulationProgress&)>& watch = {});

/// The schedule as CSV, in the ids of the machine's hosts.
std::string schedule_csv(const Trace& trace, const Machine& machine, const SimulationResult& result);

}  // namespace trainyard::sim
