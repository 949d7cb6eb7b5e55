#include "sched/internal/least_priority.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "sched/internal/ageing.h"

namespace trainyard::sched {
namespace {

/// Priorities of people and the gains of ageing lie far within; beyond, sums of doubles would not be exact.
constexpr std::int64_t kBound = std::int64_t{1} << 50;

/// Priorities at which the job may pass another one, and steps beyond for orders that add to them. Ascending, all above its own.
std::vector<std::int64_t> places(const SchedulerState& state, const JobSnapshot& job, TimePoint now) {
  std::set<std::int64_t> values;
  const double gained = aged_priority(job, ageing_of(state.queue.queue(job.queue)), now) - static_cast<double>(job.priority);
  for (const QueueState& queue : state.queue.queues()) {
    const Ageing ageing = ageing_of(queue);
    for (const PendingEntry& entry : queue.pending) {
      const double level = std::floor(aged_priority(state.queue.job(entry), ageing, now) - gained);
      if (std::abs(level) >= static_cast<double>(kBound)) continue;
      for (std::int64_t step = 0; step <= 1; ++step) values.insert(static_cast<std::int64_t>(level) + step);
    }
  }
  for (std::int64_t step = 1; step < kBound; step *= 8) values.insert(std::max(job.priority, -kBound) + step);
  return {values.upper_bound(job.priority), values.end()};
}

}  // namespace

std::optional<std::int64_t> least_priority(FixSearch& search, const SchedulerState& state, const JobSnapshot& job, TimePoint now) {
  if (std::abs(job.priority) >= kBound) return std::nullopt;
  const auto works = [&](std::int64_t priority) {
    return search.starts({.job = job.id, .demand = {}, .tasks = {}, .walltime = {}, .priority = priority});
  };
  const std::vector<std::int64_t> tried = places(state, job, now);
  std::size_t first = tried.size();  // Of those that work.
  std::size_t failing = 0;           // So many at the front do not, where being earlier is never worse.
  if (works(tried.back())) {
    first = tried.size() - 1;
    while (failing < first) {
      const std::size_t middle = failing + (first - failing) / 2;
      if (works(tried[middle])) {
        first = middle;
      } else {
        failing = middle + 1;
      }
    }
  } else if (tried.size() <= search.tries()) {
    first = static_cast<std::size_t>(std::find_if(tried.begin(), tried.end(), works) - tried.begin());
  }
  if (first == tried.size()) return std::nullopt;
  std::int64_t fails = first == 0 ? job.priority : tried[first - 1];
  std::int64_t enough = tried[first];
  while (enough - fails > 1) {
    const std::int64_t middle = fails + (enough - fails) / 2;
    (works(middle) ? enough : fails) = middle;
  }
  return enough;
}

}  // namespace trainyard::sched
