#include "jobs/array.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace trainyard::jobs {
namespace {

constexpr std::size_t kNameBytesMax = 256;

void end_array(Job& parent, JobState state, std::string reason, ReasonCode code, TimePoint now) {
  CHECK(!is_terminal(parent.state), "an array ends once");
  parent.state = state;
  parent.reason = std::move(reason);
  parent.reason_code = code;
  parent.ended_at = now;
}

std::int64_t& count_of(ArrayProgress& array, JobState state) {
  switch (state) {
    case JobState::kSucceeded:
      return array.succeeded;
    case JobState::kCancelled:
      return array.cancelled;
    case JobState::kTimedOut:
      return array.timed_out;
    case JobState::kFailed:
    case JobState::kQueued:
    case JobState::kStarting:
    case JobState::kRunning:
    case JobState::kStopping:
      break;
  }
  return array.failed;
}

bool end_when_done(Job& parent, std::int64_t live, TimePoint now) {
  const ArrayProgress& array = parent.array;
  if (live > 0) return false;
  if (parent.state == JobState::kStopping) {
    end_array(parent, JobState::kCancelled, parent.reason, parent.reason_code, now);
    return true;
  }
  const std::int64_t count = parent.spec.array->count;
  if (array.ended() < count) return false;
  if (array.succeeded == count) {
    end_array(parent, JobState::kSucceeded, fmt::format("all {} elements succeeded", count), ReasonCode::kSucceeded, now);
  } else {
    end_array(parent, JobState::kFailed,
              fmt::format("{} of {} elements did not succeed, the first is [{}]", count - array.succeeded, count,
                          *std::min_element(array.not_succeeded.begin(), array.not_succeeded.end())),
              ReasonCode::kElementsFailed, now);
  }
  return true;
}

}  // namespace

std::int64_t elements_to_make(const Job& parent, const LiveElements& elements, std::int64_t ahead) {
  if (parent.state != JobState::kQueued && parent.state != JobState::kRunning) return 0;
  if (parent.hold || !parent.waits_for.empty()) return 0;
  const JobArray& array = *parent.spec.array;
  const std::int64_t next_withdrawn = parent.array.withdrawn.empty() ? array.count : parent.array.withdrawn.front().first;
  std::int64_t count = std::min(next_withdrawn - parent.array.created, ahead - elements.waiting);
  if (array.max_running > 0) count = std::min(count, array.max_running - elements.live);
  return std::max<std::int64_t>(count, 0);
}

Job make_element(Job& parent, JobId id, TimePoint now) {
  CHECK(parent.array.created < parent.spec.array->count, "an array makes each element once");
  const std::int64_t index = parent.array.created++;
  Job element;
  element.id = id;
  element.spec = parent.spec;
  element.spec.array.reset();
  element.spec.after.clear();
  element.spec.hold = false;
  const std::string name = fmt::format("{}[{}]", parent.spec.name, index);
  if (name.size() <= kNameBytesMax) element.spec.name = name;
  element.spec.env["TRAINYARD_ARRAY_INDEX"] = std::to_string(index);
  element.spec.env["TRAINYARD_ARRAY_COUNT"] = std::to_string(parent.spec.array->count);
  element.resolved = parent.resolved;
  element.owner = parent.owner;
  element.priority = parent.priority;
  element.reason = "waiting for the planner";
  element.submitted_at = now;
  element.queued_at = parent.queued_at;
  // The wall clock may have been set back since the array came.
  element.eligible_at = std::min(parent.queued_at, now);
  element.array_parent = parent.id;
  element.array_index = index;
  return element;
}

bool element_started(Job& parent, TimePoint now) {
  ++parent.array.started;
  if (!parent.started_at) parent.started_at = now;
  if (parent.state != JobState::kQueued) return false;
  parent.state = JobState::kRunning;
  parent.reason = "its elements run";
  return true;
}

bool element_ended(Job& parent, const Job& element, std::int64_t live, TimePoint now) {
  ArrayProgress& array = parent.array;
  ++count_of(array, element.state);
  if (element.state != JobState::kSucceeded && array.not_succeeded.size() < kArrayIndicesMax) {
    array.not_succeeded.push_back(element.array_index);
  }
  return end_when_done(parent, live, now);
}

bool withdraw_elements(Job& parent, std::int64_t first, std::int64_t last) {
  ArrayProgress& array = parent.array;
  first = std::max(first, array.created);
  last = std::min(last, parent.spec.array->count - 1);
  if (first > last) return false;
  std::vector<std::pair<std::int64_t, std::int64_t>> ranges = array.withdrawn;
  ranges.emplace_back(first, last);
  std::sort(ranges.begin(), ranges.end());
  std::vector<std::pair<std::int64_t, std::int64_t>> apart;
  for (const auto& range : ranges) {
    if (!apart.empty() && range.first <= apart.back().second + 1) {
      apart.back().second = std::max(apart.back().second, range.second);
    } else {
      apart.push_back(range);
    }
  }
  return std::exchange(array.withdrawn, apart) != array.withdrawn;
}

bool pass_withdrawn(Job& parent, std::int64_t live, TimePoint now) {
  ArrayProgress& array = parent.array;
  while (!array.withdrawn.empty() && array.withdrawn.front().first == array.created) {
    for (const std::int64_t last = array.withdrawn.front().second; array.created <= last; ++array.created) {
      ++array.cancelled;
      if (array.not_succeeded.size() < kArrayIndicesMax) array.not_succeeded.push_back(array.created);
    }
    array.withdrawn.erase(array.withdrawn.begin());
  }
  return !is_terminal(parent.state) && end_when_done(parent, live, now);
}

bool cancel_array(Job& parent, std::string why, ReasonCode code, std::int64_t live, TimePoint now) {
  if (is_terminal(parent.state) || parent.state == JobState::kStopping) return false;
  parent.intent = StopIntent::kCancel;
  if (live == 0) {
    end_array(parent, JobState::kCancelled, std::move(why), code, now);
    return true;
  }
  parent.state = JobState::kStopping;
  parent.reason = std::move(why);
  parent.reason_code = code;
  return true;
}

}  // namespace trainyard::jobs
