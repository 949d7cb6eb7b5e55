#pragma once
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/executor.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/rng.h"
#include "exec/execution_backend.h"
#include "jobs/array.h"
#include "jobs/attempt_builder.h"
#include "jobs/commit_pipeline.h"
#include "jobs/dependencies.h"
#include "jobs/idempotency_keys.h"
#include "jobs/job.h"
#include "jobs/job_table.h"
#include "jobs/limits.h"
#include "jobs/scheduler_book.h"
#include "jobs/transitions.h"
#include "jobs/what_if.h"
#include "store/job_ledger.h"

namespace trainyard::jobs {

struct JobServiceSettings {
  std::uint64_t seed = 1;                        ///< Of the backoff jitter.
  std::size_t live_jobs_max = 200'000;           ///< Beyond it submits are refused with RESOURCE_EXHAUSTED "queue.full".
  std::size_t idempotency_keys_max = 1'000'000;  ///< Beyond it the oldest keys are forgotten before their day is over.
  sched::SchedulerSettings scheduler = sched::SchedulerSettings::standard();  ///< Of the installation's own pool.
};

/// A job to be: decoded, checked and with its inputs resolved.
struct Submission {
  JobSpec spec;
  Document resolved;
  std::string owner;
  std::string idempotency_key;  ///< Empty: none.
  std::string fingerprint;      ///< Hash of the body that came with the key.
  JobId retried_from;           ///< The ended job that this one repeats.
  /// How the jobs of `spec.after` have ended that are not live any more: ended_states.
  std::map<JobId, JobState> ended_dependencies;
};

/// What submits the same job again: without its dependencies, which have had their time, and not held. Errors: FAILED_PRECONDITION
/// "job.not_ended" while it is live, "job.succeeded" when there is nothing to repeat.
Result<Submission> resubmission_of(const Job& job);

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

  /// The same key and fingerprint again answers with the same job, also when it has ended; while the first is being committed, when it is.
  /// A job whose dependency can never be met any more is taken and cancelled at once. Errors: FAILED_PRECONDITION
  /// "spec.impossible_resources", RESOURCE_EXHAUSTED "queue.full", ALREADY_EXISTS "idempotency.mismatch", INVALID_ARGUMENT
  /// "spec.unknown_dependency" (placed at /after/N); ABORTED "dependency.not_looked_up" for an ended job that `ended_dependencies` lacks:
  /// look it up and ask again.
  void submit(Submission submission, std::function<void(Result<JobId>)> done);
  /// All of them in one commit, or none. Ids in the order of the submissions. Errors: as submit; `where` begins with the position, "/3".
  void submit_batch(std::vector<Submission> submissions, std::function<void(Result<std::vector<JobId>>)> done);
  /// Jobs that `spec` waits for and whose end only the ledger knows.
  std::vector<JobId> dependencies_to_look_up(const JobSpec& spec) const;

  // Each of the following is done when it is durable, and may be repeated. An array passes it on to its elements. Errors of all: NOT_FOUND
  // "job.unknown"; of those but `stop` also FAILED_PRECONDITION "job.ended".

  /// Asks a job to stop. A job that has ended is no error.
  void stop(JobId id, StopIntent intent, std::string why, std::function<void(Result<void>)> done);
  /// Cancels the elements first..last of an array: those that run or wait, and those that are not made yet. Errors: also
  /// FAILED_PRECONDITION "job.no_array", INVALID_ARGUMENT "job.elements", NOT_FOUND "job.unknown_element".
  void cancel_elements(JobId id, std::int64_t first, std::int64_t last, std::string why, std::function<void(Result<void>)> done);
  /// Sends a running job back to its place in the queue, free of charge; it goes on from its last checkpoint. Others are left alone.
  void preempt(JobId id, std::string why, std::function<void(Result<void>)> done) {
    stop(id, StopIntent::kPreempt, std::move(why), std::move(done));
  }
  /// Keeps a job from being launched, now or, when it runs, once it waits again.
  void hold(JobId id, const std::string& who, std::function<void(Result<void>)> done);
  void release(JobId id, const std::string& who, std::function<void(Result<void>)> done);
  /// A waiting job moves at once. Errors: also INVALID_ARGUMENT "spec.range".
  void set_priority(JobId id, std::int64_t priority, const std::string& who, std::function<void(Result<void>)> done);
  /// Asks the program to write a checkpoint and go on. Errors: also FAILED_PRECONDITION "job.not_running".
  void request_checkpoint(JobId id, std::function<void(Result<void>)> done);

