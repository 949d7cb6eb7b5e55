#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "jobs/internal/state_events.h"
#include "jobs/job_service.h"
#include "jobs/waiting.h"

// What people ask of jobs that JobService has: to stop, to wait, to come sooner, and why they wait.

namespace trainyard::jobs {
namespace {

Error unknown_job(JobId id) {
  return not_found("job.unknown", fmt::format("there is no job {}; `trainyard job ls` lists them", id.text()));
}

}  // namespace

/// The job, when it can still be changed; else `done` is told why not.
JobService::Live* JobService::find_for_change(JobId id, const Done& done) {
  Live* live = find(id);
  if (live != nullptr && !is_terminal(live->job.state)) return live;
  if (!id.valid() || id > last_job_) {
    done(unknown_job(id));
  } else {
    // Its end may not be durable yet.
    pipeline_.after_commit(
        [done, id] { done(failed_precondition("job.ended", fmt::format("job {} has ended and does not change any more", id.text()))); });
  }
  return nullptr;
}

void JobService::stop(JobId id, StopIntent intent, std::string why, Done done) {
  Live* live = find(id);
  if (live == nullptr && (!id.valid() || id > last_job_)) return done(unknown_job(id));
  if (live != nullptr) stop_any(*live, {intent, std::move(why), ReasonCode::kNone});
  pipeline_.after_commit([done = std::move(done)] { done(hit_failpoint("jobs.before_stop_told")); });
}

void JobService::stop_any(Live& live, StopRequest request) {
  if (is_array(live.job)) return stop_array(live, std::move(request));
  stop_single(live, std::move(request), live.job.spec.limits.grace);
}

/// Ranks that run have the grace of their job or `grace_max`, whichever is shorter.
void JobService::stop_single(Live& live, StopRequest request, Duration grace_max) {
  const StopIntent intent = request.intent;
  if (!request_stop(live.job, std::move(request), now())) return;
  const JobId id = live.job.id;
  book_.withdrawn(id);
  emit(live.job, internal::event_of(live.job.state));
  touch(live);
  request_plan();
  if (live.job.state == JobState::kStopping) {
    const Duration grace = std::min(grace_max, live.job.spec.limits.grace);
    book_.stopping(id, now() + grace);
    stop_after_commit({id, live.job.attempt.number}, internal::stop_reason_of(intent), grace);
  }
  if (is_terminal(live.job.state)) note_end(id);
}

/// A cancel ends the array with the elements that it has; anything else concerns only those that run.
void JobService::stop_array(Live& parent, StopRequest request) {
  const JobId id = parent.job.id;
  const auto found = arrays_.find(id);
  const std::set<JobId> elements = found == arrays_.end() ? std::set<JobId>() : found->second.live;
  const bool ends = request.intent == StopIntent::kCancel || request.intent == StopIntent::kLimit;
  if (ends) {
    const ReasonCode code = request.code == ReasonCode::kNone ? ReasonCode::kCancelled : request.code;
    if (!cancel_array(parent.job, request.why, code, static_cast<std::int64_t>(elements.size()), now())) return;
    emit(parent.job, internal::event_of(parent.job.state));
    touch(parent);
    if (is_terminal(parent.job.state)) return note_end(id);
    request.intent = StopIntent::kCancel;
  }
  for (const JobId element : elements) {
    if (Live* live = find(element)) stop_single(*live, request, live->job.spec.limits.grace);
  }
}

void JobService::cancel_elements(JobId id, std::int64_t first, std::int64_t last, std::string why, Done done) {
  Live* parent = find_for_change(id, done);
  if (parent == nullptr) return;
  if (!is_array(parent->job)) {
    return done(failed_precondition("job.no_array", fmt::format("job {} is no array and has no elements: cancel it whole", id.text())));
  }
  const std::int64_t count = parent->job.spec.array->count;
  if (first < 0 || first > last) {
    return done(invalid_argument("job.elements", fmt::format("the first element comes before the last: {}-{}", first, last), "/elements"));
  }
  if (last >= count) {
    return done(
        not_found("job.unknown_element", fmt::format("array {} has the elements 0 to {}, there is no {}", id.text(), count - 1, last)));
  }
  if (withdraw_elements(parent->job, first, last)) touch(*parent);
  const auto found = arrays_.find(id);
  const std::set<JobId> made = found == arrays_.end() ? std::set<JobId>() : found->second.live;
  for (const JobId element : made) {
    Live* live = find(element);
    if (live == nullptr || live->job.array_index < first || live->job.array_index > last) continue;
    stop_single(*live, {StopIntent::kCancel, why, ReasonCode::kNone}, live->job.spec.limits.grace);
  }
  make_elements(id);
  pipeline_.after_commit([done = std::move(done)] { done(hit_failpoint("jobs.before_stop_told")); });
}

void JobService::hold(JobId id, const std::string& who, Done done) {
  Live* live = find_for_change(id, done);
  if (live == nullptr) return;
  if (jobs::hold(live->job, who, now())) {
    emit(live->job, "held");
    touch(*live);
    sync_book(*live);
    if (const auto array = arrays_.find(id); array != arrays_.end()) {
      for (const JobId element : array->second.waiting) sync_book(jobs_.at(element));
    }
    request_plan();
  }
  pipeline_.after_commit([done = std::move(done)] { done(hit_failpoint("jobs.before_hold_told")); });
}

void JobService::release(JobId id, const std::string& who, Done done) {
  Live* live = find_for_change(id, done);
  if (live == nullptr) return;
  if (jobs::release(live->job, now())) {
    live->queued_mono = deps_.clock.monotonic_now();
    Document values = Document::object();
    values.set("by", who);
    emit(live->job, "released", std::move(values));
    touch(*live);
    sync_book(*live);
    arm_limit(*live);
    if (const auto array = arrays_.find(id); array != arrays_.end()) {
      for (const JobId element : array->second.waiting) sync_book(jobs_.at(element));
      make_elements(id);
    }
    request_plan();
  }
  pipeline_.after_commit([done = std::move(done)] { done(hit_failpoint("jobs.before_release_told")); });
}

void JobService::set_priority(JobId id, std::int64_t priority, const std::string& who, Done done) {
  Live* live = find_for_change(id, done);
  if (live == nullptr) return;
  if (priority < -kPriorityMax || priority > kPriorityMax) {
    return done(
        invalid_argument("spec.range", fmt::format("a priority lies between {} and {}: {}", -kPriorityMax, kPriorityMax, priority)));
  }
  std::vector<JobId> concerned{id};
  if (const auto array = arrays_.find(id); array != arrays_.end()) {
    concerned.insert(concerned.end(), array->second.live.begin(), array->second.live.end());
  }
  for (const JobId each : concerned) {
    Live& changed = jobs_.at(each);
    if (!jobs::set_priority(changed.job, priority)) continue;
    Document values = Document::object();
    values.set("priority", priority);
    values.set("by", who);
    emit(changed.job, "priority", std::move(values));
    touch(changed);
    book_.set_priority(each, priority);
    request_plan();
  }
  pipeline_.after_commit([done = std::move(done)] { done(hit_failpoint("jobs.before_priority_told")); });
}

void JobService::request_checkpoint(JobId id, Done done) {
  Live* live = find_for_change(id, done);
  if (live == nullptr) return;
  bool asked = checkpoint_live(*live);
  if (const auto array = arrays_.find(id); array != arrays_.end()) {
    for (const JobId element : array->second.live) asked = checkpoint_live(jobs_.at(element)) || asked;
  }
  if (!asked) {
    Error refusal = failed_precondition(
        "job.not_running", fmt::format("only a running job can write a checkpoint, job {} is {}", id.text(), name_of(live->job.state)));
    return pipeline_.after_commit([done = std::move(done), refusal = std::move(refusal)] { done(refusal); });
  }
  pipeline_.after_commit([done = std::move(done)] { done({}); });
}

/// False when no rank of the job runs.
bool JobService::checkpoint_live(Live& live) {
  if (is_array(live.job) || live.job.state != JobState::kRunning) return false;
  emit(live.job, "checkpoint_requested");
  pipeline_.after_commit([this, attempt = AttemptKey{live.job.id, live.job.attempt.number}] {
    if (is_current(attempt)) deps_.backend.request_checkpoint(attempt);
  });
  return true;
}

/// The hold of the array that the job is an element of, or null.
const Hold* JobService::array_hold(const Job& job) const {
  const Live* parent = job.array_parent.valid() ? find(job.array_parent) : nullptr;
  return parent != nullptr && parent->job.hold ? &*parent->job.hold : nullptr;
}

/// Shows a queued job to the planner, or hides it, as its hold and dependencies say.
void JobService::sync_book(Live& live) {
  if (live.job.state != JobState::kQueued) return;
  if (waits_for_room(live.job) && array_hold(live.job) == nullptr) {
    book_.queued(live.job);
  } else {
    book_.withdrawn(live.job.id);
  }
}

/// The element of an array that is to start first, if one waits.
const JobService::Live* JobService::next_element(JobId array) const {
  const auto found = arrays_.find(array);
  return found == arrays_.end() || found->second.waiting.empty() ? nullptr : find(*found->second.waiting.begin());
}

Result<sched::Explanation> JobService::explain(JobId id) const {
  const Live* live = find(id);
  if (live == nullptr || live->job.state != JobState::kQueued) return book_.explain(id, now());
  if (std::optional<sched::Explanation> gate = explain_gate(live->job, array_hold(live->job), now())) {
    gate->epoch = book_.state().queue.epoch;
    return std::move(*gate);
  }
  if (!is_array(live->job)) return book_.explain(id, now());
  if (const Live* element = next_element(id)) {
    ASSIGN_OR_RETURN(sched::Explanation explanation, explain(element->job.id));
    explanation.job = id;
    return explanation;
  }
  sched::Explanation explanation;
  explanation.job = id;
  explanation.message = std::string(sched::meaning_of(explanation.reason));
  return explanation;
}

std::optional<sched::Wait> JobService::wait_of(JobId id) const {
  const Live* live = find(id);
  if (live == nullptr || live->job.state != JobState::kQueued) return std::nullopt;
  if (const std::optional<sched::Wait> gate = gate_of(live->job, array_hold(live->job))) return gate;
  if (!is_array(live->job)) return book_.wait_of(id, now());
  const Live* element = next_element(id);
  std::optional<sched::Wait> wait = element == nullptr ? sched::Wait{} : wait_of(element->job.id);
  if (wait) wait->job = id;
  return wait;
}

Result<std::vector<sched::Fix>> JobService::fixes(JobId id) const {
  constexpr Duration kSlow = std::chrono::milliseconds(10);
  constexpr std::size_t kFew = 1000;  // With so few jobs a slow plan was one that others kept from running.
  const Live* live = find(id);
  if (live != nullptr && live->job.state == JobState::kQueued) {
    if (std::vector<sched::Fix> fixes = gate_fixes(live->job, array_hold(live->job)); !fixes.empty()) return fixes;
    if (const Live* element = is_array(live->job) ? next_element(id) : nullptr) id = element->job.id;
  }
  if (planning_.took <= kSlow || jobs_.size() <= kFew) return book_.fixes(id, now());
  std::string why =
      fmt::format("a plan takes {} ms, and finding what would start the job costs about thirty: ask again when fewer jobs wait",
                  planning_.took.count() / 1000);
  return Error{Category::kResourceExhausted, "sched.slow_plan", std::move(why), {}, {}};
}

}  // namespace trainyard::jobs
