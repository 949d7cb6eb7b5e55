#include "jobs/job_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <thread>
#include <utility>

#include "base/checksum.h"
#include "base/file.h"
#include "jobs/internal/json_text.h"
#include "jobs/internal/state_events.h"
#include "jobs/transitions.h"

namespace trainyard::jobs {
namespace {

/// What is left of a launch after a restart. A rank whose end is durable holds no room any more: a node that still has it must let it go.
exec::GangLaunch still_running(exec::GangLaunch launch, const Job& job) {
  exec::GangLaunch rest{launch.attempt, {}, {}, {}};
  for (std::size_t i = 0; i < launch.ranks.size(); ++i) {
    const RankStatus::Phase phase = job.attempt.ranks[i].phase;
    if (phase == RankStatus::Phase::kExited) continue;
    rest.nodes.push_back(std::move(launch.nodes[i]));
    rest.ranks.push_back(std::move(launch.ranks[i]));
    rest.seen_running.push_back(phase == RankStatus::Phase::kRunning);
  }
  return rest;
}

/// Decodes records, many of them on all cores: a start with many live jobs spends most of its time here.
Result<std::vector<Job>> decode_all(std::span<const store::JobRecord> records) {
  constexpr std::size_t kRecordsPerThread = 500;
  constexpr std::size_t kThreadsMax = 16;
  const std::size_t cores = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kThreadsMax);
  const std::size_t parts = std::clamp<std::size_t>(records.size() / kRecordsPerThread, 1, cores);
  std::vector<Job> jobs(records.size());
  std::vector<std::optional<Error>> errors(parts);
  const auto decode_part = [&](std::size_t part) {
    for (std::size_t i = records.size() * part / parts; i < records.size() * (part + 1) / parts; ++i) {
      Result<Job> job = decode_job(records[i].body);
      if (!job.ok()) {
        errors[part] = std::move(job).error();
        return;
      }
      jobs[i] = std::move(job).value();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t part = 1; part < parts; ++part) threads.emplace_back(decode_part, part);
    decode_part(0);
  }
  for (std::optional<Error>& error : errors) {
    if (error) return std::move(*error);
  }
  return jobs;
}

}  // namespace

JobService::JobService(JobServiceSettings settings, Deps deps, Hooks hooks)
    : settings_(std::move(settings)),
      deps_(deps),
      hooks_(std::move(hooks)),
      rng_(settings_.seed),
      pipeline_(deps.ledger, deps.strand, {[this] { return collect(); }, [this](const Error& error) { hooks_.on_fatal(error); }}),
      wall_origin_(deps.clock.now()),
      mono_origin_(deps.clock.monotonic_now()),
      run_prefix_(fmt::format("{:016x}", xxh3_64(as_bytes(fmt::format("run:{}", settings_.seed))))),
      book_(settings_.scheduler),
      keys_(settings_.idempotency_keys_max) {}

JobService::~JobService() { *alive_ = false; }

/// Steps of the wall clock after the start change nothing: time is the wall clock at the start plus what the monotonic clock counted.
TimePoint JobService::now() const { return wall_origin_ + (deps_.clock.monotonic_now() - mono_origin_); }

Result<void> JobService::recover() {
  ASSIGN_OR_RETURN(store::LedgerRecovery recovery, deps_.ledger.recover());
  last_job_ = recovery.last_job;
  last_event_ = recovery.last_event;
  for (const store::IdempotencyRecord& record : recovery.idempotency) keys_.remember(record, now());
  deps_.backend.set_observer(*this);

  std::vector<JobId> ids;
  jobs_.reserve(recovery.live_jobs.size());
  ids.reserve(recovery.live_jobs.size());
  // In parts, so that what is needed between text and job is small and used again.
  constexpr std::size_t kPart = 8192;
  for (std::span<store::JobRecord> rest(recovery.live_jobs); !rest.empty();) {
    const std::span<store::JobRecord> part = rest.first(std::min(kPart, rest.size()));
    TRY(load(part, ids));
    for (store::JobRecord& record : part) record.body = {};
    rest = rest.subspan(part.size());
  }
  book_.set_nodes(deps_.backend.nodes());
  for (const JobId id : ids) take_up(jobs_.at(id));
  for (const JobId id : ids) arm_limit(jobs_.at(id));
  TRY(recover_dependencies(ids));
  for (const auto& [array, elements] : arrays_) arrays_to_fill_.insert(array);
  make_elements_of_all();
  drain_nodes();
  recovered_ = true;
  committed_at_ = deps_.clock.monotonic_now();  // The ledger is known to be ours.
  request_plan();
  return {};
}