  /// The job as of the last commit, if it is live. Errors: NOT_FOUND "job.not_live": ask the ledger.
  void get(JobId id, std::function<void(Result<Job>)> done);
  /// Why a queued job waits: what holds it back, or what the newest plan says. For an array, why its next element does. Errors: NOT_FOUND
  /// "job.not_waiting".
  Result<sched::Explanation> explain(JobId id) const;
  /// The binding reason alone; none for a job that does not wait.
  std::optional<sched::Wait> wait_of(JobId id) const;
  /// When it would start if others ran as long as predicted: SchedulerBook::planned_start.
  std::optional<TimePoint> planned_start(JobId id) { return book_.planned_start(id, now()); }
  /// What alone would start it now, found by the planner itself. Errors: NOT_FOUND "job.not_waiting"; RESOURCE_EXHAUSTED "sched.slow_plan"
  /// while a plan takes so long that thirty of them would keep running jobs waiting.
  Result<std::vector<sched::Fix>> fixes(JobId id) const;
  /// Whether the nodes that are known could ever hold the job, and its queue takes it. Errors: SchedulerBook::check_possible.
  Result<void> check_fits(const JobSpec& spec);

  /// Whether an operator lets a queue start jobs, from the next plan on; who asks keeps it over restarts, and says it before recover again.
  /// Errors: NOT_FOUND
  /// "queue.unknown".
  Result<void> set_queue_stop(const std::string& queue, std::optional<QueueStop> stop);
  const SchedulerBook& book() const { return book_; }

  /// Sees to what no event calls for, to be called every second or so: keys that are too old leave memory and ledger, and when nothing was
  /// committed for `quiet`, an empty commit asks whether the ledger is still ours: if another has taken it, on_fatal hears of it.
  void keep_house(Duration quiet);

  // What would be if: job_service_what_if.cpp. Nothing changes, and the answer is for Trial to find.

  /// What would become of a submit; an idempotency key counts for nothing. Errors: as submit.
  Result<Trial> try_submit(Submission submission);
  /// Errors: FAILED_PRECONDITION "job.ended", NOT_FOUND "node.unknown".
  Result<Trial> try_change(const TriedChange& change);
  /// Making a trial copies all that waits and runs: not before this, so that with very many jobs other work goes on.
  MonotonicPoint next_trial() const { return next_trial_; }
  struct Label {
    std::string name;
    std::string name_space;
  };
  /// How a live job is called and where it belongs, which never changes.
  std::optional<Label> label_of(JobId id) const;

  /// Runs `done` when everything applied so far is durable, so that the ledger may be read.
  void barrier(std::function<void()> done);

  /// Event lines of a rank. Answers with the durable count. Errors: ABORTED "lease.fenced", FAILED_PRECONDITION "events.gap".
  void append_events(const RankKey& rank, std::uint64_t first, const std::vector<Document>& events,
                     std::function<void(Result<std::uint64_t>)> done);
  /// The durable count. Errors: ABORTED "lease.fenced".
  Result<std::uint64_t> events_taken(const RankKey& rank) const;
  /// True while the attempt is the current one of a job that is not terminal.
  bool is_current(const AttemptKey& attempt) const;
  /// The job as it was applied last, durable or not; none when it is not live. Good until the strand's next task.
  const Job* live_job(JobId id) const;

  /// Calls `listener` for every event published from now on, in order, until unsubscribed.
  std::uint64_t subscribe(EventListener listener);
  void unsubscribe(std::uint64_t subscription);

  /// What the planner sees: queues, nodes and waiting jobs.
  const sched::SchedulerState& planner_state() const { return book_.state(); }
  /// Arrays and elements that are live count each.
  std::size_t live_count() const { return jobs_.size(); }
  /// The newest event that was given a number.
  EventNumber last_event() const { return last_event_; }
  /// Live jobs by state; states without any are left out.
  std::map<JobState, std::size_t> counts() const;

  // exec::AttemptObserver
  void on_rank_running(const RankKey& rank, TimePoint started_at) override;
  void on_rank_limited(const RankKey& rank, const std::string& limited_by) override;
  void on_rank_exited(const RankKey& rank, const exec::RankExit& exit) override;
  void on_ranks_lost(const std::vector<RankKey>& ranks, const std::string& why) override;
  void on_nodes_changed() override;

 private:
  using Done = std::function<void(Result<void>)>;

  /// What memory knows beside the durable job.
  struct Live {
    Job job;
    std::string settled_part;                   ///< Of its JSON; empty until it is written again.
    MonotonicPoint queued_mono;                 ///< For the queue limit.
    MonotonicPoint started_mono;                ///< For the total limit.
    MonotonicPoint attempt_mono;                ///< For the attempt limit.
    MonotonicPoint step_mono;                   ///< For the step limit.
    MonotonicPoint progress_mono;               ///< For the no-progress limit.
    std::optional<MonotonicPoint> limit_due;    ///< Its entry in limits_due_.
    std::vector<std::uint64_t> durable_events;  ///< By rank: event lines of this attempt that a crash cannot undo.
    JobState counted = JobState::kQueued;       ///< As what it is in counts_.
    bool dirty = false;
    bool written = false;  ///< The ledger has it.
  };
  /// Live elements of one array.
  struct Elements {
    std::set<JobId> live;
    std::set<JobId> waiting;  ///< QUEUED among them.
    LiveElements counts() const { return {static_cast<std::int64_t>(live.size()), static_cast<std::int64_t>(waiting.size())}; }
  };
  /// Jobs that came are planned less eagerly than room: while none is given back they wait behind others anyway.
  enum class PlanCause { kArrival, kRoom };
  struct Planning {
    bool posted = false;
    std::optional<MonotonicPoint> timer;
    Duration took{0};          ///< The newest plan.
    MonotonicPoint ended;      ///< When that was.
    bool started_jobs = true;  ///< It launched or evicted.
    bool nodes_seen = false;   ///< Since then.
  };

