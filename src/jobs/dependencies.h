#pragma once
#include <deque>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "jobs/job.h"
#include "store/job_ledger.h"

namespace trainyard::jobs {

enum class DependencyOutcome { kWaiting, kMet, kImpossible };

/// What a job in `state` means to one that waits for it: "ok" needs SUCCEEDED, "failed" any other end, "any" any end.
DependencyOutcome judge(const JobDependency& dependency, JobState state);

/// A job has ended as `state`: takes the dependency on it away if that is met. kImpossible: the waiting job can never start; nothing was
/// changed. kWaiting: others are left. kMet: none is left, and the job waits for room from `now` on.
DependencyOutcome settle_dependency(Job& waiting, JobId ended, JobState state, TimePoint now);

/// The sentence with which a job is cancelled that waited for `ended`.
std::string impossible_dependency_text(const Job& waiting, JobId ended, JobState state);

/// Who waits for whom, the other way round. A job that left may still be listed.
class DependencyIndex {
 public:
  void add(JobId waiting, JobId awaited) { waiting_[awaited].push_back(waiting); }
  /// Those that wait for `ended`, in the order they came; it is not listed any more.
  std::vector<JobId> take(JobId ended);

 private:
  std::unordered_map<JobId, std::vector<JobId>> waiting_;
};

/// How the newest jobs have ended: for those who looked one up while it was still live. Not thread-safe.
class RecentEnds {
 public:
  static constexpr std::size_t kKept = 16'384;
  void add(JobId job, JobState state);
  std::optional<JobState> find(JobId job) const;

 private:
  std::unordered_map<JobId, JobState> states_;
  std::deque<JobId> order_;
};

/// How jobs have ended that are not live any more. Blocks. Ids that the ledger does not know, and jobs that are live, are left out.
Result<std::map<JobId, JobState>> ended_states(store::JobLedger& ledger, const std::vector<JobId>& jobs);

}  // namespace trainyard::jobs
