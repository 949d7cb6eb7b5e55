#include <utility>

#include "base/failpoint.h"
#include "jobs/internal/state_events.h"
#include "jobs/job_service.h"

// What the end of one job means to others: to those that wait for it, to the array it belongs to. All of it is part of the commit that
// makes the end durable, so that a crash finds none of it or all.

namespace trainyard::jobs {

/// A job has just become terminal. Ends that follow from it (a chain of jobs that can never start) are taken up one after the other.
void JobService::note_end(JobId id) {
  ended_.push_back(id);
  if (settling_ends_) return;
  settling_ends_ = true;
  for (std::size_t i = 0; i < ended_.size(); ++i) {
    const Live& live = jobs_.at(ended_[i]);
    recent_ends_.add(ended_[i], live.job.state);
    settle_dependants(live);
    if (live.job.array_parent.valid()) settle_element(live);
    if (is_array(live.job)) arrays_.erase(live.job.id);
    release_ended(ended_[i]);
  }
  ended_.clear();
  settling_ends_ = false;
  if (Result<void> hit = hit_failpoint("jobs.after_ends_settled"); !hit.ok()) return hooks_.on_fatal(hit.error());
  make_elements_of_all();
}

void JobService::settle_dependants(const Live& ended) {
  for (const JobId id : dependants_.take(ended.job.id)) {
    Live* waiting = find(id);
    if (waiting != nullptr && !is_terminal(waiting->job.state)) settle_dependency_of(*waiting, ended.job.id, ended.job.state);
  }
}

/// False when the waiting job can never start and was cancelled.
bool JobService::settle_dependency_of(Live& waiting, JobId ended, JobState state) {
  switch (settle_dependency(waiting.job, ended, state, now())) {
    case DependencyOutcome::kImpossible:
      stop_any(waiting, {StopIntent::kCancel, impossible_dependency_text(waiting.job, ended, state), ReasonCode::kDependencyFailed});
      return false;
    case DependencyOutcome::kWaiting:
      touch(waiting);
      return true;
    case DependencyOutcome::kMet:
      break;
  }
  waiting.queued_mono = deps_.clock.monotonic_now();
  emit(waiting.job, "dependencies_met");
  touch(waiting);
  sync_book(waiting);
  arm_limit(waiting);
  if (is_array(waiting.job)) arrays_to_fill_.insert(waiting.job.id);
  request_plan(PlanCause::kArrival);
  return true;
}

/// An element has ended: its array counts it, and may end with it.
void JobService::settle_element(const Live& element) {
  sync_element(element);
  Live* parent = find(element.job.array_parent);
  if (parent == nullptr || is_terminal(parent->job.state)) return;
  const std::int64_t live = arrays_[parent->job.id].counts().live;
  const bool ended = element_ended(parent->job, element.job, live, now());
  if (ended) emit(parent->job, internal::event_of(parent->job.state));
  touch(*parent);
  if (ended) return note_end(parent->job.id);
  arrays_to_fill_.insert(parent->job.id);
}

/// Keeps the lists of elements in step with the state of one.
void JobService::sync_element(const Live& element) {
  const auto found = arrays_.find(element.job.array_parent);
  if (found == arrays_.end()) return;
  Elements& elements = found->second;
  const JobId id = element.job.id;
  if (is_terminal(element.job.state)) {
    elements.live.erase(id);
  } else {
    elements.live.insert(id);
  }
  if (element.job.state == JobState::kQueued) {
    elements.waiting.insert(id);
  } else {
    elements.waiting.erase(id);
  }
}

/// Makes the next elements of an array as jobs of their own. The parent is part of the same commit, so that no index is made twice or left
/// out. When too many jobs are live one waits for each array, so that all go on.
void JobService::make_elements(JobId array) {
  Live* parent = find(array);
  if (parent == nullptr || !is_array(parent->job) || is_terminal(parent->job.state)) return;
  const std::int64_t before = parent->job.array.created;
  bool ended = false;
  for (std::int64_t made = 1; made > 0 && !ended;) {
    ended = pass_withdrawn(parent->job, arrays_[array].counts().live, now());
    made = ended ? 0 : make_some_elements(*parent);
  }
  if (ended) emit(parent->job, internal::event_of(parent->job.state));
  if (ended || parent->job.array.created > before) touch(*parent);
  if (ended) note_end(array);
}

/// Up to the next one that was withdrawn.
std::int64_t JobService::make_some_elements(Live& parent) {
  const bool crowded = jobs_.size() >= settings_.live_jobs_max;
  const LiveElements elements = arrays_[parent.job.id].counts();
  if (!crowded && elements.waiting > kElementsAhead / 2) return 0;
  const std::int64_t count = elements_to_make(parent.job, elements, crowded ? 1 : kElementsAhead);
  for (std::int64_t i = 0; i < count; ++i) {
    last_job_ = JobId(last_job_.value + 1);
    Live& element = jobs_.add(last_job_);
    element.job = make_element(parent.job, last_job_, now());
    introduce(element);
    enter(element);
  }
  if (count > 0) (void)hit_failpoint("jobs.after_elements_made");
  return count;
}

void JobService::make_elements_of_all() {
  for (const JobId array : std::exchange(arrays_to_fill_, {})) make_elements(array);
}

void JobService::release_ended(JobId id) {
  pipeline_.after_commit([this, id] {
    if (find(id) == nullptr) return;
    if (Result<void> hit = hit_failpoint("jobs.before_end_told"); !hit.ok()) return hooks_.on_fatal(hit.error());
    jobs_.erase(id, [this](const Live& live) {
      --counts_[static_cast<std::size_t>(live.counted)];
      hooks_.on_ended(live.job);
    });
  });
}

}  // namespace trainyard::jobs
