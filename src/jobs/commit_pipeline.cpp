#include "jobs/commit_pipeline.h"

#include <iterator>
#include <memory>
#include <utility>

#include "base/failpoint.h"

namespace trainyard::jobs {

CommitPipeline::CommitPipeline(store::JobLedger& ledger, Executor& strand, Hooks hooks)
    : ledger_(ledger), strand_(strand), hooks_(std::move(hooks)) {}

void CommitPipeline::changed() {
  dirty_ = true;
  if (start_posted_ || in_flight_ || failed_) return;
  start_posted_ = true;
  strand_.post([this] {
    start_posted_ = false;
    start_commit();
  });
}

void CommitPipeline::after_commit(Release release) {
  if (failed_) return;
  if (dirty_) {
    gathering_.push_back(std::move(release));
  } else if (in_flight_) {
    waiting_in_flight_.push_back(std::move(release));
  } else {
    release();
  }
}

void CommitPipeline::start_commit() {
  if (!dirty_ || in_flight_ || failed_) return;
  if (const Result<void> hit = hit_failpoint("jobs.before_commit"); !hit.ok()) return fail(hit.error());
  dirty_ = false;
  in_flight_ = true;
  // The ledger calls back on a thread of its own; the releases travel with the batch they wait for.
  auto releases = std::make_shared<std::vector<Release>>(std::exchange(gathering_, {}));  // shared: std::function must be copyable
  ledger_.commit(hooks_.collect(), [this, releases](Result<void> result) {
    strand_.post([this, releases, result = std::move(result)]() mutable { finish_commit(std::move(result), std::move(*releases)); });
  });
}

void CommitPipeline::finish_commit(Result<void> result, std::vector<Release> releases) {
  in_flight_ = false;
  if (failed_) return;
  if (!result.ok()) return fail(result.error());
  std::vector<Release> late = std::exchange(waiting_in_flight_, {});
  std::move(late.begin(), late.end(), std::back_inserter(releases));
  // The next fsync starts before the replies go out: they cost time and it does not depend on them.
  start_commit();
  for (Release& release : releases) {
    if (const Result<void> hit = hit_failpoint("jobs.before_release"); !hit.ok()) return fail(hit.error());
    release();
  }
  if (const Result<void> hit = hit_failpoint("jobs.after_release"); !hit.ok()) fail(hit.error());
}

void CommitPipeline::fail(const Error& error) {
  failed_ = true;
  hooks_.on_failure(error);
}

}  // namespace trainyard::jobs
