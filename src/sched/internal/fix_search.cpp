#include "sched/internal/fix_search.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace trainyard::sched {
namespace {

/// Jobs and nodes that the plans of one search may look at together, and the least and the most plans.
constexpr std::size_t kWorkMax = 100'000;
constexpr std::size_t kTriesMin = 6;
constexpr std::size_t kTriesMax = 256;

/// No resources, on any node: as long as some node is usable there is room for it.
ConstraintsPtr tolerant_of_all(const ClusterSnapshot& cluster) {
  Constraints constraints;
  for (const NodeState& node : cluster.nodes()) constraints.tolerations.insert(node.info->taints.begin(), node.info->taints.end());
  return std::make_shared<const Constraints>(std::move(constraints));  // shared: as shapes keep it
}

/// Values from `low` to `high`, both among them: all when they are few, else about `count`, in equal steps and in equal ratios. Descending.
std::vector<std::int64_t> samples(std::int64_t low, std::int64_t high, std::size_t count) {
  const std::int64_t size = high - low;
  const auto steps = std::min<std::int64_t>(size, static_cast<std::int64_t>(count / 2));
  std::set<std::int64_t, std::greater<>> points{low, high};
  if (size < static_cast<std::int64_t>(count)) {
    for (std::int64_t value = low; value <= high; ++value) points.insert(value);
    return {points.begin(), points.end()};
  }
  for (std::int64_t i = 1; i < steps; ++i) {
    points.insert(low + size / steps * i);
    const double ratio = static_cast<double>(i) / static_cast<double>(steps);
    points.insert(low + static_cast<std::int64_t>(std::pow(static_cast<double>(size), ratio)));
  }
  return {points.begin(), points.end()};
}

bool starts(const Decisions& decisions, JobId job) {
  return std::any_of(decisions.starts.begin(), decisions.starts.end(), [job](const Start& start) { return start.job == job; });
}

}  // namespace

bool starts_in_plan(const ClusterSnapshot& cluster, const QueueSnapshot& queue, JobId job, TimePoint now) {
  return starts(Pass(cluster, queue, now, {.probe = nullptr, .stop_after = job}).run(), job);
}

FixSearch::FixSearch(const SchedulerState& state, const JobSnapshot& job, TimePoint now)
    : fork_(state),
      job_(job),
      now_(now),
      tries_(std::clamp(kWorkMax / (state.queue.pending_count() + state.cluster.nodes().size() + 1), kTriesMin, kTriesMax)) {
  CHECK(apply_change(fork_, AlterJob{.job = job.id, .demand = {}, .tasks = {}, .walltime = {}, .priority = {}}).ok(), "the job waits");
}

bool FixSearch::started(const Decisions& decisions) const { return sched::starts(decisions, job_.id); }

Decisions FixSearch::decide(const AlterJob& change) {
  replace_waiting(fork_, altered(job_, change));
  return Pass(fork_.cluster, fork_.queue, now_, {.probe = nullptr, .stop_after = job_.id}).run();
}

std::vector<std::optional<std::int64_t>> FixSearch::largest(const std::vector<RequestRange>& ranges) {
  ranges_ = &ranges;
  candidates_.assign(ranges.size(), std::nullopt);
  replace_waiting(fork_, altered(job_, {}));
  // Other requests of the job may have room where no live one has; the pass must not end before its turn because of that.
  anything_ = fork_.cluster.intern({}, tolerant_of_all(fork_.cluster));
  unchanged_ = Pass(fork_.cluster, fork_.queue, now_, {.probe = this, .stop_after = job_.id}).run();
  fork_.cluster.release_shape(anything_);
  for (const ShapeId shape : asked_) fork_.cluster.release_shape(shape);
  asked_.clear();
  std::vector<std::optional<std::int64_t>> answers;
  for (std::size_t i = 0; i < ranges.size(); ++i) answers.push_back(settle(ranges[i], candidates_[i]));
  return answers;
}

void FixSearch::before(Pass& pass, const JobSnapshot& job) {
  if (job.id != job_.id) return;
  for (std::size_t i = 0; i < ranges_->size(); ++i) candidates_[i] = candidate(pass, (*ranges_)[i]);
}

bool FixSearch::would_start(Pass& pass, const AlterJob& change) {
  JobSnapshot job = altered(job_, change);
  job.shape = fork_.cluster.intern(job.demand, job.constraints);
  asked_.push_back(job.shape);
  return pass.would_start(job);
}

std::optional<std::int64_t> FixSearch::candidate(Pass& pass, const RequestRange& range) {
  std::int64_t low = range.low;
  std::int64_t high = range.high;
  if (low > high || !would_start(pass, range.change(low))) return std::nullopt;
  while (low < high) {
    const std::int64_t middle = low + (high - low + 1) / 2;
    if (would_start(pass, range.change(middle))) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

/// Whether all jobs before this one in the pass fare alike.
bool FixSearch::same_for_others(const Decisions& a, const Decisions& b) const {
  const auto same = [this](const auto& left, const auto& right, auto id_of, auto equal) {
    auto x = left.begin();
    auto y = right.begin();
    while (true) {
      while (x != left.end() && id_of(*x) == job_.id) ++x;
      while (y != right.end() && id_of(*y) == job_.id) ++y;
      if (x == left.end() || y == right.end()) return x == left.end() && y == right.end();
      if (!equal(*x++, *y++)) return false;
    }
  };
  const auto job_of = [](const auto& entry) { return entry.job; };
  return same(a.starts, b.starts, job_of, std::equal_to<>()) && same(a.reservations, b.reservations, job_of, std::equal_to<>()) &&
         same(
             a.preemptions, b.preemptions, [](const Preemption& entry) { return entry.preemptor; }, std::equal_to<>()) &&
         same(a.waits, b.waits, job_of, [](const Wait& left, const Wait& right) { return left.job == right.job; });
}

/// Tries the smallest request: true when the job does not start with it, and nobody before it fares otherwise because of it. Then what
/// was found at the job's turn holds.
bool FixSearch::smallest_changes_nothing(const RequestRange& range) {
  anything_ = fork_.cluster.intern({}, tolerant_of_all(fork_.cluster));
  const Decisions decisions = decide(range.change(range.low));
  fork_.cluster.release_shape(anything_);
  return !started(decisions) && same_for_others(decisions, unchanged_);
}

std::optional<std::int64_t> FixSearch::settle(const RequestRange& range, std::optional<std::int64_t> candidate) {
  if (range.low > range.high) return std::nullopt;
  if (candidate && starts(range.change(*candidate)) && (*candidate == range.high || !starts(range.change(*candidate + 1)))) {
    return candidate;
  }
  if (!candidate && smallest_changes_nothing(range)) return std::nullopt;
  return try_many(range);
}

/// For orders and shares that look at what jobs ask for: a smaller request can come later, so that no search by halves is enough.
std::optional<std::int64_t> FixSearch::try_many(const RequestRange& range) {
  std::int64_t fails = range.high + 1;
  for (const std::int64_t value : samples(range.low, range.high, tries_)) {
    if (!starts(range.change(value))) {
      fails = value;
      continue;
    }
    std::int64_t works = value;
    while (fails - works > 1) {
      const std::int64_t middle = works + (fails - works) / 2;
      (starts(range.change(middle)) ? works : fails) = middle;
    }
    return works;
  }
  return std::nullopt;
}

}  // namespace trainyard::sched
