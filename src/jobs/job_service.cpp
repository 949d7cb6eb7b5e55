#include "jobs/job_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/checksum.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "jobs/limits.h"
#include "jobs/transitions.h"

namespace trainyard::jobs {
namespace {

Error unknown_job(JobId id) {
  return not_found("job.unknown", fmt::format("there is no job {}; `trainyard job ls` lists them", id.text()));
}

Error fenced(const AttemptKey& attempt) {
  return {Category::kAborted,
          "lease.fenced",
          fmt::format("attempt {} of job {} is not the current one: what it sends is refused", attempt.attempt.text(), attempt.job.text()),
          {},
          {}};
}

std::string_view event_of(JobState state) {
  switch (state) {
    case JobState::kQueued:
      return "requeued";
    case JobState::kStarting:
      return "launching";
    case JobState::kRunning:
      return "running";
    case JobState::kStopping:
      return "stopping";
    case JobState::kSucceeded:
      return "succeeded";
    case JobState::kFailed:
      return "failed";
    case JobState::kCancelled:
      return "cancelled";
    case JobState::kTimedOut:
      return "timed_out";
  }
  return "changed";
}

exec::StopReason reason_of(StopIntent intent) {
  switch (intent) {
    case StopIntent::kPreempt:
      return exec::StopReason::kPreempt;
    case StopIntent::kLimit:
      return exec::StopReason::kLimit;
    case StopIntent::kDrain:
      return exec::StopReason::kDrain;
    case StopIntent::kCancel:
    case StopIntent::kNone:
      break;
  }
  return exec::StopReason::kCancel;
}

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

}  // namespace

JobService::JobService(JobServiceSettings settings, Deps deps, Hooks hooks)
    : settings_(std::move(settings)),
      deps_(deps),
      hooks_(std::move(hooks)),
      rng_(settings_.seed),
      pipeline_(deps.ledger, deps.strand, {[this] { return collect(); }, [this](const Error& error) { hooks_.on_fatal(error); }}),
      wall_origin_(deps.clock.now()),
      mono_origin_(deps.clock.monotonic_now()),
      book_(settings_.scheduler) {}

JobService::~JobService() { *alive_ = false; }

/// Steps of the wall clock after the start change nothing: time is the wall clock at the start plus what the monotonic clock counted.
TimePoint JobService::now() const { return wall_origin_ + (deps_.clock.monotonic_now() - mono_origin_); }

Result<void> JobService::recover() {
  ASSIGN_OR_RETURN(store::LedgerRecovery recovery, deps_.ledger.recover());
  last_job_ = recovery.last_job;
  last_event_ = recovery.last_event;
  for (const store::IdempotencyRecord& record : recovery.idempotency) remember_key(record);
  deps_.backend.set_observer(*this);

  const MonotonicPoint mono = deps_.clock.monotonic_now();
  for (const store::JobRecord& record : recovery.live_jobs) {
    ASSIGN_OR_RETURN(Job job, decode_job(record.body));
    // The wall clock may have been set back since: a wait is never longer than when it began.
    const Duration wait_max = job.attempt.number.value == 0 ? Duration(0) : job.spec.retry.backoff_cap;
    job.eligible_at = std::min(job.eligible_at, now() + wait_max);
    const auto ago = [&](TimePoint time) { return mono - std::max(now() - time, Duration(0)); };
    Live live{std::move(job), {}, {}, {}, mono, {}};
    for (const RankStatus& rank : live.job.attempt.ranks) live.durable_events.push_back(rank.events_taken);
    live.queued_mono = ago(live.job.submitted_at);
    live.started_mono = ago(live.job.started_at.value_or(now()));
    live.attempt_mono = ago(live.job.attempt.launched_at);
    const JobId id = live.job.id;
    jobs_.emplace(id, std::move(live));
  }
  book_.set_nodes(deps_.backend.nodes());
  for (const auto& [id, live] : jobs_) {
    if (live.job.state == JobState::kQueued) {
      book_.queued(live.job);
      continue;
    }
    book_.adopted(live.job);
    const AttemptKey attempt{id, live.job.attempt.number};
    deps_.backend.adopt(still_running(deps_.builder.build(live.job), live.job));
    if (live.job.state == JobState::kStopping) {
      deps_.backend.stop(attempt, reason_of(live.job.intent), live.job.spec.limits.grace);
    } else if (gang_is_doomed(live.job)) {
      deps_.backend.stop(attempt, exec::StopReason::kGangFailed, live.job.spec.limits.grace);
    }
  }
  for (const auto& [id, live] : jobs_) arm_limit_timer(live);
  request_plan();
  return {};
}

void JobService::submit(Submission submission, std::function<void(Result<JobId>)> done) {
  Result<std::optional<JobId>> replay = find_replay(submission);
  if (!replay.ok()) return done(std::move(replay).error());
  if (replay->has_value()) return pipeline_.after_commit([done = std::move(done), id = **replay] { done(id); });
  if (jobs_.size() >= settings_.live_jobs_max) {
    return done(Error{Category::kResourceExhausted,
                      "queue.full",
                      fmt::format("the queue is full: wait for jobs to end or cancel some, live jobs: {}", jobs_.size()),
                      {},
                      {}});
  }
  if (Result<void> fits = check_fits(submission.spec); !fits.ok()) return done(std::move(fits).error());

  const TimePoint time = now();
  Live live;
  live.job.id = last_job_ = JobId(last_job_.value + 1);
  live.job.spec = std::move(submission.spec);
  live.job.resolved = std::move(submission.resolved);
  live.job.run.text = fmt::format("{:016x}{:016x}", xxh3_64(as_bytes(fmt::format("run:{}", settings_.seed))), live.job.id.value);
  live.job.owner = std::move(submission.owner);
  live.job.reason = "waiting for the planner";
  live.job.submitted_at = live.job.queued_at = live.job.eligible_at = time;
  live.queued_mono = deps_.clock.monotonic_now();
  const JobId id = live.job.id;
  Live& stored = jobs_.emplace(id, std::move(live)).first->second;
  book_.queued(stored.job);
  if (!submission.idempotency_key.empty()) {
    new_keys_.push_back({submission.idempotency_key, submission.fingerprint, id, time});
    remember_key(new_keys_.back());
  }
  // The plan is asked for first, so that its turn comes before the commit: submit and launch share one batch.
  request_plan();
  emit(stored.job, "submitted");
  touch(stored);
  arm_limit_timer(stored);
  pipeline_.after_commit([done = std::move(done), id] { done(id); });
}

Result<void> JobService::check_fits(const JobSpec& spec) {
  book_.set_nodes(deps_.backend.nodes());
  return book_.check_possible(spec);
}

void JobService::on_nodes_changed() {
  book_.set_nodes(deps_.backend.nodes());
  request_plan();
}

Result<std::optional<JobId>> JobService::find_replay(const Submission& submission) const {
  if (submission.idempotency_key.empty()) return std::optional<JobId>();
  const auto found = keys_.find(submission.idempotency_key);
  if (found == keys_.end()) return std::optional<JobId>();
  if (found->second.fingerprint != submission.fingerprint) {
    return invalid_argument(
        "idempotency.mismatch",
        fmt::format("this Idempotency-Key was used with another body; it made job {}: use a new key", found->second.job.text()));
  }
  return std::optional<JobId>(found->second.job);
}

void JobService::remember_key(const store::IdempotencyRecord& record) {
  keys_[record.key] = record;
  key_ages_[record.created_at].push_back(record.key);
  while (keys_.size() > settings_.idempotency_keys_max) {
    std::vector<std::string>& oldest = key_ages_.begin()->second;
    keys_.erase(oldest.front());
    oldest.erase(oldest.begin());
    if (oldest.empty()) key_ages_.erase(key_ages_.begin());
  }
}

void JobService::stop(JobId id, StopIntent intent, std::string why, std::function<void(Result<void>)> done) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) {
    if (!id.valid() || id > last_job_) return done(unknown_job(id));
    return pipeline_.after_commit([done = std::move(done)] { done({}); });
  }
  stop_live(found->second, intent, std::move(why), found->second.job.spec.limits.grace);
  pipeline_.after_commit([done = std::move(done)] { done({}); });
}

