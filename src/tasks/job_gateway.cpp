#include "tasks/job_gateway.h"

#include <vector>

#include "base/checksum.h"
#include "base/file.h"

namespace trainyard::tasks {
namespace {

Error placed(Error error, const Document& spec, std::string_view pointer) {
  error.where = place_of(spec, pointer);
  return error;
}

/// Who waits for a job whose record cannot be read must not wait for ever.
jobs::Job unreadable_job(JobId id, const Error& error) {
  jobs::Job job;
  job.id = id;
  job.state = JobState::kFailed;
  job.reason = "how the job ended cannot be read: " + error.describe();
  return job;
}

}  // namespace

JobGateway::JobGateway(Deps deps, Resolve resolve, Check check) : deps_(deps), resolve_(std::move(resolve)), check_(std::move(check)) {
  subscription_ = deps_.jobs.subscribe([this](const store::EventRecord& event) {
    std::vector<std::uint64_t> concerned;
    for (const auto& [id, watch] : watches_) {
      if (watch.job == event.job) concerned.push_back(id);
    }
    for (const std::uint64_t id : concerned) refresh(id);
  });
}

JobGateway::~JobGateway() {
  *alive_ = false;
  deps_.jobs.unsubscribe(subscription_);
}

Result<void> JobGateway::check(const Document& spec) const {
  ASSIGN_OR_RETURN(const JobSpec job, job_spec_from(spec));
  if (check_) {
    Result<void> known = check_(job);
    if (!known.ok() && known.error().where == "/kind") return placed(std::move(known).error(), spec, "/kind");
    TRY(known);
  }
  Result<void> fits = deps_.jobs.check_fits(job);
  if (!fits.ok()) return placed(std::move(fits).error(), spec, "/resources");
  return {};
}

void JobGateway::submit(const Document& spec, const std::string& key, const std::string& owner, std::function<void(Result<JobId>)> done) {
  Result<JobSpec> decoded = job_spec_from(spec);
  if (!decoded.ok()) return done(std::move(decoded).error());
  deps_.reads.post([this, alive = alive_, job = std::move(decoded).value(), key, owner, done = std::move(done)]() mutable {
    Result<Document> resolved = resolve_(job);
    deps_.strand.post([this, alive, job = std::move(job), key, owner, resolved = std::move(resolved), done = std::move(done)]() mutable {
      if (!*alive) return;
      if (!resolved.ok()) return done(std::move(resolved).error());
      // The key alone tells replays apart: a restarted task may resolve its inputs to newer versions than the first time.
      deps_.jobs.submit({std::move(job), std::move(resolved).value(), owner, key, xxh3_hex(as_bytes(key))}, std::move(done));
    });
  });
}

std::uint64_t JobGateway::watch(JobId id, std::function<void(const jobs::Job&)> on_change) {
  const std::uint64_t watch = ++last_watch_;
  watches_.emplace(watch, Watch{id, std::move(on_change)});
  refresh(watch);
  return watch;
}

void JobGateway::unwatch(std::uint64_t watch) { watches_.erase(watch); }

void JobGateway::refresh(std::uint64_t watch) {
  const auto found = watches_.find(watch);
  if (found == watches_.end()) return;  // Another watch of the same event ended this one.
  const JobId id = found->second.job;
  deps_.jobs.get(id, [this, alive = alive_, watch, id](const Result<jobs::Job>& live) {
    if (!*alive) return;
    if (live.ok()) return deliver(watch, *live);
    deps_.reads.post([this, alive, watch, id] {
      const Result<store::JobRecord> record = deps_.ledger.get(id);
      const Result<jobs::Job> read = record.ok() ? jobs::decode_job(record->body) : Result<jobs::Job>(record.error());
      deps_.strand.post([this, alive, watch, job = read.ok() ? *read : unreadable_job(id, read.error())] {
        if (*alive) deliver(watch, job);
      });
    });
  });
}

void JobGateway::deliver(std::uint64_t watch, const jobs::Job& job) {
  const auto found = watches_.find(watch);
  if (found == watches_.end()) return;
  const auto on_change = found->second.on_change;  // It may unwatch itself.
  on_change(job);
}

void JobGateway::preempt(JobId id, const std::string& why) {
  deps_.jobs.stop(id, StopIntent::kPreempt, why, [](const Result<void>&) {});
}

void JobGateway::stop(JobId id, const std::string& why) {
  deps_.jobs.stop(id, StopIntent::kCancel, why, [](const Result<void>&) {});
}

}  // namespace trainyard::tasks
