#include "api/platform/job_context.h"

#include <fmt/format.h>

#include <charconv>

#include "access/identity.h"
#include "access/token_authorizer.h"

namespace trainyard::api {

Result<JobId> parse_job_id(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) {
    return invalid_argument("job.id", fmt::format("a job id is a number from 1: {}", text));
  }
  return JobId(value);
}

void find_job(JobContext context, JobId id, std::function<void(Result<jobs::Job>)> done) {
  context.strand.post([context, id, done = std::move(done)]() mutable {
    context.jobs.get(id, [context, id, done = std::move(done)](Result<jobs::Job> live) {
      if (live.ok() || live.error().id != "job.not_live") return done(std::move(live));
      context.reads.post([context, id, done] {
        const Result<store::JobRecord> record = context.ledger.get(id);
        done(record.ok() ? jobs::decode_job(record->body) : Result<jobs::Job>(record.error()));
      });
    });
  });
}

Error unknown_job(JobId id) {
  return not_found("job.unknown", fmt::format("there is no job {}; `trainyard job ls` lists them", id.text()));
}

bool sees_job(const JobContext& context, const net::Principal& caller, JobId id) {
  const std::optional<jobs::JobService::Label> label = context.jobs.label_of(id);
  return label && net::may(caller, net::Permission::kViewer, label->name_space);
}

namespace {

Result<void> check_permission(const net::Principal& principal, net::Permission permission, const jobs::Job& job) {
  const std::string& name_space = job.spec.name_space;
  const bool own = job.owner == principal.name && !access::attempt_of(principal);
  const bool enough_for_own = own && net::may(principal, net::Permission::kRunner, name_space);
  if (permission == net::Permission::kOperator && enough_for_own) return {};
  return access::require(principal, permission, name_space, unknown_job(job.id));
}

}  // namespace

void find_job_for(JobContext context, const net::Request& request, net::Permission permission,
                  std::function<void(Result<jobs::Job>)> done) {
  const Result<JobId> id = parse_job_id(request.path_parameters.at("id"));
  if (!id.ok()) return done(id.error());
  find_job(context, *id, [principal = request.principal, permission, done = std::move(done)](Result<jobs::Job> job) {
    if (!job.ok()) return done(std::move(job));
    Result<void> allowed = check_permission(principal, permission, *job);
    done(allowed.ok() ? std::move(job) : Result<jobs::Job>(std::move(allowed).error()));
  });
}

Result<void> require_submit(const net::Principal& principal, std::string_view name_space) {
  if (!access::attempt_of(principal) && net::may(principal, net::Permission::kRunner, name_space)) return {};
  const std::string what =
      access::attempt_of(principal)
          ? "the token of a job's attempt submits no jobs, so that a job is no way to more rights; use a user's token for it"
          : fmt::format("submitting takes the role 'runner' in the namespace, and this token does not have it there: {}", name_space);
  return Error{Category::kPermissionDenied, "auth.forbidden", what, {}, {}};
}

Result<std::string> idempotency_key_of(const net::Request& request) {
  constexpr std::size_t kLengthMax = 255;
  const auto given = request.headers.get("idempotency-key");
  if (!given) return std::string();
  const bool plain = std::all_of(given->begin(), given->end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (given->empty() || given->size() > kLengthMax || !plain) {
    return invalid_argument(
        "idempotency.key",
        fmt::format("an Idempotency-Key has 1 to {} printable ASCII characters; this one has: {}", kLengthMax, given->size()),
        "/Idempotency-Key");
  }
  return fmt::format("{}\n{}", request.principal.name, *given);
}

namespace {

/// A job of a namespace that the caller does not see is none to wait for.
Result<void> check_dependencies(const JobContext& context, const std::vector<JobId>& awaited, const net::Principal& caller) {
  if (net::may_everywhere(caller, net::Permission::kViewer)) return {};
  for (std::size_t index = 0; index < awaited.size(); ++index) {
    const Result<store::JobRecord> record = context.ledger.get(awaited[index]);
    if (!record.ok()) continue;  // Who submits says so.
    ASSIGN_OR_RETURN(const jobs::Job job, jobs::decode_job(record->body));
    if (net::may(caller, net::Permission::kViewer, job.spec.name_space)) continue;
    return invalid_argument("spec.unknown_dependency", fmt::format("there is no job to wait for: {}", awaited[index].text()),
                            fmt::format("/after/{}", index));
  }
  return {};
}

Result<jobs::Submission> submission_of(const JobContext& context, JobSpec spec, const net::Principal& caller) {
  jobs::Submission submission;
  std::vector<JobId> awaited;
  for (const JobDependency& dependency : spec.after) awaited.push_back(JobId(static_cast<std::uint64_t>(dependency.job)));
  TRY(check_dependencies(context, awaited, caller));
  ASSIGN_OR_RETURN(submission.ended_dependencies, jobs::ended_states(context.ledger, awaited));
  submission.spec = std::move(spec);
  submission.owner = caller.name;
  return submission;
}

}  // namespace

Result<jobs::Submission> prepare_submission(const JobContext& context, JobSpec spec, const net::Principal& caller) {
  TRY(require_submit(caller, spec.name_space));
  ASSIGN_OR_RETURN(Document resolved, context.resolver.resolve(spec));
  ASSIGN_OR_RETURN(jobs::Submission submission, submission_of(context, std::move(spec), caller));
  submission.resolved = std::move(resolved);
  return submission;
}

Result<jobs::Submission> prepare_trial(const JobContext& context, JobSpec spec, const net::Principal& caller) {
  TRY(context.resolver.check(spec));
  return submission_of(context, std::move(spec), caller);
}

}  // namespace trainyard::api