  TimePoint now() const;
  Live* find(JobId id) { return jobs_.find(id); }
  const Live* find(JobId id) const { return jobs_.find(id); }
  Live* find_current(const AttemptKey& attempt);

  // job_service.cpp
  Result<void> load(std::span<const store::JobRecord> records, std::vector<JobId>& ids);
  Result<void> recover_dependencies(const std::vector<JobId>& ids);
  void take_up(Live& live);
  void touch(Live& live);
  void emit(const Job& job, std::string_view type);
  void emit(const Job& job, std::string_view type, Document values);
  void record(const Job& job, std::string_view type, std::string body);
  store::LedgerBatch collect();
  void publish(const std::vector<store::EventRecord>& events);

  // job_service_submit.cpp
  Result<std::optional<JobId>> examine(const Submission& submission, std::size_t others);
  Result<void> check_dependencies(const Submission& submission) const;
  std::optional<JobState> end_of(JobId id, const std::map<JobId, JobState>& looked_up) const;
  JobId admit(Submission& submission);
  void introduce(Live& live);
  void enter(Live& live);
  std::int64_t make_some_elements(Live& parent);

  // job_service_what_if.cpp
  Trial empty_trial();

  // job_service_house.cpp
  std::optional<TimePoint> forget_keys_before();

  // job_service_control.cpp
  Live* find_for_change(JobId id, const Done& done);
  void stop_any(Live& live, StopRequest request);
  void stop_single(Live& live, StopRequest request, Duration grace_max);
  void stop_array(Live& parent, StopRequest request);
  bool checkpoint_live(Live& live);
  const Hold* array_hold(const Job& job) const;
  const Live* next_element(JobId array) const;
  void sync_book(Live& live);

  // job_service_ends.cpp
  void note_end(JobId id);
  void settle_dependants(const Live& ended);
  bool settle_dependency_of(Live& waiting, JobId ended, JobState state);
  void settle_element(const Live& element);
  void sync_element(const Live& element);
  void make_elements(JobId array);
  void make_elements_of_all();
  void release_ended(JobId id);

  // job_service_ranks.cpp
  void settle(Live& live);
  void launch(const SchedulerBook::Launch& decided);
  exec::GangLaunch build_launch(const Job& job);
  void launch_after_commit(const Job& job);
  void stop_after_commit(const AttemptKey& attempt, exec::StopReason reason, Duration grace_max);
  void forget_after_commit(const AttemptKey& attempt);
  void drain_nodes();

  // job_service_plan.cpp
  void request_plan(PlanCause cause = PlanCause::kRoom);
  void run_plan();
  void plan_at(MonotonicPoint time);
  void check_limits();
  LimitClock limit_clock(const Live& live) const;
  void arm_limit(Live& live);
  void arm_limit_timer();

  JobServiceSettings settings_;
  Deps deps_;
  Hooks hooks_;
  SeededRng rng_;
  CommitPipeline pipeline_;
  TimePoint wall_origin_;
  MonotonicPoint mono_origin_;
  std::string run_prefix_;

  JobTable<Live> jobs_;
  std::array<std::size_t, 8> counts_{};  ///< Of jobs_, by state.
  SchedulerBook book_;                   ///< Waiting jobs and those that hold resources, as the planner sees them.
  DependencyIndex dependants_;
  RecentEnds recent_ends_;
  std::map<JobId, Elements> arrays_;  ///< Live ones.
  std::set<JobId> arrays_to_fill_;
  std::vector<JobId> ended_;  ///< Whose end is not passed on yet.
  bool settling_ends_ = false;

  bool recovered_ = false;
  std::vector<JobId> dirty_;
  JobId last_job_;
  EventNumber last_event_;
  std::vector<store::EventRecord> new_events_;
  std::vector<store::IdempotencyRecord> new_keys_;
  IdempotencyKeys keys_;
  std::uint64_t keys_dropped_ = 0;    ///< Keys that the ledger was told to forget, as far as keys_ has forgotten them.
  MonotonicPoint keys_dropped_at_{};  ///< When it was told last.
  MonotonicPoint committed_at_{};     ///< When the newest batch was gathered.
  std::map<std::uint64_t, EventListener> listeners_;
  std::uint64_t last_subscription_ = 0;
  Planning planning_;
  MonotonicPoint next_trial_{};
  std::multimap<MonotonicPoint, JobId> limits_due_;  ///< When to look at the limits of a job next; entries may be out of date.
  std::optional<MonotonicPoint> limit_timer_;
  /// Timers posted to the strand outlive the service in tests: they hold this and look before they act.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // shared: owned here, watched by posted tasks
};

}  // namespace trainyard::jobs
