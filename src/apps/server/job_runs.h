#pragma once
#include <functional>
#include <mutex>
#include <vector>

#include "base/executor.h"
#include "base/log.h"
#include "jobs/attempt_sink.h"
#include "jobs/job.h"
#include "store/job_ledger.h"
#include "track/run_repository.h"

namespace trainyard::apps {

/// What the run of a job is opened with.
jobs::RunStart run_start_of(const jobs::Job& job);

/// Keeps a run in tracking for every job that is launched: opened with its first attempt, closed with its end. `open` and `close` come
/// after the commit of the job and only post to `writes`, where those that have gathered are one transaction; so a process that dies in
/// between leaves a run missing or open; `repair` makes up for it. A run that cannot be opened holds nobody up: the first metrics of its
/// job open it (JobEvents). Outlives what is posted.
class JobRuns {
 public:
  struct Deps {
    Executor& writes;
    jobs::AttemptSink& sink;
    track::RunRepository& runs;
    store::JobLedger& ledger;
    LogSink& log;
  };
  explicit JobRuns(Deps deps) : deps_(deps) {}

  void open(const jobs::Job& job);
  void close(const jobs::Job& job);
  /// Posts a look at the jobs of the newest events up to `last`; what is posted later finds their runs in order. Gives runs from before
  /// there were namespaces that of their job, or "default" when it is not known any more. For the start of a process.
  void repair(EventNumber last);

 private:
  struct Write {
    std::function<Result<void>(jobs::AttemptSink&)> apply;
    std::string_view warning;
    JobId job;
  };
  void add(Write write);
  void write_added();
  Result<void> repair_newest(EventNumber last);
  Result<void> repair_one(const jobs::Job& job);
  Result<void> place_old();
  Result<track::RunPlace> place_of(const track::UnplacedRun& run);
  void warn(std::string_view event, JobId job, const Error& error);

  Deps deps_;
  std::mutex mutex_;
  std::vector<Write> added_;  // guarded by mutex_; those that the next task of `writes` takes
};

}  // namespace trainyard::apps