/// Ranks that run have the grace of their job or `grace_max`, whichever is shorter.
void JobService::stop_live(Live& live, StopIntent intent, std::string why, Duration grace_max) {
  if (!request_stop(live.job, intent, std::move(why), now())) return;
  const JobId id = live.job.id;
  book_.withdrawn(id);
  emit(live.job, event_of(live.job.state));
  touch(live);
  if (live.job.state == JobState::kStopping) {
    const Duration grace = std::min(grace_max, live.job.spec.limits.grace);
    book_.stopping(id, now() + grace);
    stop_after_commit({id, live.job.attempt.number}, reason_of(intent), grace);
  }
  if (is_terminal(live.job.state)) release_ended(id);
  request_plan();
}

void JobService::get(JobId id, std::function<void(Result<Job>)> done) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) {
    return pipeline_.after_commit([done = std::move(done), id] { done(not_found("job.not_live", "job " + id.text() + " is not live")); });
  }
  pipeline_.after_commit([done = std::move(done), job = found->second.job] { done(job); });
}

void JobService::barrier(std::function<void()> done) { pipeline_.after_commit(std::move(done)); }

void JobService::append_events(const RankKey& rank, std::uint64_t first, const std::vector<Document>& events,
                               std::function<void(Result<std::uint64_t>)> done) {
  Live* live = find_current(rank.attempt);
  if (live == nullptr || rank.rank >= live->job.attempt.ranks.size()) return done(fenced(rank.attempt));
  RankStatus& status = live->job.attempt.ranks[rank.rank];
  if (first > status.events_taken) {
    return done(failed_precondition(
        "events.gap", fmt::format("events of rank {} arrive from number {} but {} were taken", rank.rank, first, status.events_taken)));
  }
  const std::uint64_t known = status.events_taken - first;
  for (std::size_t i = known; i < events.size(); ++i) {
    apply_rank_event(live->job, rank.rank, events[i], now());
    const std::string& type = events[i]["event"].text();
    const bool rung = type == "metric" && events[i]["key"].text() == kRungMetric;
    if (type == "checkpoint") book_.checkpointed(live->job.id, now());
    if (rung || type == "ready" || type == "checkpoint" || type == "result") emit(live->job, type, events[i]);
  }
  if (events.size() > known) {
    status.events_taken = first + events.size();
    live->progress_mono = deps_.clock.monotonic_now();
    touch(*live);
  }
  pipeline_.after_commit([this, rank, done = std::move(done), taken = status.events_taken] {
    if (Live* current = find_current(rank.attempt)) {
      std::uint64_t& durable = current->durable_events[rank.rank];
      durable = std::max(durable, taken);
    }
    done(taken);
  });
}

