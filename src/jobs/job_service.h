#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/executor.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/rng.h"
#include "exec/execution_backend.h"
#include "jobs/attempt_builder.h"
#include "jobs/commit_pipeline.h"
#include "jobs/job.h"
#include "jobs/limits.h"
#include "jobs/scheduler_book.h"
#include "store/job_ledger.h"

namespace trainyard::jobs {

struct JobServiceSettings {
  std::uint64_t seed = 1;               ///< Of the backoff jitter.
  std::size_t live_jobs_max = 200'000;  ///< Beyond it submits are refused with RESOURCE_EXHAUSTED "queue.full".
  std::size_t idempotency_keys_max = 100'000;
  sched::SchedulerSettings scheduler = sched::SchedulerSettings::standard();  ///< Of the installation's own pool.
};

/// A job to be: decoded, checked and with its inputs resolved.
struct Submission {
  JobSpec spec;
  Document resolved;
  std::string owner;
  std::string idempotency_key;  ///< Empty: none.
  std::string fingerprint;      ///< Hash of the body that came with the key.
};

/// Drives jobs: events -> pure transitions -> one ledger batch -> launches, stops and replies. Lives on one strand: every method is called
/// there and every callback runs there. Nothing is answered, launched or published before the commit that holds it.
class JobService final : public exec::AttemptObserver {
 public:
  struct Deps {
    Executor& strand;
    Clock& clock;
    store::JobLedger& ledger;
    exec::ExecutionBackend& backend;
    AttemptBuilder& builder;
    LogSink& log;
  };
  struct Hooks {
    std::function<void(const Error&)> on_fatal;          ///< The ledger failed: end the process.
    std::function<void(const Job&)> on_attempt_started;  ///< After the commit: tracking opens the run.
    std::function<void(const Job&)> on_ended;            ///< After the commit.
  };
  using EventListener = std::function<void(const store::EventRecord&)>;

  JobService(JobServiceSettings settings, Deps deps, Hooks hooks);
  ~JobService() override;

  /// Loads the live jobs and hands launched attempts back to the backend. Blocks; before anything else is called.
  Result<void> recover();

  /// Errors: FAILED_PRECONDITION "spec.impossible_resources", RESOURCE_EXHAUSTED "queue.full", INVALID_ARGUMENT "idempotency.mismatch".
  void submit(Submission submission, std::function<void(Result<JobId>)> done);
  /// Asks a job to stop; done when that is durable. A terminal job is no error. Errors: NOT_FOUND "job.unknown".
  void stop(JobId id, StopIntent intent, std::string why, std::function<void(Result<void>)> done);
  /// The job as of the last commit, if it is live. Errors: NOT_FOUND "job.not_live": ask the ledger.
  void get(JobId id, std::function<void(Result<Job>)> done);
  /// Why a queued job waits, by the newest plan. Errors: NOT_FOUND "job.not_waiting".
  Result<sched::Explanation> explain(JobId id) const { return book_.explain(id, now()); }
  /// When it would start if others ran as long as predicted: SchedulerBook::planned_start.
  std::optional<TimePoint> planned_start(JobId id) { return book_.planned_start(id, now()); }
  /// What alone would start it now, found by the planner itself. Errors: NOT_FOUND "job.not_waiting"; RESOURCE_EXHAUSTED "sched.slow_plan"
  /// while a plan takes so long that thirty of them would keep running jobs waiting.
  Result<std::vector<sched::Fix>> fixes(JobId id) const;
  /// Whether the nodes that are known could ever hold the job, and its queue takes it. Errors: SchedulerBook::check_possible.
  Result<void> check_fits(const JobSpec& spec);
  /// Runs `done` when everything applied so far is durable, so that the ledger may be read.
  void barrier(std::function<void()> done);

