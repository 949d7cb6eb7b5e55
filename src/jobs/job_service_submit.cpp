#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "jobs/job_service.h"
#include "jobs/transitions.h"

// How JobService takes jobs in.

namespace trainyard::jobs {
namespace {

JobId awaited(const JobDependency& dependency) { return JobId(static_cast<std::uint64_t>(dependency.job)); }

}  // namespace

Result<Submission> resubmission_of(const Job& job) {
  if (!is_terminal(job.state)) {
    return failed_precondition("job.not_ended", fmt::format("only a job that has ended is submitted again, job {} is {}: cancel it first",
                                                            job.id.text(), name_of(job.state)));
  }
  if (job.state == JobState::kSucceeded) {
    return failed_precondition("job.succeeded",
                               fmt::format("job {} succeeded, there is nothing to try again: submit its spec anew", job.id.text()));
  }
  Submission submission;
  submission.spec = job.spec;
  submission.spec.after.clear();
  submission.spec.hold = false;
  submission.resolved = job.resolved;
  submission.owner = job.owner;
  submission.retried_from = job.id;
  return submission;
}

void JobService::submit(Submission submission, std::function<void(Result<JobId>)> done) {
  Result<std::optional<JobId>> replay = examine(submission, 0);
  if (!replay.ok()) return done(std::move(replay).error());
  const JobId id = replay->has_value() ? **replay : admit(submission);
  pipeline_.after_commit([done = std::move(done), id] { done(id); });
}

void JobService::submit_batch(std::vector<Submission> submissions, std::function<void(Result<std::vector<JobId>>)> done) {
  std::unordered_map<std::string_view, std::string_view> fingerprints;
  for (std::size_t i = 0; i < submissions.size(); ++i) {
    const Submission& submission = submissions[i];
    Result<std::optional<JobId>> replay = examine(submission, i);
    if (replay.ok() && !submission.idempotency_key.empty()) {
      const auto [known, fresh] = fingerprints.emplace(submission.idempotency_key, submission.fingerprint);
      if (!fresh && known->second != submission.fingerprint) {
        replay = Error{Category::kAlreadyExists,
                       "idempotency.mismatch",
                       "two jobs of the batch have one idempotency key but differ: use a key for each",
                       {},
                       {}};
      }
    }
    if (replay.ok()) continue;
    Error error = std::move(replay).error();
    error.where = fmt::format("/{}{}", i, error.where);
    return done(std::move(error));
  }
  std::vector<JobId> ids;
  ids.reserve(submissions.size());
  for (Submission& submission : submissions) {
    std::optional<JobId> known;
    if (!submission.idempotency_key.empty()) known = keys_.find(submission.idempotency_key, submission.fingerprint).value_or(std::nullopt);
    ids.push_back(known ? *known : admit(submission));
  }
  pipeline_.after_commit([done = std::move(done), ids = std::move(ids)] { done(ids); });
}

/// The job that this submit made before; none: it is new, and nothing speaks against it. `others` are admitted before it.
Result<std::optional<JobId>> JobService::examine(const Submission& submission, std::size_t others) {
  if (!submission.idempotency_key.empty()) {
    ASSIGN_OR_RETURN(const std::optional<JobId> known, keys_.find(submission.idempotency_key, submission.fingerprint));
    if (known) return known;
  }
  if (jobs_.size() + others >= settings_.live_jobs_max) {
    return Error{Category::kResourceExhausted,
                 "queue.full",
                 fmt::format("the queue is full: wait for jobs to end or cancel some, live jobs: {}", jobs_.size()),
                 {},
                 {}};
  }
  TRY(check_fits(submission.spec));
  TRY(check_dependencies(submission));
  return std::optional<JobId>();
}

Result<void> JobService::check_fits(const JobSpec& spec) {
  if (!planning_.nodes_seen) book_.set_nodes(deps_.backend.nodes());
  planning_.nodes_seen = true;
  Result<void> possible = book_.check_possible(spec);
  if (possible.ok()) return possible;
  Error error = std::move(possible).error();
  if (error.where.empty()) error.where = error.id.starts_with("queue.") ? "/queue" : "/resources";
  return error;
}

std::optional<JobState> JobService::end_of(JobId id, const std::map<JobId, JobState>& looked_up) const {
  if (const Live* live = find(id)) return is_terminal(live->job.state) ? std::optional(live->job.state) : std::nullopt;
  if (const std::optional<JobState> recent = recent_ends_.find(id)) return recent;
  const auto found = looked_up.find(id);
  return found == looked_up.end() ? std::nullopt : std::optional(found->second);
}

Result<void> JobService::check_dependencies(const Submission& submission) const {
  for (std::size_t i = 0; i < submission.spec.after.size(); ++i) {
    const JobId id = awaited(submission.spec.after[i]);
    if (!id.valid() || id > last_job_) {
      return invalid_argument("spec.unknown_dependency",
                              fmt::format("a job waits only for jobs that were submitted before it; there is no job {} yet", id.text()),
                              fmt::format("/after/{}", i));
    }
    if (find(id) != nullptr || end_of(id, submission.ended_dependencies)) continue;
    return Error{Category::kAborted,
                 "dependency.not_looked_up",
                 fmt::format("how a job ended that is waited for was not looked up, submit again: {}", id.text()),
                 fmt::format("/after/{}", i),
                 {}};
  }
  return {};
}

std::vector<JobId> JobService::dependencies_to_look_up(const JobSpec& spec) const {
  std::vector<JobId> ids;
  for (const JobDependency& dependency : spec.after) {
    const JobId id = awaited(dependency);
    if (id.valid() && id <= last_job_ && find(id) == nullptr && !recent_ends_.find(id)) ids.push_back(id);
  }
  return ids;
}

JobId JobService::admit(Submission& submission) {
  const TimePoint time = now();
  const JobId id = last_job_ = JobId(last_job_.value + 1);
  Live& live = jobs_.add(id);
  Job& job = live.job;
  job.id = id;
  job.spec = std::move(submission.spec);
  job.resolved = std::move(submission.resolved);
  job.owner = std::move(submission.owner);
  job.retried_from = submission.retried_from;
  job.reason = job.spec.hold ? "held by " + job.owner : "waiting for the planner";
  job.submitted_at = job.queued_at = job.eligible_at = time;
  job.waits_for = job.spec.after;
  if (job.spec.hold) job.hold = Hold{job.owner, time};
  if (!submission.idempotency_key.empty()) {
    new_keys_.push_back({std::move(submission.idempotency_key), std::move(submission.fingerprint), id, time});
    keys_.remember(new_keys_.back(), time);
  }
  introduce(live);
  for (const JobDependency& dependency : job.spec.after) {
    const std::optional<JobState> ended = end_of(awaited(dependency), submission.ended_dependencies);
    if (!ended) dependants_.add(id, awaited(dependency));
    if (ended && !settle_dependency_of(live, awaited(dependency), *ended)) return id;
  }
  enter(live);
  return id;
}

/// The first that is told of a new job; the planner does not see it yet.
void JobService::introduce(Live& live) {
  live.job.run.text.reserve(2 * run_prefix_.size());
  live.job.run.text = run_prefix_;
  fmt::format_to(std::back_inserter(live.job.run.text), "{:016x}", live.job.id.value);
  live.queued_mono = deps_.clock.monotonic_now();
  ++counts_[static_cast<std::size_t>(live.counted)];
  // The plan is asked for first, so that its turn comes before the commit: submit and launch share one batch.
  request_plan(PlanCause::kArrival);
  emit(live.job, "submitted");
  touch(live);
}

/// A new job that may start as far as its dependencies go, or waits for them.
void JobService::enter(Live& live) {
  if (is_array(live.job)) {
    arrays_[live.job.id];
    return make_elements(live.job.id);
  }
  if (live.job.array_parent.valid()) sync_element(live);
  sync_book(live);
  arm_limit(live);
}

}  // namespace trainyard::jobs
