#include "sched/testing/naive_backfill.h"

#include <algorithm>
#include <optional>
#include <set>

namespace trainyard::sched::testing {
namespace {

using HostSet = std::vector<NodeIndex>;

/// Hosts that a job holds or is promised during [start, end).
struct Interval {
  TimePoint start;
  TimePoint end;
  HostSet hosts;
};

struct Fit {
  TimePoint time;
  HostSet hosts;
};

/// At most one interval per job: that of its run or that of its reservation.
class Profile {
 public:
  explicit Profile(std::size_t hosts) : hosts_(hosts) {}

  void put(JobId job, Interval interval) { intervals_[job] = std::move(interval); }
  void take_out(JobId job) { intervals_.erase(job); }
  const Interval& of(JobId job) const { return intervals_.at(job); }

  HostSet free_over(TimePoint from, TimePoint to) const {
    std::set<NodeIndex> free;
    for (NodeIndex host = 0; host < hosts_; ++host) free.insert(host);
    for (const auto& [job, interval] : intervals_) {
      if (interval.start >= to || interval.end <= from) continue;
      for (const NodeIndex host : interval.hosts) free.erase(host);
    }
    return {free.begin(), free.end()};
  }

  Fit first_fit(TimePoint now, std::size_t hosts, Duration walltime) const {
    std::set<TimePoint> times{now};
    for (const auto& [job, interval] : intervals_) {
      if (interval.end > now) times.insert(interval.end);
    }
    for (const TimePoint time : times) {
      HostSet free = free_over(time, time + walltime);
      if (free.size() < hosts) continue;
      free.resize(hosts);
      return {time, free};
    }
    return {kNever, {}};
  }

 private:
  std::size_t hosts_;
  std::map<JobId, Interval> intervals_;
};

class Schedule {
 public:
  Schedule(BackfillRule rule, std::size_t hosts, const std::vector<HostJob>& jobs)
      : rule_(rule), hosts_(hosts), jobs_(jobs), profile_(hosts) {}

  HostSchedule run() {
    while (const std::optional<TimePoint> now = next_time()) {
      const bool ended = end_jobs(*now);
      const std::size_t arrived_from = waiting_.size();
      for (; next_ < jobs_.size() && jobs_[next_].submit <= *now; ++next_) waiting_.push_back(jobs_[next_]);
      switch (rule_) {
        case BackfillRule::kStrictFifo:
          start_from_head(*now);
          break;
        case BackfillRule::kEasy:
          easy(*now);
          break;
        case BackfillRule::kEasyCount:
          easy_count(*now);
          break;
        case BackfillRule::kConservative:
          conservative(*now, ended, arrived_from);
          break;
      }
      schedule_.promises[*now] = promises_;
    }
    return std::move(schedule_);
  }

 private:
  std::optional<TimePoint> next_time() const {
    std::optional<TimePoint> next;
    const auto consider = [&next](TimePoint time) { next = next ? std::min(*next, time) : time; };
    if (next_ < jobs_.size()) consider(jobs_[next_].submit);
    for (const auto& [job, end] : ends_) consider(end);
    if (rule_ == BackfillRule::kConservative) {
      for (const auto& [job, promise] : promises_) consider(promise.start);
    }
    return next;
  }

  bool end_jobs(TimePoint now) {
    const std::size_t before = ends_.size();
    for (auto it = ends_.begin(); it != ends_.end();) {
      if (it->second > now) {
        ++it;
        continue;
      }
      profile_.take_out(it->first);
      it = ends_.erase(it);
    }
    return ends_.size() != before;
  }

  void start(const HostJob& job, TimePoint now, const HostSet& hosts) {
    const TimePoint end = now + std::min(job.runtime, job.walltime);
    schedule_.runs.push_back({.job = job.id, .start = now, .end = end, .hosts = hosts});
    profile_.put(job.id, {.start = now, .end = now + job.walltime, .hosts = hosts});
    ends_[job.id] = end;
    promises_.erase(job.id);
  }

  void reserve(const HostJob& job, const Fit& fit) {
    profile_.put(job.id, {.start = fit.time, .end = fit.time + job.walltime, .hosts = fit.hosts});
    promises_[job.id] = {.start = fit.time, .hosts = fit.hosts};
  }

  bool start_if_it_fits(const HostJob& job, TimePoint now) {
    const Fit fit = profile_.first_fit(now, job.hosts, job.walltime);
    if (fit.time != now) return false;
    start(job, now, fit.hosts);
    return true;
  }

  void start_from_head(TimePoint now) {
    while (!waiting_.empty() && start_if_it_fits(waiting_.front(), now)) waiting_.erase(waiting_.begin());
  }

  void easy(TimePoint now) {
    for (const auto& [job, promise] : promises_) profile_.take_out(job);
    promises_.clear();
    start_from_head(now);
    if (waiting_.empty()) return;
    const HostJob& head = waiting_.front();
    reserve(head, profile_.first_fit(now, head.hosts, head.walltime));
    for (std::size_t i = 1; i < waiting_.size();) {
      if (start_if_it_fits(waiting_[i], now)) {
        waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
  }

  /// The head's shadow time is when enough hosts are free; hosts beyond its need then are extra, whichever they are.
  void easy_count(TimePoint now) {
    promises_.clear();
    start_from_head(now);
    if (waiting_.empty()) return;
    const HostJob& head = waiting_.front();
    const TimePoint shadow = profile_.first_fit(now, head.hosts, head.walltime).time;
    std::size_t extra = profile_.free_over(shadow, shadow + Duration(1)).size() - head.hosts;
    for (std::size_t i = 1; i < waiting_.size();) {
      const HostJob job = waiting_[i];
      HostSet free = profile_.free_over(now, now + Duration(1));
      const bool ends_before = now + job.walltime <= shadow;
      if (free.size() < job.hosts || (!ends_before && job.hosts > extra)) {
        ++i;
        continue;
      }
      if (!ends_before) extra -= job.hosts;
      free.resize(job.hosts);
      start(job, now, free);
      waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  void conservative(TimePoint now, bool ended, std::size_t arrived_from) {
    std::vector<HostJob> still_waiting;
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
      const HostJob& job = waiting_[i];
      const bool arrives = i >= arrived_from;
      if (!arrives && !ended && promises_.at(job.id).start > now) {
        still_waiting.push_back(job);
        continue;
      }
      if (!arrives && !ended) {
        start(job, now, HostSet(promises_.at(job.id).hosts));
        continue;
      }
      profile_.take_out(job.id);
      const Fit fit = profile_.first_fit(now, job.hosts, job.walltime);
      if (fit.time == now) {
        start(job, now, fit.hosts);
      } else {
        reserve(job, fit);
        still_waiting.push_back(job);
      }
    }
    waiting_ = std::move(still_waiting);
  }

  BackfillRule rule_;
  std::size_t hosts_;
  const std::vector<HostJob>& jobs_;
  Profile profile_;
  std::size_t next_ = 0;
  std::vector<HostJob> waiting_;
  std::map<JobId, TimePoint> ends_;
  std::map<JobId, HostReservation> promises_;
  HostSchedule schedule_;
};

}  // namespace

HostSchedule naive_schedule(BackfillRule rule, std::size_t hosts, const std::vector<HostJob>& jobs) {
  return Schedule(rule, hosts, jobs).run();
}

}  // namespace trainyard::sched::testing