  /// Event lines of a rank. Answers with the durable count. Errors: ABORTED "lease.fenced", FAILED_PRECONDITION "events.gap".
  void append_events(const RankKey& rank, std::uint64_t first, const std::vector<Document>& events,
                     std::function<void(Result<std::uint64_t>)> done);
  /// The durable count. Errors: ABORTED "lease.fenced".
  Result<std::uint64_t> events_taken(const RankKey& rank) const;
  /// True while the attempt is the current one of a job that is not terminal.
  bool is_current(const AttemptKey& attempt) const;
  std::optional<RunId> run_of(JobId id) const;

  /// Calls `listener` for every event published from now on, in order, until unsubscribed.
  std::uint64_t subscribe(EventListener listener);
  void unsubscribe(std::uint64_t subscription);

  std::size_t live_count() const { return jobs_.size(); }
  /// The newest event that was given a number.
  EventNumber last_event() const { return last_event_; }
  std::map<JobState, std::size_t> counts() const;

  // exec::AttemptObserver
  void on_rank_running(const RankKey& rank, TimePoint started_at) override;
  void on_rank_exited(const RankKey& rank, const exec::RankExit& exit) override;
  void on_ranks_lost(const std::vector<RankKey>& ranks, const std::string& why) override;
  void on_nodes_changed() override;

 private:
  /// What memory knows beside the durable job.
  struct Live {
    Job job;
    MonotonicPoint queued_mono;                 ///< For the queue limit.
    MonotonicPoint started_mono;                ///< For the total limit.
    MonotonicPoint attempt_mono;                ///< For the attempt limit.
    MonotonicPoint progress_mono;               ///< For the no-progress limit.
    std::vector<std::uint64_t> durable_events;  ///< By rank: event lines of this attempt that a crash cannot undo.
  };

  TimePoint now() const;
  Live* find_current(const AttemptKey& attempt);
  void touch(Live& live);
  void emit(const Job& job, std::string_view type, Document values = Document::object());
  void request_plan();
  void run_plan();
  void plan_at(MonotonicPoint time);
  void launch_after_commit(const Job& job);
  void stop_live(Live& live, StopIntent intent, std::string why, Duration grace_max);
  void stop_after_commit(const AttemptKey& attempt, exec::StopReason reason, Duration grace_max);
  void forget_after_commit(const AttemptKey& attempt);
  void settle(Live& live);
  void remember_key(const store::IdempotencyRecord& record);
  Result<std::optional<JobId>> find_replay(const Submission& submission) const;
  store::LedgerBatch collect();
  void publish(const std::vector<store::EventRecord>& events);
  void release_ended(JobId id);
  void check_limits();
  LimitClock limit_clock(const Live& live) const;
  void arm_limit_timer(const Live& live);
  void launch(const SchedulerBook::Launch& decided);

  JobServiceSettings settings_;
  Deps deps_;
  Hooks hooks_;
  SeededRng rng_;
  CommitPipeline pipeline_;
  TimePoint wall_origin_;
  MonotonicPoint mono_origin_;

  std::map<JobId, Live> jobs_;
  SchedulerBook book_;  ///< Waiting jobs and those that hold resources, as the planner sees them.
  std::set<JobId> dirty_;
  JobId last_job_;
  EventNumber last_event_;
  std::vector<store::EventRecord> new_events_;
  std::vector<store::IdempotencyRecord> new_keys_;
  std::unordered_map<std::string, store::IdempotencyRecord> keys_;
  std::map<TimePoint, std::vector<std::string>> key_ages_;
  std::map<std::uint64_t, EventListener> listeners_;
  std::uint64_t last_subscription_ = 0;
  bool plan_posted_ = false;
  std::optional<MonotonicPoint> limit_timer_;
  /// Timers posted to the strand outlive the service in tests: they hold this and look before they act.
  std::optional<MonotonicPoint> plan_timer_;
  Duration plan_took_{0};                                       ///< The newest one.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // shared: owned here, watched by posted tasks
};

}  // namespace trainyard::jobs