Result<void> JobService::load(std::span<const store::JobRecord> records, std::vector<JobId>& ids) {
  const MonotonicPoint mono = deps_.clock.monotonic_now();
  const TimePoint time = now();
  ASSIGN_OR_RETURN(std::vector<Job> loaded, decode_all(records));
  for (Job& job : loaded) {
    // The wall clock may have been set back since: a wait is never longer than when it began.
    const Duration wait_max = job.attempt.number.value == 0 ? Duration(0) : job.spec.retry.backoff_cap;
    job.eligible_at = std::min(job.eligible_at, time + wait_max);
    const auto ago = [&](TimePoint since) { return mono - std::max(time - since, Duration(0)); };
    const JobId id = job.id;
    ids.push_back(id);
    Live& live = jobs_.add(id);
    live.job = std::move(job);
    for (const RankStatus& rank : live.job.attempt.ranks) live.durable_events.push_back(rank.events_taken);
    live.queued_mono = ago(live.job.waits_since.value_or(live.job.submitted_at));
    live.started_mono = ago(live.job.started_at.value_or(time));
    live.attempt_mono = ago(live.job.attempt.launched_at);
    live.step_mono = live.progress_mono = mono;
    live.counted = live.job.state;
    live.written = true;
    ++counts_[static_cast<std::size_t>(live.counted)];
    if (is_array(live.job)) arrays_[id];
    if (live.job.array_parent.valid()) sync_element(live);
    for (const JobDependency& dependency : live.job.waits_for) dependants_.add(id, JobId(static_cast<std::uint64_t>(dependency.job)));
  }
  return {};
}

/// The end of a job and what it means to those that wait for it are one commit, so that a job never waits for one that is gone. Should the
/// ledger say otherwise, the ends are looked up.
Result<void> JobService::recover_dependencies(const std::vector<JobId>& ids) {
  std::vector<JobId> gone;
  for (const JobId id : ids) {
    for (const JobDependency& dependency : jobs_.at(id).job.waits_for) {
      const JobId awaited(static_cast<std::uint64_t>(dependency.job));
      if (find(awaited) == nullptr) gone.push_back(awaited);
    }
  }
  if (gone.empty()) return {};
  ASSIGN_OR_RETURN(const auto states, ended_states(deps_.ledger, gone));
  for (const auto& [awaited, state] : states) {
    for (const JobId id : dependants_.take(awaited)) {
      Live& waiting = jobs_.at(id);
      if (!is_terminal(waiting.job.state)) settle_dependency_of(waiting, awaited, state);
    }
  }
  return {};
}

/// A job of an earlier life of the server: tells planner and backend what it is.
void JobService::take_up(Live& live) {
  const Job& job = live.job;
  if (is_array(job)) return;
  if (job.state == JobState::kQueued) return sync_book(live);
  book_.adopted(job);
  const AttemptKey attempt{job.id, job.attempt.number};
  deps_.backend.adopt(still_running(build_launch(job), job));
  if (job.state == JobState::kStopping) {
    deps_.backend.stop(attempt, internal::stop_reason_of(job.intent), job.spec.limits.grace);
  } else if (gang_is_doomed(job)) {
    deps_.backend.stop(attempt, exec::StopReason::kGangFailed, job.spec.limits.grace);
  }
}

