#pragma once
#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include "base/time.h"

namespace trainyard::sim {

/// What happens, in the order in which it is dealt with at one time: ends first.
enum class EventKind : std::uint8_t {
  kEnd,     ///< A job has done its work, or reaches its limit.
  kLeave,   ///< An evicted job has gone.
  kShrunk,  ///< A gang has given up tasks.
  kNodeBack,
  kLoss,     ///< A node is lost.
  kNotice,   ///< A node will be lost.
  kOverrun,  ///< A job runs past what the planner believes.
  kWake,     ///< The planner wanted to be asked again.
};

/// One thing to come. `subject`: the job or the fault. `generation`: of the subject when this was planned; an older one is void.
struct Event {
  Duration at{0};
  EventKind kind = EventKind::kEnd;
  std::uint32_t subject = 0;
  std::uint32_t generation = 0;

  bool after(const Event& other) const {
    return std::tie(at, kind, subject, generation) > std::tie(other.at, other.kind, other.subject, other.generation);
  }
};

/// A binary heap of events, earliest first; ties by kind and subject.
class EventQueue {
 public:
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  const Event& first() const { return heap_.front(); }
  void push(const Event& event) {
    heap_.push_back(event);
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  void pop() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    heap_.pop_back();
  }

 private:
  static bool later(const Event& a, const Event& b) { return a.after(b); }
  std::vector<Event> heap_;
};

}  // namespace trainyard::sim
