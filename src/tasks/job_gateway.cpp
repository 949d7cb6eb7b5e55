#include "tasks/job_gateway.h"

#include <vector>

#include "base/checksum.h"
#include "base/file.h"

namespace trainyard::tasks {

JobGateway::JobGateway(Deps deps, Resolve resolve) : deps_(deps), resolve_(std::move(resolve)) {
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
  const JobId id = watches_.at(watch).job;
  deps_.jobs.get(id, [this, alive = alive_, watch, id](const Result<jobs::Job>& live) {
    if (live.ok()) return deliver(watch, *live);
    deps_.reads.post([this, alive, watch, id] {
      const Result<store::JobRecord> record = deps_.ledger.get(id);
      const Result<jobs::Job> job = record.ok() ? jobs::decode_job(record->body) : Result<jobs::Job>(record.error());
      deps_.strand.post([this, alive, watch, job] {
        if (*alive && job.ok()) deliver(watch, *job);
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

void JobGateway::stop(JobId id, const std::string& why) {
  deps_.jobs.stop(id, StopIntent::kCancel, why, [](const Result<void>&) {});
}

}  // namespace trainyard::tasks
