#pragma once
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/testing/fake_clock.h"
#include "jobs/job_service.h"
#include "jobs/testing/scripted_backend.h"
#include "sim/fairness.h"
#include "sim/internal/event_queue.h"
#include "sim/internal/job_run.h"
#include "sim/internal/virtual_strand.h"
#include "sim/job_request.h"
#include "sim/simulation.h"
#include "store/testing/fake_job_ledger.h"

namespace trainyard::sim {

/// One simulation of a JobService: made, run and dropped. It is the cluster that the service launches on.
class JobsSimulator final : private exec::ExecutionBackend {
 public:
  JobsSimulator(const Trace& trace, const Machine& machine, const SimulationSettings& settings,
                const std::function<bool(const SimulationProgress&)>& watch);

  Result<SimulationResult> run();

 private:
  static constexpr std::uint64_t kBatchesPerLook = 256;        ///< Between two calls of the watcher.
  static constexpr std::uint64_t kIdleBatchesMax = 1'000'000;  ///< Without a submit, start or finish: nothing will come any more.
  static constexpr Duration kHorizon = std::chrono::seconds(10'000'000'000);
  static constexpr std::uint32_t kNoJob = 0xffffffff;

  /// A job on the simulated nodes.
  struct Run {
    JobRun work;
    JobRequest made;
    AttemptKey attempt;
    std::optional<exec::StopReason> stopped;  ///< Why it was asked to leave.
  };

  class QuietLog final : public LogSink {
   public:
    void write(const LogEvent&) override {}
  };

  Result<void> prepare();
  Result<sched::SchedulerSettings> scheduler_settings() const;
  Result<void> loop();
  std::optional<Duration> next_time();
  Result<void> check_bounds();
  bool is_void(const Event& event) const;
  std::vector<Event> take_due();
  void run_batch();
  void submit(std::uint32_t job);
  jobs::Submission submission_of(std::uint32_t job) const;
  void ended(const jobs::Job& job);
  void conclude(std::uint32_t job, Fate fate);
  void exit_ranks(std::uint32_t job);
  void leave(std::uint32_t job);
  void open_segment(std::uint32_t job, const std::vector<NodeName>& nodes);
  void close_segment(std::uint32_t job, SegmentState state);
  void charge_loss(std::uint32_t job, Duration work);
  Duration limit_end(std::uint32_t job) const;
  std::uint32_t running_job(const AttemptKey& attempt) const;
  std::int64_t amount_of(std::uint32_t job) const;
  std::uint32_t group_of(std::uint32_t job) const;
  void finish_result();

  // exec::ExecutionBackend
  void set_observer(exec::AttemptObserver& observer) override { observer_ = &observer; }
  std::vector<exec::NodeView> nodes() const override { return views_; }
  void launch(const exec::GangLaunch& launch) override;
  void stop(const AttemptKey& attempt, exec::StopReason reason, Duration grace_max) override;
  void request_checkpoint(const AttemptKey& attempt) override;
  void forget(const AttemptKey&) override {}  ///< Nodes keep nothing about a rank that has exited.
  void adopt(const exec::GangLaunch& launch) override { JobsSimulator::launch(launch); }

  const Trace& trace_;
  const Machine& machine_;
  const SimulationSettings& settings_;
  const std::function<bool(const SimulationProgress&)>& watch_;

  trainyard::testing::FakeClock clock_;
  VirtualStrand strand_;
  store::testing::FakeJobLedger ledger_;
  jobs::testing::PlainBuilder builder_;
  QuietLog log_;
  std::optional<jobs::JobService> service_;
  exec::AttemptObserver* observer_ = nullptr;
  MonotonicPoint mono_origin_;

  RequestMaker requests_;
  std::vector<exec::NodeView> views_;
  std::unordered_map<std::string, std::uint32_t> node_positions_;
  EventQueue events_;  ///< kEnd: the work is done. kLeave: a stopped job has gone. kOverrun: its limit passes, so that it will be stopped.
  std::vector<Run> runs_;                 ///< By job of the trace.
  std::vector<std::uint32_t> number_of_;  ///< By job id, from 1.
  std::optional<FairnessMeter> fairness_;
  bool group_by_queue_ = false;
  bool measure_gpus_ = false;
  std::optional<Error> failure_;
  Duration now_{0};
  std::uint32_t next_job_ = 0;
  std::uint64_t ended_ = 0;
  std::uint64_t batches_ = 0;
  std::uint64_t idle_batches_ = 0;
  SimulationResult result_;
};

}  // namespace trainyard::sim
