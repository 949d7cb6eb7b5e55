#pragma once
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "sched/availability.h"
#include "sched/decisions.h"
#include "sched/policy.h"
#include "sched/preemption.h"
#include "sched/quota.h"

namespace trainyard::sched {

class Pass;

/// Looks into a pass before each job has its turn. Explanations use it to try a changed job in the very state that the pass had then.
class PassProbe {
 public:
  virtual ~PassProbe() = default;
  virtual void before(Pass& pass, const JobSnapshot& job) = 0;
};

struct PassOptions {
  PassProbe* probe = nullptr;
  JobId stop_after;  ///< The pass ends when this job has had its turn; what it decided by then is what the whole pass would have.
};

/// One planning pass. Made, run once and dropped.
class Pass {
 public:
  Pass(const ClusterSnapshot& cluster, const QueueSnapshot& queue, TimePoint now, PassOptions options = {});
  Pass(const Pass&) = delete;

  Decisions run();

  /// Whether the job would start if it were looked at now, by room and quota alone: without its victims leaving.
  bool would_start(const JobSnapshot& job);
  const Decisions& so_far() const { return decisions_; }
  /// Counts what changed room or quota in this pass.
  std::uint64_t version() const { return version_; }

 private:
  static constexpr Duration kMoment{1};           ///< "Now" as a window.
  static constexpr Duration kOverrun{1'000'000};  ///< How soon a job past its limit is looked at again.

  /// One leaf of the queue tree during the pass.
  struct Line {
    QueueIndex queue = 0;
    std::unique_ptr<OrderPass> order;
    const JobSnapshot* head = nullptr;
    std::uint32_t position = 0;  ///< Of head.
    std::int32_t reservations = 0;
    std::int32_t starts = 0;
    bool count_rule = false;  ///< A head is protected by the count rule.
    TimePoint shadow = kNever;
    std::int64_t extra = 0;
    Amounts short_of;                                               ///< Kinds that blocked jobs are short of (kBlockPool): not 0.
    JobId blocker;                                                  ///< The first job that did not fit.
    std::vector<std::pair<std::size_t, std::int32_t>> overtakable;  ///< Index in waits, starts before it. When skips are counted.
    bool counts_skips = false;
    Reason blocker_reason = Reason::kWaitingForResources;
  };
  /// What stands against a start.
  struct Obstacle {
    Reason reason = Reason::kWaitingForResources;
    std::size_t kind = 0;
    std::int64_t needed = 0;
    std::int64_t available = 0;
    JobId blocker{};
    TimePoint at = kNever;
  };
  struct Tasks {
    std::int64_t least = 1;
    std::int64_t most = 1;
  };

  Availability& availability();
  void hold_claims();
  bool is_draining(const Claim& claim) const;
  bool anybody_leaves() const;
  void hold_claim(const JobSnapshot& job);
  void settle_claim(const JobSnapshot& job, bool may_come);
  void hold_reservations();
  void open_lines();
  bool line_is_stopped(QueueIndex leaf) const;
  void scan();
  void scan_one_line(Line& line);
  void scan_lines();
  void advance(Line& line);
  /// False: nothing after it in its line is looked at.
  bool look_at(Line& line);
  std::optional<Obstacle> gate(const JobSnapshot& job) const;
  std::optional<Obstacle> node_gate(const JobSnapshot& job) const;
  std::optional<Obstacle> count_limit(const JobSnapshot& job) const;
  bool kept_promise(const JobSnapshot& job) const;
  bool keep_promise(Line& line, const JobSnapshot& job);
  void give_up_promise(const JobSnapshot& job);
  bool try_start(Line& line, const JobSnapshot& job, Obstacle& obstacle);
  bool try_preempt(Line& line, const JobSnapshot& job, Obstacle& obstacle);
  bool react(Line& line, const JobSnapshot& job, const Obstacle& obstacle);
  bool fits_usable_nodes(const JobSnapshot& job) const;
  bool no_node_is_usable() const;
  std::optional<Reservation> reserve(const JobSnapshot& job);
  void protect_by_count(Line& line, const JobSnapshot& job);
  void join(const JobSnapshot& job, int jobs);
  void settle(JobId id);
  void promise(const JobSnapshot& job, std::optional<Reservation> reservation);
  bool has_room(const JobSnapshot& job, const Placement& nodes, TimePoint until);
  void count_start(Line& line, const JobSnapshot& job, std::int64_t tasks);
  void start(const JobSnapshot& job, Placement nodes);
  void wait(Line& line, const JobSnapshot& job, const Obstacle& obstacle);
  void close(Line& line);
  void finish(Line& line);
  static bool asks_for_short(const Line& line, const Demand& demand);
  bool pool_is_used_up(const Line& line) const;
  void note_short(Line& line, const JobSnapshot& job);
  bool nothing_fits();
  Obstacle resource_obstacle(Line& line, const JobSnapshot& job);
  Tasks tasks_of(const JobSnapshot& job) const;
  PlacementScorer* scorer(const JobSnapshot& job);
  void grow_gangs();
  void drop_stale_promises();
  void wake(TimePoint time);
  void wake_for_promise(TimePoint start);

  const ClusterSnapshot& cluster_;
  const QueueSnapshot& queue_;
  const TimePoint now_;
  PassOptions options_;
  Decisions decisions_;
  std::unique_ptr<Availability> availability_;
  QuotaBook quota_;
  std::vector<Line> lines_;
  std::unique_ptr<SharePass> sharing_;
  std::unique_ptr<PlacementScorer> scorer_;
  PlacementMemory placement_memory_;
  std::set<JobId> leaving_;     ///< Victims of this pass.
  std::vector<JobId> settled_;  ///< Jobs whose promise this pass has confirmed, changed or used up; ascending.
  std::map<std::pair<QueueIndex, UserIndex>, std::int64_t> joining_;  ///< Jobs of a user that started or got a claim.
  std::set<JobId> claimed_;                                           ///< Jobs with a claim that stands.
  std::vector<std::pair<TimePoint, JobId>> protected_;                ///< Reservations that were made or kept in this pass.
  std::uint64_t version_ = 0;
  Duration shortest_ = kForever;  ///< No waiting job of an open line has a shorter limit.
  std::uint64_t full_at_version_ = ~std::uint64_t{0};
  std::uint64_t open_at_version_ = ~std::uint64_t{0};
};

}  // namespace trainyard::sched
