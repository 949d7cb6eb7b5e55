#pragma once
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sched/job.h"
#include "sched/job_index.h"
#include "sched/workload.h"

namespace trainyard::sched {

class OrderPolicy;
class BackfillPolicy;
class PlacementPolicy;

/// Parameters of policies by name, as `k=4` sets them.
using PolicyParameters = std::map<std::string, double>;

/// Preemption by the jobs of one queue.
struct PreemptionSettings {
  bool enabled = false;
  Duration grace{30'000'000};
  Duration minimum_run_time{0};  ///< A job that runs shorter is no victim.
  std::int32_t evictions_per_job_max = 3;
  std::int32_t evictions_per_minute_max = 60;  ///< Of the whole cluster.

  bool operator==(const PreemptionSettings&) const = default;
};

/// A leaf (with jobs) or an inner node (a cohort) of the queue tree.
struct QueueSettings {
  enum class State { kOpen, kStopped, kDraining };  ///< Stopped: nothing starts. Draining: takes no new jobs.

  std::string name = "default";
  std::string parent;                ///< Empty: the root.
  std::int64_t weight_milli = 1000;  ///< 1000 = weight 1.
  std::optional<Amounts> nominal;    ///< Quota; kUnlimited in a kind: none there. Without it nothing limits and nothing is its own.
  Amounts borrow_limit = Amounts::unlimited();  ///< Beyond nominal.
  Amounts lend_limit = Amounts::unlimited();
  std::string order = "fifo";
  std::string backfill = "strict_fifo";
  std::string placement = "first_fit";
  PolicyParameters parameters;
  std::int64_t running_jobs_max = kUnlimited;
  std::int64_t running_jobs_per_user_max = kUnlimited;
  State state = State::kOpen;
  PreemptionSettings preemption;

  bool operator==(const QueueSettings&) const = default;
};

struct UserState {
  std::string name;
  std::string account;  ///< Groups users in a fair tree; empty: their queue.
  std::int64_t weight_milli = 1000;
  double decayed_usage = 0;  ///< Dominant-share seconds, decayed with half-life H as of `usage_at`.
  TimePoint usage_at;
};

/// Place of a waiting job in its queue.
struct PendingEntry {
  std::int32_t tier = 0;
  TimePoint queued_at;
  std::uint64_t seq = 0;
  std::uint32_t slot = 0;  ///< Where QueueSnapshot keeps the job.

  /// Higher tiers first, then by age, then by arrival.
  bool before(const PendingEntry& other) const {
    if (tier != other.tier) return tier > other.tier;
    if (queued_at != other.queued_at) return queued_at < other.queued_at;
    return seq < other.seq;
  }
};

/// Waiting jobs of one queue, sorted. Taking from the front and adding at the end are cheap, anywhere else costs a move of what is nearer.
class PendingList {
 public:
  std::size_t size() const { return entries_.size() - head_; }
  bool empty() const { return size() == 0; }
  const PendingEntry& operator[](std::size_t position) const { return entries_[head_ + position]; }
  const PendingEntry* begin() const { return entries_.data() + head_; }
  const PendingEntry* end() const { return entries_.data() + entries_.size(); }
  void insert(const PendingEntry& entry);
  /// The entry must be there (CHECK).
  void erase(const PendingEntry& entry);
  std::size_t position_of(const PendingEntry& entry) const;

 private:
  std::vector<PendingEntry> entries_;  ///< Those before head_ are gone.
  std::size_t head_ = 0;
};

struct QueueState {
  QueueSettings settings;
  QueueIndex parent = kNoIndex;
  std::vector<QueueIndex> children;
  Amounts usage;  ///< Of running jobs in it and below.
  std::int64_t running_jobs = 0;
  double decayed_usage = 0;
  TimePoint usage_at;
  PendingList pending;                    ///< Of a leaf.
  Duration shortest_walltime = kForever;  ///< No waiting job has a shorter one. May be less than that of any.
  std::int64_t priority_least = 0;        ///< No waiting job has a lower one. May be lower than that of any.
  std::int64_t priority_most = 0;         ///< The same the other way.
  // Found by name in the table of policies when the queue is made.
  const OrderPolicy* order = nullptr;
  const BackfillPolicy* backfill = nullptr;
  const PlacementPolicy* placement = nullptr;

