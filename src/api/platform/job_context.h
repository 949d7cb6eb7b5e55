#pragma once
#include <functional>
#include <memory>

#include "base/executor.h"
#include "jobs/job_service.h"
#include "net/http.h"
#include "net/permission.h"
#include "store/job_ledger.h"
#include "store/log_store.h"

namespace trainyard::api {

/// Completes what a client sent: resolves dataset references, checks the kind, pins versions. Called on the reading thread; may block.
class SubmissionResolver {
 public:
  virtual ~SubmissionResolver() = default;
  /// Returns what goes into the spec file besides the spec: {"inputs":{..},"outputs":{..}}.
  virtual Result<Document> resolve(JobSpec& spec) = 0;
  /// The same as far as it goes without making anything: nothing is stored. Errors: as resolve.
  virtual Result<void> check(JobSpec& spec) = 0;
};

/// What the job routes work on. `strand` owns `jobs`; `reads` is a thread for blocking reads. All of it outlives the HTTP server.
struct JobContext {
  Executor& strand;
  Executor& reads;
  Clock& clock;
  jobs::JobService& jobs;
  store::JobLedger& ledger;
  SubmissionResolver& resolver;
};

/// "17". Errors: INVALID_ARGUMENT "job.id".
Result<JobId> parse_job_id(std::string_view text);

/// Fetches a job as of the last commit, live or ended, and calls `done` on the strand or the reading thread. Errors: NOT_FOUND
/// "job.unknown".
void find_job(JobContext context, JobId id, std::function<void(Result<jobs::Job>)> done);

/// The job in the path of `request`, if its caller may see it and do what takes `permission`. A runner may do with its own jobs what takes
/// an operator with those of others; attempts may only look. Errors: also INVALID_ARGUMENT "job.id", NOT_FOUND "job.unknown" for jobs of
/// namespaces that are not the caller's, PERMISSION_DENIED "auth.forbidden".
void find_job_for(JobContext context, const net::Request& request, net::Permission permission, std::function<void(Result<jobs::Job>)> done);

/// Whether `principal` may submit jobs to a namespace: runners may, attempts may not, so that a job is no way to more rights. Errors:
/// PERMISSION_DENIED "auth.forbidden".
Result<void> require_submit(const net::Principal& principal, std::string_view name_space);

/// The Idempotency-Key of a request as it is kept: its caller's own, so that nobody hears of what others made. Empty when there is none.
/// Errors: INVALID_ARGUMENT "idempotency.key".
Result<std::string> idempotency_key_of(const net::Request& request);

/// What a client sent, ready for JobService: the caller may submit there, inputs are pinned, and how the jobs it waits for have ended is
/// looked up. Blocks: on the reading thread. Errors: those of require_submit, the resolver and the ledger; INVALID_ARGUMENT
/// "spec.unknown_dependency" also for jobs that the caller may not see.
Result<jobs::Submission> prepare_submission(const JobContext& context, JobSpec spec, const net::Principal& caller);

/// The same for a submit that is only tried: nothing is made, and who may ask is for the caller to find out.
Result<jobs::Submission> prepare_trial(const JobContext& context, JobSpec spec, const net::Principal& caller);

/// NOT_FOUND "job.unknown".
Error unknown_job(JobId id);

/// Whether a job is live and in a namespace that `caller` sees. On the strand.
bool sees_job(const JobContext& context, const net::Principal& caller, JobId id);

/// Calls `send` with the problem details or with what `render` makes of the value.
template <typename T, typename Render>
void reply(const net::ResponderPtr& responder, const std::string& request_id, const Result<T>& result, Render render) {
  responder->respond(result.ok() ? render(result.value()) : net::problem_response(result.error(), request_id));
}

}  // namespace trainyard::api
