#include "sched/testing/event_loop.h"

#include <algorithm>
#include <map>
#include <set>

namespace trainyard::sched::testing {
namespace {

class Loop {
 public:
  Loop(Scenario& scenario, std::vector<Arrival> arrivals, const LoopSettings& settings)
      : scenario_(scenario), state_(scenario.state), arrivals_(std::move(arrivals)), settings_(settings) {
    std::stable_sort(arrivals_.begin(), arrivals_.end(), [](const Arrival& a, const Arrival& b) { return a.at < b.at; });
    for (const Arrival& arrival : arrivals_) {
      runtime_of_[arrival.spec.id] = arrival.runtime;
      if (const RunningJob* running = state_.cluster.find(arrival.spec.id)) note_start(*running);
    }
  }

  LoopOutcome run() {
    for (std::optional<TimePoint> now = TimePoint{}; now && !outcome_.violation; now = next_event(*now)) batch(*now);
    return std::move(outcome_);
  }

 private:
  enum class Kind { kEnd, kEviction, kShrink };
  struct Due {
    TimePoint at;
    std::uint64_t order = 0;
    JobId job;
    Kind kind = Kind::kEnd;
    bool operator<(const Due& other) const { return std::tie(at, order) < std::tie(other.at, other.order); }
  };

  void due(TimePoint at, JobId job, Kind kind) { due_.insert({.at = at, .order = ++order_, .job = job, .kind = kind}); }

  void note_start(const RunningJob& running) {
    const JobId id = running.job.id;
    const auto runtime = runtime_of_.find(id);
    CHECK(runtime != runtime_of_.end(), "a job that the loop does not know started");
    due(end_after(running.started_at, std::min(runtime->second, running.job.walltime)), id, Kind::kEnd);
    segment_of_[id] = outcome_.segments.size();
    outcome_.segments.push_back({.job = id, .start = running.started_at, .hosts = hosts_of(running.nodes)});
  }

  void close_segment(JobId job, TimePoint now, bool evicted) {
    Segment& segment = outcome_.segments[segment_of_[job]];
    segment.end = now;
    segment.evicted = evicted;
    std::erase_if(due_, [job](const Due& other) { return other.job == job; });
  }

  void happen(const Due& event, TimePoint now) {
    const RunningJob* running = state_.cluster.find(event.job);
    CHECK(running != nullptr, "what does not run cannot end");
    switch (event.kind) {
      case Kind::kShrink:
        state_.resize(event.job, Placement(running->shrink_to), now);
        return;
      case Kind::kEnd:
        close_segment(event.job, now, false);
        state_.end(event.job, now);
        return;
      case Kind::kEviction:
        close_segment(event.job, now, true);
        state_.requeue(state_.end(event.job, now, true), now);
        return;
    }
  }

  void batch(TimePoint now) {
    while (!due_.empty() && due_.begin()->at <= now) {
      const Due event = *due_.begin();
      due_.erase(due_.begin());
      happen(event, now);
    }
    for (; next_arrival_ < arrivals_.size() && arrivals_[next_arrival_].at <= now; ++next_arrival_) {
      const JobSpec& spec = arrivals_[next_arrival_].spec;
      if (state_.queue.find(spec.id) == nullptr && state_.cluster.find(spec.id) == nullptr) scenario_.submit(spec);
    }
    const Decisions decisions = scenario_.planned(now);
    if (settings_.on_pass) outcome_.violation = settings_.on_pass({.before = state_, .decisions = decisions, .now = now});
    if (!outcome_.violation && ++outcome_.passes > settings_.passes_max) outcome_.violation = "passes: too many";
    if (outcome_.violation) return;
    carry_out(decisions, now);
  }

  void carry_out(const Decisions& decisions, TimePoint now) {
    state_.apply(decisions, now);
    for (const Start& start : decisions.starts) note_start(*state_.cluster.find(start.job));
    for (const Resize& shrink : decisions.shrinks) due(now + std::chrono::seconds(1), shrink.job, Kind::kShrink);
    for (const Preemption& preemption : decisions.preemptions) {
      for (const JobId victim : preemption.claim.victims) due(std::max(now, preemption.claim.grace_ends), victim, Kind::kEviction);
    }
    wake_at_ = decisions.wake_at;
  }

  std::optional<TimePoint> next_event(TimePoint now) const {
    std::optional<TimePoint> next;
    const auto consider = [&next](TimePoint time) { next = next ? std::min(*next, time) : time; };
    if (!due_.empty() && due_.begin()->at < kNever) consider(due_.begin()->at);
    if (next_arrival_ < arrivals_.size()) consider(arrivals_[next_arrival_].at);
    if (wake_at_ && *wake_at_ > now && *wake_at_ < kNever) consider(*wake_at_);
    return next;
  }

  Scenario& scenario_;
  SchedulerState& state_;
  std::vector<Arrival> arrivals_;
  const LoopSettings& settings_;
  std::size_t next_arrival_ = 0;
  std::map<JobId, Duration> runtime_of_;
  std::map<JobId, std::size_t> segment_of_;
  std::set<Due> due_;
  std::uint64_t order_ = 0;
  std::optional<TimePoint> wake_at_;
  LoopOutcome outcome_;
};

}  // namespace

LoopOutcome run_loop(Scenario& scenario, std::vector<Arrival> arrivals, const LoopSettings& settings) {
  return Loop(scenario, std::move(arrivals), settings).run();
}

std::vector<Arrival> arrivals_of(const Scenario& scenario, const Recipe& recipe) {
  std::vector<Arrival> arrivals;
  for (const RandomJob& job : recipe.jobs)
    arrivals.push_back({.at = at(job.submit_at), .spec = spec_for(scenario, job.spec), .runtime = job.runtime});
  return arrivals;
}

}  // namespace trainyard::sched::testing