Result<std::uint64_t> JobService::events_taken(const RankKey& rank) const {
  const auto found = jobs_.find(rank.attempt.job);
  if (found == jobs_.end() || found->second.job.attempt.number != rank.attempt.attempt ||
      rank.rank >= found->second.job.attempt.ranks.size()) {
    return fenced(rank.attempt);
  }
  return found->second.durable_events[rank.rank];
}

bool JobService::is_current(const AttemptKey& attempt) const {
  const auto found = jobs_.find(attempt.job);
  return found != jobs_.end() && found->second.job.attempt.number == attempt.attempt && found->second.job.state != JobState::kQueued &&
         !is_terminal(found->second.job.state);
}

std::optional<RunId> JobService::run_of(JobId id) const {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? std::nullopt : std::optional(found->second.job.run);
}

std::uint64_t JobService::subscribe(EventListener listener) {
  listeners_.emplace(++last_subscription_, std::move(listener));
  return last_subscription_;
}

void JobService::unsubscribe(std::uint64_t subscription) { listeners_.erase(subscription); }

std::map<JobState, std::size_t> JobService::counts() const {
  std::map<JobState, std::size_t> counts;
  for (const auto& [id, live] : jobs_) ++counts[live.job.state];
  return counts;
}

JobService::Live* JobService::find_current(const AttemptKey& attempt) { return is_current(attempt) ? &jobs_.at(attempt.job) : nullptr; }

void JobService::on_rank_running(const RankKey& rank, TimePoint started_at) {
  Live* live = find_current(rank.attempt);
  if (live == nullptr) return;
  const JobState before = live->job.state;
  if (!rank_running(live->job, rank.rank, started_at)) return;
  if (live->job.state != before) emit(live->job, event_of(live->job.state));
  touch(*live);
}

void JobService::on_rank_exited(const RankKey& rank, const exec::RankExit& exit) {
  Live* live = find_current(rank.attempt);
  // A rank that is not current any more needs no attention of its own: its node may forget it, once that is durable.
  if (live == nullptr) return forget_after_commit(rank.attempt);
  if (!rank_exited(live->job, rank.rank, exit)) return;
  touch(*live);
  settle(*live);
}

void JobService::on_ranks_lost(const std::vector<RankKey>& ranks, const std::string& why) {
  for (const RankKey& rank : ranks) {
    deps_.log.write(
        {LogLevel::kWarning, "jobs.rank_lost", {{"job", rank.attempt.job.text()}, {"rank", std::int64_t{rank.rank}}, {"why", why}}});
    exec::RankExit exit;
    exit.code = 137;
    exit.lost = true;
    exit.ended_at = now();
    on_rank_exited(rank, exit);
  }
}