  bool leaf() const { return children.empty(); }
};

/// How the children of the queue tree share, and what the passes need to know beside jobs.
struct SharingSettings {
  std::string policy = "order";  ///< Among queues: "order" (one line by tier, priority and age), "drf", "hdrf", "fair_share".
  Duration half_life{std::chrono::hours(24 * 7)};  ///< Of decayed usage; 0: current use alone counts.
  std::uint64_t seed = 1;                          ///< For policies with a seeded order.
  bool operator==(const SharingSettings&) const = default;
};

/// The queue tree, waiting jobs and accounts: a value that the planner reads, kept up to date by SchedulerState.
/// Copying it forks it. Not thread-safe.
class QueueSnapshot {
 public:
  QueueSnapshot();

  /// Adds a queue below its parent, which must exist. Errors: INVALID_ARGUMENT "queue.unknown_policy", "queue.bad_parameter";
  /// NOT_FOUND "queue.unknown"; FAILED_PRECONDITION "queue.exists", "queue.has_jobs" (the parent).
  Result<QueueIndex> add_queue(QueueSettings settings);
  /// Changes settings; name and parent stay. Errors as add_queue.
  Result<void> configure(QueueIndex queue, QueueSettings settings);
  std::optional<QueueIndex> find_queue(const std::string& name) const;
  const std::vector<QueueState>& queues() const { return queues_; }  ///< [0] is the root, without jobs unless it is the only one.
  const QueueState& queue(QueueIndex index) const { return queues_[index]; }

  /// The user of this name, made when new.
  UserIndex user(const std::string& name);
  UserState& user_state(UserIndex index) { return users_[index]; }
  const std::vector<UserState>& users() const { return users_; }
  /// Jobs that `user` runs in `queue`.
  std::int64_t running_of(QueueIndex queue, UserIndex user) const;
  const Amounts& usage_of(QueueIndex queue, UserIndex user) const;

  /// A job into its queue.
  void add(JobSnapshot job);
  /// Takes it out. It must be there (CHECK).
  JobSnapshot remove(JobId id);
  const JobSnapshot* find(JobId id) const;
  const JobSnapshot& job(const PendingEntry& entry) const { return slots_[entry.slot]; }
  /// To change what does not move it in its queue, is no priority and no promise. For tier, queue and queued_at take it out and add it
  /// again.
  JobSnapshot* find_mutable(JobId id);
  std::size_t pending_count() const { return slot_of_.size(); }
  /// Ids of waiting jobs that have a claim or a reservation, ascending.
  const std::vector<JobId>& promised() const { return promised_; }
  /// Gives or takes a reservation or a claim. The job must wait here (CHECK).
  void set_reservation(JobId id, std::optional<Reservation> reservation);
  void set_claim(JobId id, std::optional<Claim> claim);
  /// Another limit for a waiting job (CHECK).
  void set_walltime(JobId id, Duration walltime);
  /// Another priority for a waiting job (CHECK).
  void set_priority(JobId id, std::int64_t priority);
  /// The entry of a waiting job (CHECK).
  PendingEntry entry_of(const JobSnapshot& job) const;

  /// A job starts or ends: usage of its queue, of all above and of its user.
  void charge(const JobSnapshot& job, const Amounts& held, int jobs);
  /// Adds `amount` dominant-share seconds of service to user and queues, decayed to `now`.
  void add_usage(const JobSnapshot& job, double share_seconds, TimePoint now);

  SharingSettings sharing;
  Workload workload;                        ///< What jobs ask for as a rule: placement keeps room for that.
  std::uint64_t epoch = 1;                  ///< Outside events so far: submits, ends, nodes, quotas, settings. Evictions do not count.
  bool ended_since_plan = false;            ///< Some job gave room back since the last plan: reservations may move earlier.
  std::vector<TimePoint> recent_evictions;  ///< Of the last minute, ascending.

 private:
  std::vector<QueueState> queues_;
  std::map<std::string, QueueIndex> by_name_;
  std::vector<UserState> users_;
  std::unordered_map<std::string, UserIndex> users_by_name_;
  struct UserUse {
    std::int64_t running = 0;
    Amounts usage;
  };
  std::map<std::pair<QueueIndex, UserIndex>, UserUse> user_use_;
  void note_promise(const JobSnapshot& job);

  std::deque<JobSnapshot> slots_;  ///< Those of jobs that left are used again. Growing moves none: queues are long.
  std::vector<std::uint32_t> unused_slots_;
  JobIndex slot_of_;
  std::vector<JobId> promised_;
};

}  // namespace trainyard::sched
