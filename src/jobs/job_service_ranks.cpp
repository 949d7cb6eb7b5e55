#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "jobs/accounting.h"
#include "jobs/internal/state_events.h"
#include "jobs/job_service.h"

// Attempts and their ranks: how JobService launches them, and what it is told of them.

namespace trainyard::jobs {
namespace {

Error fenced(const AttemptKey& attempt) {
  return {Category::kAborted,
          "lease.fenced",
          fmt::format("attempt {} of job {} is not the current one: what it sends is refused", attempt.attempt.text(), attempt.job.text()),
          {},
          {}};
}

}  // namespace

bool JobService::is_current(const AttemptKey& attempt) const {
  const Live* live = find(attempt.job);
  return live != nullptr && attempt.attempt.valid() && live->job.attempt.number == attempt.attempt &&
         live->job.state != JobState::kQueued && !is_terminal(live->job.state);
}

JobService::Live* JobService::find_current(const AttemptKey& attempt) { return is_current(attempt) ? &jobs_.at(attempt.job) : nullptr; }

void JobService::append_events(const RankKey& rank, std::uint64_t first, const std::vector<Document>& events,
                               std::function<void(Result<std::uint64_t>)> done) {
  Live* live = find_current(rank.attempt);
  // What took its place may not be durable yet: who is refused drops what it has, which a crash could still call for.
  if (live == nullptr || rank.rank >= live->job.attempt.ranks.size()) {
    return pipeline_.after_commit([attempt = rank.attempt, done = std::move(done)] { done(fenced(attempt)); });
  }
  RankStatus& status = live->job.attempt.ranks[rank.rank];
  if (first > status.events_taken) {
    return done(failed_precondition(
        "events.gap", fmt::format("events of rank {} arrive from number {} but {} were taken", rank.rank, first, status.events_taken)));
  }
  const std::uint64_t known = status.events_taken - first;
  const MonotonicPoint mono = deps_.clock.monotonic_now();
  for (std::size_t i = known; i < events.size(); ++i) {
    if (apply_rank_event(live->job, rank.rank, events[i], now())) live->step_mono = mono;
    const std::string& type = events[i]["event"].text();
    const bool rung = type == "metric" && events[i]["key"].text() == kRungMetric;
    if (type == "checkpoint") book_.checkpointed(live->job.id, now());
    if (rung || type == "ready" || type == "checkpoint" || type == "result") emit(live->job, type, events[i]);
  }
  if (events.size() > known) {
    status.events_taken = first + events.size();
    live->progress_mono = mono;
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
  const Live* live = find(rank.attempt.job);
  if (live == nullptr || live->job.attempt.number != rank.attempt.attempt || rank.rank >= live->job.attempt.ranks.size()) {
    return fenced(rank.attempt);
  }
  return live->durable_events[rank.rank];
}

void JobService::on_rank_running(const RankKey& rank, TimePoint started_at) {
  Live* live = find_current(rank.attempt);
  if (live == nullptr) return;
  const JobState before = live->job.state;
  if (!rank_running(live->job, rank.rank, started_at)) return;
  if (live->job.state != before) emit(live->job, internal::event_of(live->job.state));
  touch(*live);
}

void JobService::on_rank_limited(const RankKey& rank, const std::string& limited_by) {
  Live* live = find_current(rank.attempt);
  if (live == nullptr || rank.rank >= live->job.attempt.ranks.size()) return;
  RankStatus& status = live->job.attempt.ranks[rank.rank];
  if (status.phase == RankStatus::Phase::kExited || status.limited_by == limited_by) return;
  status.limited_by = limited_by;
  touch(*live);
}

void JobService::on_rank_exited(const RankKey& rank, const exec::RankExit& exit) {
  Live* live = find_current(rank.attempt);
  // A rank that is not current any more needs no attention of its own: its node may forget it, once that is durable.
  if (live == nullptr) return forget_after_commit(rank.attempt);
  if (!rank_exited(live->job, rank.rank, exit)) return;
  charge_rank(live->job, rank.rank, now());
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

void JobService::on_nodes_changed() {
  book_.set_nodes(deps_.backend.nodes());
  planning_.nodes_seen = true;
  drain_nodes();
  request_plan();
}

/// Jobs with a rank on a node that is being drained go back to their place in the queue; those that give way to nobody may end there.
void JobService::drain_nodes() {
  std::map<NodeName, std::string> draining;
  for (const exec::NodeView& node : deps_.backend.nodes()) {
    if (node.state == exec::NodeState::kDraining) draining.emplace(node.name, node.state_reason);
  }
  if (draining.empty()) return;
  std::map<JobId, NodeName> concerned;
  jobs_.each([&draining, &concerned](JobId id, const Live& live) {
    const bool launched = live.job.state == JobState::kStarting || live.job.state == JobState::kRunning;
    if (!launched || is_array(live.job) || !live.job.spec.preemptible) return;
    for (const RankStatus& rank : live.job.attempt.ranks) {
      if (rank.phase != RankStatus::Phase::kExited && draining.contains(rank.node)) concerned.emplace(id, rank.node);
    }
  });
  for (const auto& [id, node] : concerned) {
    const std::string& reason = draining.at(node);
    std::string why = fmt::format("node {} is being drained{}{}", node.text, reason.empty() ? "" : ": ", reason);
    stop_any(jobs_.at(id), {StopIntent::kDrain, std::move(why), ReasonCode::kNone});
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
  const bool was_raised = live.job.memory_bytes.has_value();
  finish_attempt(live.job, now(), rng_);
  // What no node could ever hold would wait for ever.
  if (!was_raised && live.job.memory_bytes && !book_.could_hold(task_resources(live.job), live.job.spec.tasks)) {
    live.job.memory_bytes.reset();
  }
  emit(live.job, internal::event_of(live.job.state));
  touch(live);
  book_.ended(live.job, evicted, now());
  forget_after_commit(attempt);
  if (is_terminal(live.job.state)) return note_end(id);
  if (live.job.array_parent.valid()) sync_element(live);
  sync_book(live);
}

void JobService::launch(const SchedulerBook::Launch& decided) {
  Live& live = jobs_.at(decided.job);
  start(live.job, decided.nodes, now());
  live.durable_events.assign(live.job.attempt.ranks.size(), 0);
  const MonotonicPoint mono = deps_.clock.monotonic_now();
  if (live.job.attempt.number.value == 1) live.started_mono = mono;
  live.attempt_mono = live.step_mono = live.progress_mono = mono;
  emit(live.job, internal::event_of(live.job.state));
  touch(live);
  launch_after_commit(live.job);
  arm_limit(live);
  if (!live.job.array_parent.valid()) return;
  sync_element(live);
  Live* parent = find(live.job.array_parent);
  if (parent == nullptr || live.job.attempt.number.value != 1) return;
  if (element_started(parent->job, now())) emit(parent->job, internal::event_of(parent->job.state));
  touch(*parent);
  arrays_to_fill_.insert(parent->job.id);
}

exec::GangLaunch JobService::build_launch(const Job& job) {
  exec::GangLaunch launch = deps_.builder.build(job);
  if (!job.memory_bytes) return launch;
  for (exec::RankLaunch& rank : launch.ranks) rank.resources.memory_bytes = *job.memory_bytes;
  return launch;
}

void JobService::launch_after_commit(const Job& job) {
  pipeline_.after_commit([this, id = job.id, number = job.attempt.number] {
    Live* live = find_current({id, number});
    if (live == nullptr) return;
    if (Result<void> hit = hit_failpoint("jobs.before_launch"); !hit.ok()) return hooks_.on_fatal(hit.error());
    deps_.backend.launch(build_launch(live->job));
    if (Result<void> hit = hit_failpoint("jobs.after_launch"); !hit.ok()) return hooks_.on_fatal(hit.error());
    hooks_.on_attempt_started(live->job);
  });
}

void JobService::stop_after_commit(const AttemptKey& attempt, exec::StopReason reason, Duration grace_max) {
  pipeline_.after_commit([this, attempt, reason, grace_max] {
    if (Result<void> hit = hit_failpoint("jobs.before_stop_sent"); !hit.ok()) return hooks_.on_fatal(hit.error());
    deps_.backend.stop(attempt, reason, grace_max);
  });
}

void JobService::forget_after_commit(const AttemptKey& attempt) {
  pipeline_.after_commit([this, attempt] {
    if (Result<void> hit = hit_failpoint("jobs.before_forget_sent"); !hit.ok()) return hooks_.on_fatal(hit.error());
    deps_.backend.forget(attempt);
  });
}

}  // namespace trainyard::jobs