void JobService::get(JobId id, std::function<void(Result<Job>)> done) {
  const Live* live = find(id);
  if (live == nullptr) {
    return pipeline_.after_commit([done = std::move(done), id] { done(not_found("job.not_live", "job " + id.text() + " is not live")); });
  }
  pipeline_.after_commit([done = std::move(done), job = live->job] { done(job); });
}

void JobService::barrier(std::function<void()> done) { pipeline_.after_commit(std::move(done)); }

const Job* JobService::live_job(JobId id) const {
  const Live* live = find(id);
  return live == nullptr ? nullptr : &live->job;
}

std::uint64_t JobService::subscribe(EventListener listener) {
  listeners_.emplace(++last_subscription_, std::move(listener));
  return last_subscription_;
}

void JobService::unsubscribe(std::uint64_t subscription) { listeners_.erase(subscription); }

std::map<JobState, std::size_t> JobService::counts() const {
  std::map<JobState, std::size_t> counts;
  for (std::size_t state = 0; state < counts_.size(); ++state) {
    if (counts_[state] > 0) counts.emplace(static_cast<JobState>(state), counts_[state]);
  }
  return counts;
}

void JobService::touch(Live& live) {
  if (live.counted != live.job.state) {
    --counts_[static_cast<std::size_t>(live.counted)];
    ++counts_[static_cast<std::size_t>(live.job.state)];
    live.counted = live.job.state;
  }
  if (!live.dirty) {
    live.dirty = true;
    dirty_.push_back(live.job.id);
  }
  pipeline_.changed();
}

void JobService::emit(const Job& job, std::string_view type) {
  internal::JsonText out;
  out.begin_object();
  out.member("state", name_of(job.state));
  out.member("reason", job.reason);
  if (job.reason_code != ReasonCode::kNone) out.member("reason_code", name_of(job.reason_code));
  out.member("attempt", std::uint64_t{job.attempt.number.value});
  out.end_object();
  record(job, type, std::string(out.text()));
}

void JobService::emit(const Job& job, std::string_view type, Document values) {
  values.set("state", name_of(job.state));
  values.set("reason", job.reason);
  if (job.reason_code != ReasonCode::kNone) values.set("reason_code", name_of(job.reason_code));
  values.set("attempt", static_cast<std::int64_t>(job.attempt.number.value));
  record(job, type, to_json(values));
}

void JobService::record(const Job& job, std::string_view type, std::string body) {
  last_event_ = EventNumber(last_event_.value + 1);
  new_events_.push_back({last_event_, job.id, now(), std::string(type), std::move(body)});
  pipeline_.changed();
}

store::LedgerBatch JobService::collect() {
  store::LedgerBatch batch;
  const TimePoint time = now();
  batch.jobs.reserve(dirty_.size());
  for (const JobId id : dirty_) {
    Live& live = jobs_.at(id);
    live.dirty = false;
    // Most jobs wait long after their first write: the text of their settled part is kept from the second on.
    if (live.written && live.settled_part.empty()) live.settled_part = encode_settled_part(live.job);
    std::string body = live.written ? encode_job(live.job, live.settled_part) : encode_job(live.job);
    batch.jobs.push_back({id, !is_terminal(live.job.state), time, std::move(body)});
    live.written = true;
  }
  dirty_.clear();
  batch.events = std::exchange(new_events_, {});
  batch.idempotency = std::exchange(new_keys_, {});
  batch.forget_keys_before = forget_keys_before();
  committed_at_ = deps_.clock.monotonic_now();
  // Runs after the releases of this batch: an answer never comes later than the news.
  pipeline_.after_commit([this, events = batch.events] { publish(events); });
  return batch;
}

void JobService::publish(const std::vector<store::EventRecord>& events) {
  for (const store::EventRecord& event : events) {
    for (auto it = listeners_.begin(); it != listeners_.end();) {
      const auto [id, listener] = *it;  // A copy: a listener may unsubscribe itself and others.
      listener(event);
      it = listeners_.upper_bound(id);
    }
  }
}

}  // namespace trainyard::jobs
