#pragma once
#include <functional>
#include <optional>
#include <vector>

#include "sched/change.h"
#include "sched/internal/pass.h"

namespace trainyard::sched {

/// Whether the plan of this state starts the job.
bool starts_in_plan(const ClusterSnapshot& cluster, const QueueSnapshot& queue, JobId job, TimePoint now);

/// Values that a request may get instead of `high` + 1, which it has: the larger, the smaller the change.
struct RequestRange {
  std::int64_t low = 1;
  std::int64_t high = 0;
  std::function<AlterJob(std::int64_t)> change;
};

/// Looks for the largest smaller request with which a waiting job starts. What a try says is what a whole plan of the changed state says;
/// since that is slow, candidates come from one pass that stops at the job's turn and asks there for all of them.
class FixSearch : private PassProbe {
 public:
  FixSearch(const SchedulerState& state, const JobSnapshot& job, TimePoint now);

  /// The answer for each range, in their order: a value that starts the job while the next larger one does not; none.
  std::vector<std::optional<std::int64_t>> largest(const std::vector<RequestRange>& ranges);
  /// Whether the job starts in the plan of the changed state.
  bool starts(const AlterJob& change) { return started(decide(change)); }
  /// How many whole plans a search may cost that knows nothing better than to try.
  std::size_t tries() const { return tries_; }

 private:
  void before(Pass& pass, const JobSnapshot& job) override;
  std::optional<std::int64_t> candidate(Pass& pass, const RequestRange& range);
  bool would_start(Pass& pass, const AlterJob& change);
  Decisions decide(const AlterJob& change);
  bool started(const Decisions& decisions) const;
  bool same_for_others(const Decisions& a, const Decisions& b) const;
  bool smallest_changes_nothing(const RequestRange& range);
  std::optional<std::int64_t> settle(const RequestRange& range, std::optional<std::int64_t> candidate);
  std::optional<std::int64_t> try_many(const RequestRange& range);

  SchedulerState fork_;
  JobSnapshot job_;
  TimePoint now_;
  std::size_t tries_;
  ShapeId anything_ = kNoIndex;  ///< A shape that always has room.
  std::vector<ShapeId> asked_;   ///< Shapes of candidates: a pass remembers room by shape, so that none is used twice in it.
  const std::vector<RequestRange>* ranges_ = nullptr;
  std::vector<std::optional<std::int64_t>> candidates_;
  Decisions unchanged_;  ///< What is decided up to the job's turn when it asks for what it asks for.
};

}  // namespace trainyard::sched
