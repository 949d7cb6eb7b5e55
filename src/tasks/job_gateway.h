#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/executor.h"
#include "jobs/job_service.h"
#include "store/job_ledger.h"

namespace trainyard::tasks {

/// Jobs as task kinds need them: submit by key, watch to the end, stop. Lives on the strand.
class JobGateway {
 public:
  /// Pins the inputs of a spec; called on `reads`, may block.
  using Resolve = std::function<Result<Document>(JobSpec&)>;
  /// Says whether a spec can be run at all, before anything runs; called on the strand, does not block. References are not resolved yet.
  using Check = std::function<Result<void>(const JobSpec&)>;
  struct Deps {
    Executor& strand;
    Executor& reads;
    jobs::JobService& jobs;
    store::JobLedger& ledger;
  };

  JobGateway(Deps deps, Resolve resolve, Check check = nullptr);
  ~JobGateway();

  /// What can be said about a job before it is submitted: its spec, its kind's own configuration, and that some node could ever hold it.
  /// Errors: INVALID_ARGUMENT "spec.*", FAILED_PRECONDITION "spec.impossible_resources", with the position in `spec`.
  Result<void> check(const Document& spec) const;

  /// Submits a job once per key: the same key again answers with the job it made.
  void submit(const Document& spec, const std::string& key, const std::string& owner, std::function<void(Result<JobId>)> done);

  /// Calls `on_change` with the durable job now and after every event of it, the last time when it ended, until unwatched.
  std::uint64_t watch(JobId id, std::function<void(const jobs::Job&)> on_change);
  void unwatch(std::uint64_t watch);

  void stop(JobId id, const std::string& why);
  /// Sends a running job back to its place in the queue; no restart is charged.
  void preempt(JobId id, const std::string& why);

 private:
  struct Watch {
    JobId job;
    std::function<void(const jobs::Job&)> on_change;
  };

  void refresh(std::uint64_t watch);
  void deliver(std::uint64_t watch, const jobs::Job& job);

  Deps deps_;
  Resolve resolve_;
  Check check_;
  std::map<std::uint64_t, Watch> watches_;
  std::uint64_t last_watch_ = 0;
  std::uint64_t subscription_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // shared: owned here, watched by posted tasks
};

}  // namespace trainyard::tasks
