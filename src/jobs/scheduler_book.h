#pragma once
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "exec/execution_backend.h"
#include "jobs/job.h"
#include "sched/explain.h"
#include "sched/fix.h"
#include "sched/prediction.h"
#include "sched/scheduler_spec.h"
#include "sched/state.h"

namespace trainyard::jobs {

/// That an operator has stopped a queue.
struct QueueStop {
  std::string reason;  ///< For people.
  std::string by;
  TimePoint since;
};

/// Keeps the planner's state in step with the jobs: told of every change, asked for a plan. Placements have names here and positions there.
/// Not thread-safe.
class SchedulerBook {
 public:
  /// Settings come from scheduler_settings_from or are the standard ones (CHECK).
  explicit SchedulerBook(const sched::SchedulerSettings& settings);

  /// The nodes as the backend knows them now. A node that is missing is taken to be down.
  void set_nodes(const std::vector<exec::NodeView>& nodes);
  /// Errors: FAILED_PRECONDITION "spec.impossible_resources" when the configured nodes could never hold it; NOT_FOUND "queue.unknown" or
  /// FAILED_PRECONDITION "queue.closed".
  Result<void> check_possible(const JobSpec& spec) const;
  /// Whether the configured nodes could ever hold so many tasks of this size.
  bool could_hold(const Resources& task, std::int64_t tasks) const;

  /// A new or released job waits for room. Does nothing when that is known.
  void queued(const Job& job);
  /// A waiting job will not run, or not now. Does nothing when it does not wait.
  void withdrawn(JobId id);
  /// A queue that an operator has stopped starts nothing, and its jobs lose what they were promised; with none the queue starts jobs again,
  /// also if its settings have it stopped. Errors: NOT_FOUND "queue.unknown".
  Result<void> set_stop(const std::string& queue, std::optional<QueueStop> stop);
  /// Of the queues that are stopped now by an operator.
  const std::map<std::string, QueueStop>& stops() const { return stops_; }
  /// Whether its settings have it stopped. Errors: NOT_FOUND "queue.unknown".
  Result<bool> is_stopped_by_settings(const std::string& queue) const;
  /// Another priority, of a waiting or a running job.
  void set_priority(JobId id, std::int64_t priority);
  /// A launched job of an earlier life of the server holds its nodes.
  void adopted(const Job& job);
  /// A rank has given its room back, its gang goes on.
  void rank_exited(const Job& job);
  /// The attempt is over. A job that may start again at once or after its backoff waits for room.
  void ended(const Job& job, bool evicted, TimePoint now);
  /// Was asked to stop; holds its room until it has.
  void stopping(JobId id, TimePoint deadline);
  void checkpointed(JobId id, TimePoint at);

  struct Launch {
    JobId job;
    std::vector<NodeName> nodes;  ///< By rank.
  };
  struct Eviction {
    JobId victim;
    JobId on_behalf_of;
    Duration grace{0};  ///< Of the preemptor's queue.
  };
  struct Orders {
    std::vector<Launch> launches;
    std::vector<Eviction> evictions;
    std::optional<TimePoint> wake_at;
  };
  /// Plans, and takes the plan as carried out.
  Orders plan(TimePoint now);

  std::optional<sched::Wait> wait_of(JobId id, TimePoint now) const;
  /// Errors: NOT_FOUND "job.not_waiting".
  Result<sched::Explanation> explain(JobId id, TimePoint now) const;
  Result<std::vector<sched::Fix>> fixes(JobId id, TimePoint now) const { return sched::fixes_of(state_, id, now); }
  /// When the job would start if others ran as long as their users' last ones did and nothing else came: never what is promised, never what
  /// decides. None: it is not known, or more than kPlannedJobsMax wait. Kept for a while, since one answer plans for all.
  std::optional<TimePoint> planned_start(JobId id, TimePoint now);
  static constexpr std::size_t kPlannedJobsMax = 250;
  const sched::SchedulerState& state() const { return state_; }
  /// The job as a planner of `state`, which may be a copy of this one's, is to see it.
  sched::JobSnapshot snapshot_in(sched::SchedulerState& state, const Job& job) const;

 private:
  sched::JobSnapshot snapshot_of(const Job& job) { return snapshot_in(state_, job); }
  sched::NodeIndex node_of(const NodeName& name);

  sched::SchedulerState state_;
  sched::Decisions decisions_;  ///< Of the newest plan.
  sched::RuntimePredictor predictor_;
  std::map<std::string, sched::QueueSettings::State> configured_;  ///< By queue, what the settings say.
  std::map<std::string, QueueStop> stops_;
  struct PlannedStarts {
    std::uint64_t epoch = 0;
    TimePoint at;
    std::vector<std::pair<JobId, TimePoint>> starts;  ///< Ascending by job.
  };
  std::optional<PlannedStarts> planned_;
  std::unordered_map<JobId, std::vector<sched::TaskPlace>> ranks_;  ///< Of launched jobs: where each rank is.
};

}  // namespace trainyard::jobs