/// After a rank ended: the gang dies together, and the attempt ends with its last rank.
void JobService::settle(Live& live) {
  const JobId id = live.job.id;
  const AttemptKey attempt{id, live.job.attempt.number};
  request_plan();
  if (gang_is_doomed(live.job) && live.job.state != JobState::kStopping) {
    const Duration grace = live.job.spec.limits.grace;
    book_.stopping(id, now() + grace);  // What it does from here on is ending: nobody may take it for a job that could give way.
    stop_after_commit(attempt, exec::StopReason::kGangFailed, grace);
  }
  if (!all_ranks_exited(live.job)) return book_.rank_exited(live.job);

  const bool evicted = live.job.intent == StopIntent::kPreempt;
  finish_attempt(live.job, now(), rng_);
  emit(live.job, event_of(live.job.state));
  book_.ended(live.job, evicted, now());
  forget_after_commit(attempt);
  if (is_terminal(live.job.state)) release_ended(id);
}

void JobService::release_ended(JobId id) {
  pipeline_.after_commit([this, id] {
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) return;
    const Job job = std::move(found->second.job);
    jobs_.erase(found);
    hooks_.on_ended(job);
  });
}

void JobService::touch(Live& live) {
  dirty_.insert(live.job.id);
  pipeline_.changed();
}

void JobService::emit(const Job& job, std::string_view type, Document values) {
  last_event_ = EventNumber(last_event_.value + 1);
  values.set("state", name_of(job.state));
  values.set("reason", job.reason);
  values.set("attempt", static_cast<std::int64_t>(job.attempt.number.value));
  new_events_.push_back({last_event_, job.id, now(), std::string(type), to_json(values)});
  pipeline_.changed();
}

store::LedgerBatch JobService::collect() {
  store::LedgerBatch batch;
  for (const JobId id : std::exchange(dirty_, {})) {
    const Live& live = jobs_.at(id);
    batch.jobs.push_back({id, !is_terminal(live.job.state), now(), encode_job(live.job)});
  }
  batch.events = std::exchange(new_events_, {});
  batch.idempotency = std::exchange(new_keys_, {});
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

void JobService::launch(const SchedulerBook::Launch& decided) {
  Live& live = jobs_.at(decided.job);
  start(live.job, decided.nodes, now());
  live.durable_events.assign(live.job.attempt.ranks.size(), 0);
  const MonotonicPoint mono = deps_.clock.monotonic_now();
  if (live.job.attempt.number.value == 1) live.started_mono = mono;
  live.attempt_mono = live.progress_mono = mono;
  emit(live.job, event_of(live.job.state));
  touch(live);
  launch_after_commit(live.job);
  arm_limit_timer(live);
}

void JobService::launch_after_commit(const Job& job) {
  pipeline_.after_commit([this, id = job.id, number = job.attempt.number] {
    Live* live = find_current({id, number});
    if (live == nullptr) return;
    if (Result<void> hit = hit_failpoint("jobs.before_launch"); !hit.ok()) return hooks_.on_fatal(hit.error());
    deps_.backend.launch(deps_.builder.build(live->job));
    if (Result<void> hit = hit_failpoint("jobs.after_launch"); !hit.ok()) return hooks_.on_fatal(hit.error());
    hooks_.on_attempt_started(live->job);
  });
}

void JobService::stop_after_commit(const AttemptKey& attempt, exec::StopReason reason, Duration grace_max) {
  pipeline_.after_commit([this, attempt, reason, grace_max] { deps_.backend.stop(attempt, reason, grace_max); });
}

void JobService::forget_after_commit(const AttemptKey& attempt) {
  pipeline_.after_commit([this, attempt] { deps_.backend.forget(attempt); });
}

void JobService::check_limits() {
  std::vector<LimitHit> hits;
  for (const auto& [id, live] : jobs_) {
    if (const std::optional<std::string> why = limit_reached(live.job, limit_clock(live))) hits.push_back({id, *why});
  }
  for (const LimitHit& hit : hits) stop(hit.job, StopIntent::kLimit, hit.why, [](const Result<void>&) {});
}

LimitClock JobService::limit_clock(const Live& live) const {
  return {live.queued_mono, live.started_mono, live.attempt_mono, live.progress_mono, deps_.clock.monotonic_now()};
}

void JobService::arm_limit_timer(const Live& live) {
  const std::optional<MonotonicPoint> next = next_limit(live.job, limit_clock(live));
  if (!next || (limit_timer_ && *limit_timer_ <= *next)) return;
  limit_timer_ = next;
  deps_.strand.post_at(*next, [this, alive = alive_, due = *next] {
    // A timer that an earlier one replaced has nothing left to do.
    if (!*alive || limit_timer_ != due) return;
    limit_timer_.reset();
    check_limits();
    for (const auto& [id, other] : jobs_) arm_limit_timer(other);
  });
}

}  // namespace trainyard::jobs
