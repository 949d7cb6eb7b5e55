#pragma once
#include <functional>
#include <optional>
#include <vector>

#include "sched/prediction.h"
#include "sched/state.h"
#include "sim/fairness.h"
#include "sim/internal/event_queue.h"
#include "sim/internal/job_run.h"
#include "sim/job_request.h"
#include "sim/simulation.h"

namespace trainyard::sim {

/// One simulation: made, prepared, run and dropped.
class Simulator {
 public:
  Simulator(const Trace& trace, const Machine& machine, const SimulationSettings& settings,
            const std::function<bool(const SimulationProgress&)>& watch);

  Result<SimulationResult> run();

 private:
  static constexpr std::uint64_t kBatchesPerLook = 4096;       ///< Between two calls of the watcher.
  static constexpr std::uint64_t kIdleBatchesMax = 1'000'000;  ///< Without a submit, start or finish: nothing will come any more.
  static constexpr Duration kHorizon = std::chrono::seconds(10'000'000'000);

  enum class Departure { kEvicted, kNodeLost };

  static TimePoint at(Duration time) { return TimePoint(time); }
  static JobId id_of(std::uint32_t job) { return JobId(std::uint64_t{job} + 1); }
  static std::uint32_t number_of(JobId id) { return static_cast<std::uint32_t>(id.value - 1); }

  Result<void> prepare();
  Result<void> add_queues();
  void plan_faults();
  Result<void> loop();
  std::optional<Duration> next_time();
  bool is_void(const Event& event) const;
  void handle(const Event& event);
  void submit(std::uint32_t job);
  void decide();
  void finish_result();

  // A job's life: simulator.cpp.
  Duration believed(std::uint32_t job) const;
  void begin(std::uint32_t job, const sched::Placement& nodes);
  void plan_end(std::uint32_t job);
  void tell_end(std::uint32_t job);
  void tell_departure(std::uint32_t job, Duration time);
  void overrun(std::uint32_t job);
  void end(std::uint32_t job);
  void release_dependents(std::uint32_t job);
  void open_segment(std::uint32_t job, const sched::Placement& nodes);
  void close_segment(std::uint32_t job, SegmentState state);
  void conclude(std::uint32_t job, Fate fate);

  // Leaving and coming back: simulator_departures.cpp.
  void update_checkpoints();
  void plan_departure(std::uint32_t job, Duration time, EventKind kind);
  void ask_to_leave(std::uint32_t job, Duration grace);
  void depart(std::uint32_t job, Departure departure);
  void charge_loss(std::uint32_t job, Duration work);
  void ask_to_shrink(std::uint32_t job);
  void shrunk(std::uint32_t job);
  void resized(std::uint32_t job, const sched::Placement& nodes);
  bool shrink_away(std::uint32_t job, sched::NodeIndex node);
  std::vector<std::uint32_t> jobs_on(sched::NodeIndex node) const;
  void lose_node(std::uint32_t fault);
  void give_notice(std::uint32_t fault);
  void node_back(std::uint32_t fault);
  void add_fault(const Fault& fault, bool by_chance);
  void throw_dice(const Fault& last);

  /// What the job uses per task of the resource by which fairness is measured.
  std::int64_t amount_of(std::uint32_t job) const;
  std::uint32_t group_of(std::uint32_t job) const;

  const Trace& trace_;
  const Machine& machine_;
  const SimulationSettings& settings_;
  const std::function<bool(const SimulationProgress&)>& watch_;

  sched::SchedulerState state_;
  EventQueue events_;
  RequestMaker requests_;
  FitMemory fit_;
  std::vector<JobRequest> made_;  ///< By job; from its submit on.
  std::vector<JobRun> runs_;
  std::vector<sched::QueueIndex> queue_of_;  ///< By queue of the trace.
  std::vector<sched::UserIndex> user_of_;    ///< By user of the trace.
  sched::RuntimePredictor predictor_;
  std::vector<std::vector<std::uint32_t>> dependents_;  ///< Empty when no job depends on another.
  std::optional<FairnessMeter> fairness_;
  bool group_by_queue_ = false;
  bool measure_gpus_ = false;
  std::vector<std::uint32_t> checkpointing_;  ///< Running jobs with periodic checkpoints, when the planner asks for their age.
  std::vector<Fault> faults_;
  std::vector<char> by_chance_;  ///< By fault.
  std::optional<FaultDice> dice_;
  std::vector<std::int32_t> absences_;  ///< By node: losses that have not been repaired.
  std::size_t chance_events_ = 0;       ///< In events_: they come for ever.
  std::uint32_t wake_generation_ = 0;
  Duration wake_at_{-1};
  Duration now_{0};
  std::uint32_t next_job_ = 0;
  std::uint64_t ended_ = 0;
  std::uint64_t batches_ = 0;
  std::uint64_t idle_batches_ = 0;
  SimulationResult result_;
};

}  // namespace trainyard::sim
