#pragma once
#include "jobs/job.h"

namespace trainyard::jobs {

// An array is one job, the parent, until its elements start. Elements are jobs of their own, made a few at a time; the parent holds no
// room.
//
//   QUEUED --first element starts--> RUNNING --all have ended--> SUCCEEDED (each did) | FAILED
//     |                                 |
//     +----------- cancel --------------+--> STOPPING --those that were made have ended--> CANCELLED

/// Elements that wait for room at one time: enough to fill a cluster between two plans, and few enough to be no burden.
constexpr std::int64_t kElementsAhead = 256;

/// Elements of one array that are live, as the service counts them.
struct LiveElements {
  std::int64_t live = 0;
  std::int64_t waiting = 0;  ///< QUEUED among them.
};

/// How many elements should be made now, with at most `ahead` waiting. Zero until the parent is released and its dependencies are met.
std::int64_t elements_to_make(const Job& parent, const LiveElements& elements, std::int64_t ahead);

/// The next element, a queued job with the place in the queue that the array has; counts it.
Job make_element(Job& parent, JobId id, TimePoint now);

/// An element was launched for the first time. True when that changed the state of the parent.
bool element_started(Job& parent, TimePoint now);

/// An element has ended and `live` others have not. True when the parent has ended with it.
bool element_ended(Job& parent, const Job& element, std::int64_t live, TimePoint now);

/// Cancels the elements first..last as far as they are not made: they never will be, and count as cancelled when their turn comes. False
/// when nothing changed.
bool withdraw_elements(Job& parent, std::int64_t first, std::int64_t last);

/// Counts the withdrawn elements whose turn it is. True when the parent, of whose elements `live` have not ended, has ended with them.
bool pass_withdrawn(Job& parent, std::int64_t live, TimePoint now);

/// Records the cancel of the whole; with `live` elements it is STOPPING until they have ended. False when it has ended or is stopping.
bool cancel_array(Job& parent, std::string why, ReasonCode code, std::int64_t live, TimePoint now);

}  // namespace trainyard::jobs
