#include "sim/internal/jobs_simulator.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <tuple>

#include "sched/scheduler_spec.h"
#include "sim/fields.h"

namespace trainyard::sim {

JobsSimulator::JobsSimulator(const Trace& trace, const Machine& machine, const SimulationSettings& settings,
                             const std::function<bool(const SimulationProgress&)>& watch)
    : trace_(trace), machine_(machine), settings_(settings), watch_(watch), requests_(trace, machine) {}

Result<SimulationResult> JobsSimulator::run() {
  TRY(prepare());
  TRY(loop());
  finish_result();
  return std::move(result_);
}

Result<void> JobsSimulator::prepare() {
  sched::ClusterSnapshot cluster;
  TRY(add_nodes(machine_, cluster));
  for (const sched::NodeState& node : cluster.nodes()) {
    const sched::Amounts& capacity = node.info->capacity;
    node_positions_.emplace(node.info->name.text, static_cast<std::uint32_t>(views_.size()));
    views_.push_back({node.info->name, {capacity[sched::kCpu], capacity[sched::kMemory], capacity[sched::kGpu]}, true});
  }
  runs_.resize(trace_.jobs.size());
  result_.outcomes.resize(trace_.jobs.size());
  measure_gpus_ = machine_.has_gpus();
  group_by_queue_ = settings_.queues.kind != QueueMapping::Kind::kOne;

  jobs::JobServiceSettings service;
  service.seed = settings_.sharing.seed;
  service.live_jobs_max = std::numeric_limits<std::size_t>::max();
  ASSIGN_OR_RETURN(service.scheduler, scheduler_settings());
  sched::QueueSnapshot tried;
  TRY(sched::apply_settings(tried, service.scheduler));
  std::vector<std::int64_t> weights(trace_.users.size(), 1000);
  if (group_by_queue_) {
    weights.clear();
    for (const sched::QueueSettings& queue : service.scheduler.queues) weights.push_back(queue.weight_milli);
  }
  fairness_.emplace(weights, measure_gpus_ ? machine_.gpus() * 1000 : machine_.procs() * 1000);

  clock_.set(TimePoint());
  mono_origin_ = clock_.monotonic_now();
  service_.emplace(std::move(service), jobs::JobService::Deps{strand_, clock_, ledger_, *this, builder_, log_},
                   jobs::JobService::Hooks{[this](const Error& error) { failure_ = error; }, [](const jobs::Job&) {},
                                           [this](const jobs::Job& job) { ended(job); }});
  return service_->recover();
}

/// The queues of the trace, one after the other, or a single one.
Result<sched::SchedulerSettings> JobsSimulator::scheduler_settings() const {
  sched::SchedulerSettings scheduler;
  scheduler.sharing = settings_.sharing;
  sched::QueueSettings queue = settings_.queue;
  queue.parent.clear();
  queue.weight_milli = 1000;
  if (settings_.queues.kind == QueueMapping::Kind::kOne) {
    queue.name = "default";
    scheduler.queues.push_back(queue);
    return scheduler;
  }
  const auto& listed = settings_.queues.weights_milli;
  for (const std::string& name : trace_.queues.names()) {
    queue.name = name;
    if (settings_.queues.kind == QueueMapping::Kind::kListed) {
      auto found = std::find_if(listed.begin(), listed.end(), [&name](const auto& entry) { return entry.first == name; });
      if (found == listed.end()) found = std::find_if(listed.begin(), listed.end(), [](const auto& entry) { return entry.first == "*"; });
      if (found == listed.end()) {
        return invalid_argument(
            "sim.queue", fmt::format("a queue of the trace has no weight; name it, or give all others one with *=1: \"{}\"", shown(name)));
      }
      queue.weight_milli = found->second;
    }
    scheduler.queues.push_back(queue);
  }
  return scheduler;
}

Result<void> JobsSimulator::loop() {
  while (ended_ < trace_.jobs.size()) {
    const std::optional<Duration> next = next_time();
    if (!next) break;
    if (*next > kHorizon) {
      return Error{Category::kOutOfRange,
                   "sim.horizon",
                   "the simulation runs past 317 years; look for jobs that never end or absurd run times in the trace",
                   {},
                   {}};
    }
    clock_.advance(*next - now_);
    now_ = *next;
    const std::uint64_t events_before = result_.events;
    run_batch();
    if (failure_) return *failure_;
    idle_batches_ = result_.events > events_before ? 0 : idle_batches_ + 1;
    if (idle_batches_ > kIdleBatchesMax) break;
    TRY(check_bounds());
  }
  return {};
}

Result<void> JobsSimulator::check_bounds() {
  if (settings_.events_max > 0 && result_.events > settings_.events_max) {
    return Error{Category::kResourceExhausted,
                 "sim.too_many_events",
                 fmt::format("the simulation has had more events than --max-events allows; raise it: {}", settings_.events_max),
                 {},
                 {}};
  }
  if (++batches_ % kBatchesPerLook == 0 && watch_ &&
      !watch_({.now = now_, .events = result_.events, .ended = ended_, .jobs = trace_.jobs.size()})) {
    return Error{Category::kCancelled, "sim.stopped", "the simulation was stopped", {}, {}};
  }
  return {};
}

std::optional<Duration> JobsSimulator::next_time() {
  while (!events_.empty() && is_void(events_.first())) events_.pop();
  std::optional<Duration> next;
  const auto consider = [&next](Duration time) { next = next ? std::min(*next, time) : time; };
  if (!events_.empty()) consider(events_.first().at);
  if (next_job_ < trace_.jobs.size()) consider(trace_.jobs[next_job_].submit);
  if (const std::optional<MonotonicPoint> timer = strand_.first_timer()) consider(std::max(*timer - mono_origin_, now_));
  return next;
}

bool JobsSimulator::is_void(const Event& event) const { return runs_[event.subject].work.generation != event.generation; }

std::vector<Event> JobsSimulator::take_due() {
  std::vector<Event> due;
  while (!events_.empty() && events_.first().at == now_) {
    if (!is_void(events_.first())) due.push_back(events_.first());
    events_.pop();
  }
  return due;
}

/// All ends, all submits, one plan. Jobs at their limit must be stopped by the service before they can end, which takes a plan and a commit
/// of their own; a job that is done just then is done, so its end comes before.
void JobsSimulator::run_batch() {
  std::vector<Event> due = take_due();
  const auto at_limit = [](const Event& event) { return event.kind == EventKind::kOverrun; };
  if (std::any_of(due.begin(), due.end(), at_limit)) {
    for (const Event& event : due) {
      if (event.kind == EventKind::kEnd && limit_end(event.subject) == now_) exit_ranks(event.subject);
    }
    strand_.run_timers(clock_.monotonic_now());
    strand_.run_posted();
    const std::vector<Event> stopped = take_due();
    due.insert(due.end(), stopped.begin(), stopped.end());
  }
  for (const Event& event : due) {
    if (event.kind != EventKind::kOverrun && !is_void(event)) exit_ranks(event.subject);
  }
  strand_.run_timers(clock_.monotonic_now());
  while (next_job_ < trace_.jobs.size() && trace_.jobs[next_job_].submit == now_) submit(next_job_++);
  strand_.run_posted();
}

void JobsSimulator::submit(std::uint32_t number) {
  const TraceJob& job = trace_.jobs[number];
  Run& run = runs_[number];
  run.made = requests_.request(job);
  run.work.left = job.runtime;
  run.work.limit = settings_.estimate == Estimate::kExact ? std::max(std::min(job.runtime, job.walltime), Duration(1)) : job.walltime;
  run.work.nominal = run.made.tasks;
  ++result_.events;
  if (job.gpus > 0 && !requests_.models_gpus()) ++result_.gpus_ignored;
  service_->submit(submission_of(number), [this, number](Result<JobId> accepted) {
    if (accepted.ok()) {
      number_of_.resize(accepted->value, kNoJob);
      number_of_.back() = number;
      fairness_->change(group_of(number), 0, 1, now_);
    } else if (accepted.error().id == "spec.impossible_resources") {
      conclude(number, Fate::kRejected);
    } else {
      failure_ = std::move(accepted).error();
    }
  });
}

jobs::Submission JobsSimulator::submission_of(std::uint32_t number) const {
  const TraceJob& job = trace_.jobs[number];
  const Run& run = runs_[number];
  const sched::Demand& demand = run.made.demand;
  jobs::Submission submission;
  submission.owner = trace_.users.name(job.user);
  JobSpec& spec = submission.spec;
  spec.name = job.id;
  spec.command = {"trace"};
  spec.tasks = run.made.tasks;
  if (group_by_queue_) spec.queue = trace_.queues.name(job.queue);
  spec.priority = job.priority;
  spec.preemptible = job.preemptible;
  spec.resources.cpu.milli = demand.amounts[sched::kCpu];
  spec.resources.memory.bytes = demand.amounts[sched::kMemory];
  spec.resources.gpu.milli = demand.amounts[sched::kGpu];
  spec.limits.attempt = run.work.limit == kUnbounded ? Duration(0) : run.work.limit;
  spec.limits.grace = settings_.queue.preemption.grace;
  spec.retry.backoff_cap = Duration(0);
  return submission;
}

/// The service says so once that is durable.
void JobsSimulator::ended(const jobs::Job& job) {
  const std::uint32_t number = number_of_[job.id.value - 1];
  switch (job.state) {
    case JobState::kSucceeded:
      return conclude(number, Fate::kSucceeded);
    case JobState::kTimedOut:
      return conclude(number, Fate::kTimedOut);
    case JobState::kFailed:
    case JobState::kCancelled:
    case JobState::kQueued:
    case JobState::kStarting:
    case JobState::kRunning:
    case JobState::kStopping:
      return conclude(number, Fate::kFailed);
  }
}

void JobsSimulator::conclude(std::uint32_t number, Fate fate) {
  result_.outcomes[number].fate = fate;
  result_.outcomes[number].end = now_;
  ++ended_;
}

void JobsSimulator::finish_result() {
  result_.fairness = fairness_->index(now_);
  std::stable_sort(result_.segments.begin(), result_.segments.end(),
                   [](const Segment& a, const Segment& b) { return std::tie(a.start, a.job) < std::tie(b.start, b.job); });
}

}  // namespace trainyard::sim
