#pragma once
#include <functional>
#include <vector>

#include "base/executor.h"
#include "store/job_ledger.h"

namespace trainyard::jobs {

/// Apply -> commit -> release. Changes are applied to memory at once; what depends on them (a reply, a launch, a kill, a read) is handed
/// over as a release and runs when everything applied before it is durable. While one commit is in flight the next batch gathers, so one
/// fsync carries thousands of changes. Lives on one strand. Failpoints: "jobs.before_commit", "jobs.before_release", "jobs.after_release".
class CommitPipeline {
 public:
  using Release = std::function<void()>;

  struct Hooks {
    std::function<store::LedgerBatch()> collect;   ///< Takes what was applied since the last call.
    std::function<void(const Error&)> on_failure;  ///< The ledger failed: nothing is released any more; the process should end.
  };

  CommitPipeline(store::JobLedger& ledger, Executor& strand, Hooks hooks);

  /// Something was applied that the next batch must carry. The commit starts once the tasks already waiting on the strand had their turn.
  void changed();
  /// Runs `release` on the strand when everything applied so far is durable; inside this call when it is already.
  void after_commit(Release release);

 private:
  void start_commit();
  void finish_commit(Result<void> result, std::vector<Release> releases);
  void fail(const Error& error);

  store::JobLedger& ledger_;
  Executor& strand_;
  Hooks hooks_;
  bool dirty_ = false;
  bool start_posted_ = false;
  bool in_flight_ = false;
  bool failed_ = false;
  std::vector<Release> gathering_;          ///< Wait for the batch that is being gathered.
  std::vector<Release> waiting_in_flight_;  ///< Came while the last batch was in flight and nothing was applied since.
};

}  // namespace trainyard::jobs
