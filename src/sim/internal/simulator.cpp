#include "sim/internal/simulator.h"

#include <fmt/format.h>

#include <algorithm>

#include "sched/plan.h"
#include "sched/policy.h"
#include "sim/fields.h"

namespace trainyard::sim {

Simulator::Simulator(const Trace& trace, const Machine& machine, const SimulationSettings& settings,
                     const std::function<bool(const SimulationProgress&)>& watch)
    : trace_(trace), machine_(machine), settings_(settings), watch_(watch), requests_(trace, machine) {}

Result<SimulationResult> Simulator::run() {
  TRY(prepare());
  TRY(loop());
  finish_result();
  return std::move(result_);
}

Result<void> Simulator::prepare() {
  TRY(add_nodes(machine_, state_.cluster));
  TRY(add_queues());
  TRY(sched::find_share_policy(settings_.sharing.policy));
  state_.queue.sharing = settings_.sharing;
  for (const std::string& user : trace_.users.names()) user_of_.push_back(state_.queue.user(user));
  for (const auto& [name, weight] : settings_.user_weights_milli) state_.queue.user_state(state_.queue.user(name)).weight_milli = weight;
  made_.resize(trace_.jobs.size());
  runs_.resize(trace_.jobs.size());
  result_.outcomes.resize(trace_.jobs.size());
  result_.segments.reserve(trace_.jobs.size());
  absences_.resize(machine_.nodes.size());
  for (std::uint32_t job = 0; job < trace_.jobs.size(); ++job) {
    if (trace_.jobs[job].depends_on.empty()) continue;
    dependents_.resize(trace_.jobs.size());
    for (const std::uint32_t other : trace_.jobs[job].depends_on) dependents_[other].push_back(job);
  }
  measure_gpus_ = machine_.has_gpus();
  std::vector<std::int64_t> weights;
  group_by_queue_ = state_.queue.queues().size() > 1;
  if (group_by_queue_) {
    for (const sched::QueueState& queue : state_.queue.queues()) weights.push_back(queue.settings.weight_milli);
  } else {
    for (const sched::UserState& user : state_.queue.users()) weights.push_back(user.weight_milli);
  }
  fairness_.emplace(weights, measure_gpus_ ? machine_.gpus() * 1000 : machine_.procs() * 1000);
  for (const Fault& fault : settings_.faults.planned) {
    if (fault.node < machine_.nodes.size()) continue;
    return invalid_argument("sim.fault", fmt::format("a fault names a node that the cluster does not have; nodes count from 0 to {}: {}",
                                                     machine_.nodes.size() - 1, fault.node));
  }
  plan_faults();
  return {};
}

Result<void> Simulator::add_queues() {
  sched::QueueSettings queue = settings_.queue;
  if (settings_.queues.kind == QueueMapping::Kind::kOne) {
    queue.name = "root";
    queue.parent.clear();
    TRY(state_.queue.configure(0, queue));
    queue_of_.assign(trace_.queues.size(), 0);
    return {};
  }
  const auto& listed = settings_.queues.weights_milli;
  for (const std::string& name : trace_.queues.names()) {
    queue.name = name;
    queue.weight_milli = 1000;
    if (settings_.queues.kind == QueueMapping::Kind::kListed) {
      auto found = std::find_if(listed.begin(), listed.end(), [&name](const auto& entry) { return entry.first == name; });
      if (found == listed.end()) found = std::find_if(listed.begin(), listed.end(), [](const auto& entry) { return entry.first == "*"; });
      if (found == listed.end()) {
        return invalid_argument(
            "sim.queue", fmt::format("a queue of the trace has no weight; name it, or give all others one with *=1: \"{}\"", shown(name)));
      }
      queue.weight_milli = found->second;
    }
    ASSIGN_OR_RETURN(const sched::QueueIndex index, state_.queue.add_queue(queue));
    queue_of_.push_back(index);
  }
  return {};
}

Result<void> Simulator::loop() {
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
    CHECK(*next >= now_, "events are planned for now or later");
    now_ = *next;
    const std::uint64_t events_before = result_.events;
    while (!events_.empty() && events_.first().at == now_) {
      const Event event = events_.first();
      events_.pop();
      if (!is_void(event)) handle(event);
    }
    while (next_job_ < trace_.jobs.size() && trace_.jobs[next_job_].submit == now_) submit(next_job_++);
    decide();
    if (settings_.check) state_.cluster.check_invariants();
    idle_batches_ = result_.events > events_before ? 0 : idle_batches_ + 1;
    if (idle_batches_ > kIdleBatchesMax) {
      if (state_.cluster.running_count() == 0) break;
      return internal_error("sim.stalled", "the planner asks to be woken again and again while jobs run, and nothing comes of it");
    }
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
  }
  return {};
}

/// When something happens next; none: nothing will but faults by chance, which help nobody who waits.
std::optional<Duration> Simulator::next_time() {
  while (!events_.empty() && is_void(events_.first())) events_.pop();
  const bool arrivals = next_job_ < trace_.jobs.size();
  if (!arrivals && events_.size() <= chance_events_) return std::nullopt;
  if (!arrivals) return events_.first().at;
  const Duration arrival = trace_.jobs[next_job_].submit;
  return events_.empty() ? arrival : std::min(arrival, events_.first().at);
}

bool Simulator::is_void(const Event& event) const {
  switch (event.kind) {
    case EventKind::kEnd:
    case EventKind::kLeave:
    case EventKind::kShrunk:
    case EventKind::kOverrun:
      return runs_[event.subject].generation != event.generation;
    case EventKind::kWake:
      return event.generation != wake_generation_;
    case EventKind::kNodeBack:
    case EventKind::kLoss:
    case EventKind::kNotice:
      return false;
  }
  return false;
}

void Simulator::handle(const Event& event) {
  switch (event.kind) {
    case EventKind::kEnd:
      return end(event.subject);
    case EventKind::kLeave:
      return depart(event.subject, Departure::kEvicted);
    case EventKind::kShrunk:
      return shrunk(event.subject);
    case EventKind::kNodeBack:
      return node_back(event.subject);
    case EventKind::kLoss:
      return lose_node(event.subject);
    case EventKind::kNotice:
      return give_notice(event.subject);
    case EventKind::kOverrun:
      return overrun(event.subject);
    case EventKind::kWake:
      wake_at_ = Duration(-1);
      return;
  }
}

/// The run time that the planner is told before the next attempt of the job.
Duration Simulator::believed(std::uint32_t number) const {
  const TraceJob& job = trace_.jobs[number];
  const JobRun& run = runs_[number];
  Duration time = run.limit;
  switch (settings_.estimate) {
    case Estimate::kUser:
      break;
    case Estimate::kExact:
      time = run.left + (run.attempt > 0 ? job.restart_cost : Duration(0));
      if (settings_.kill) time = std::min(time, run.limit);
      break;
    case Estimate::kPredicted:
      time = predictor_.predict(user_of_[job.user], run.limit);
      if (time == Duration(0)) time = run.limit;
      break;
  }
  return std::max(time, Duration(1));  // A window of no length would be free everywhere.
}

void Simulator::submit(std::uint32_t number) {
  const TraceJob& job = trace_.jobs[number];
  JobRequest& made = made_[number] = requests_.request(job);
  JobRun& run = runs_[number];
  run.left = job.runtime;
  run.limit = job.walltime;
  run.nominal = made.tasks;
  ++result_.events;
  if (job.gpus > 0 && !requests_.models_gpus()) ++result_.gpus_ignored;

  sched::JobSnapshot snapshot;
  snapshot.id = id_of(number);
  snapshot.queue = queue_of_[job.queue];
  snapshot.user = user_of_[job.user];
  snapshot.tier = settings_.priority_is_tier ? static_cast<std::int32_t>(job.priority) : 0;
  snapshot.priority = settings_.priority_is_tier ? 0 : job.priority;
  snapshot.queued_at = snapshot.eligible_at = at(job.submit);
  snapshot.demand = made.demand;
  snapshot.constraints = made.constraints;
  snapshot.tasks = made.tasks_max;
  snapshot.tasks_min = made.tasks_min;
  snapshot.walltime = believed(number);
  snapshot.deadline = at(job.deadline);
  snapshot.preemptible = job.preemptible;
  snapshot.checkpoint_cost = job.checkpoint_cost;
  snapshot.restart_cost = job.restart_cost;
  for (const std::uint32_t other : job.depends_on) {
    const Fate fate = result_.outcomes[other].fate;
    if (fate == Fate::kUnfinished) snapshot.waits_for.push_back(id_of(other));
  }
  if (!fit_.could_ever_fit(state_.cluster, snapshot)) {
    conclude(number, Fate::kRejected);
    return;
  }
  fairness_->change(group_of(number), 0, 1, now_);
  state_.submit(std::move(snapshot));
}

void Simulator::decide() {
  if (!checkpointing_.empty()) update_checkpoints();
  const sched::Decisions decisions = sched::plan(state_.cluster, state_.queue, at(now_));
  ++result_.plans;
  state_.apply(decisions, at(now_));
  for (const sched::Start& start : decisions.starts) begin(number_of(start.job), start.nodes);
  for (const sched::Preemption& preemption : decisions.preemptions) {
    const Duration grace = preemption.claim.grace_ends - at(now_);
    for (const JobId victim : preemption.claim.victims) ask_to_leave(number_of(victim), grace);
  }
  for (const sched::Resize& shrink : decisions.shrinks) ask_to_shrink(number_of(shrink.job));
  for (const sched::Resize& grow : decisions.grows) resized(number_of(grow.job), grow.nodes);
  const Duration wake = decisions.wake_at ? *decisions.wake_at - TimePoint() : Duration(-1);
  if (wake == wake_at_) return;
  wake_at_ = wake;
  ++wake_generation_;
  if (wake > now_) events_.push({wake, EventKind::kWake, 0, wake_generation_});
}

void Simulator::begin(std::uint32_t number, const sched::Placement& nodes) {
  const TraceJob& job = trace_.jobs[number];
  JobRun& run = runs_[number];
  JobOutcome& outcome = result_.outcomes[number];
  ++result_.events;
  ++run.attempt;
  if (outcome.attempts++ == 0) outcome.first_start = now_;
  run.tasks = static_cast<std::int32_t>(sched::task_count(nodes));
  run.started = now_;
  run.since = now_ + (run.attempt > 1 ? job.restart_cost : Duration(0));
  run.done = run.saved = Duration(0);
  run.leaving = run.saving = false;
  fairness_->change(group_of(number), amount_of(number) * run.tasks, -1, now_);
  open_segment(number, nodes);
  const TimePoint limit_end = state_.cluster.find(id_of(number))->limit_end;
  run.planned_end = limit_end - TimePoint();
  if (settings_.estimate == Estimate::kExact && run.tasks != run.nominal) tell_end(number);
  plan_end(number);
  if (job.checkpoint_interval > Duration(0) && settings_.queue.preemption.enabled) checkpointing_.push_back(number);
}

/// Puts the end of a running job, by its work or by its limit, into the queue of events.
void Simulator::plan_end(std::uint32_t number) {
  JobRun& run = runs_[number];
  ++run.generation;
  Duration end = run.finish();
  if (settings_.kill && run.limit != kUnbounded) end = std::min(end, run.started + run.limit);
  events_.push({end, EventKind::kEnd, number, run.generation});
  if (run.planned_end < end) events_.push({std::max(run.planned_end, now_), EventKind::kOverrun, number, run.generation});
}

/// A job that is on its way out holds its room until `time`, whatever was believed.
void Simulator::tell_departure(std::uint32_t number, Duration time) {
  JobRun& run = runs_[number];
  if (run.planned_end > time) return;
  run.planned_end = time + Duration(1);
  state_.cluster.set_limit_end(id_of(number), at(run.planned_end));
}

/// With exact estimates the planner knows the end of a gang whatever its size.
void Simulator::tell_end(std::uint32_t number) {
  JobRun& run = runs_[number];
  run.planned_end = run.finish();
  if (settings_.kill && run.limit != kUnbounded) run.planned_end = std::min(run.planned_end, run.started + run.limit);
  state_.cluster.set_limit_end(id_of(number), at(run.planned_end));
}

/// The job runs past what was believed: min(limit, max(1.5 * elapsed, elapsed + 60 s)), never free.
void Simulator::overrun(std::uint32_t number) {
  JobRun& run = runs_[number];
  const Duration elapsed = now_ - run.started;
  const Duration limit = settings_.kill ? run.limit : kUnbounded;
  const Duration believed_time = sched::estimate_while_running(elapsed, elapsed, limit);
  run.planned_end = run.started + believed_time;
  state_.cluster.set_limit_end(id_of(number), at(run.planned_end));
  plan_end(number);
}

void Simulator::end(std::uint32_t number) {
  JobRun& run = runs_[number];
  const bool done = !run.leaving && run.finish() <= now_;
  close_segment(number, done ? SegmentState::kSucceeded : SegmentState::kTimedOut);
  fairness_->change(group_of(number), -amount_of(number) * run.tasks, 0, now_);
  state_.end(id_of(number), at(now_));
  run.tasks = 0;
  run.leaving = false;
  ++run.generation;
  ++result_.events;
  if (done) predictor_.record(user_of_[trace_.jobs[number].user], result_.outcomes[number].ran);
  conclude(number, done ? Fate::kSucceeded : Fate::kTimedOut);
}

void Simulator::conclude(std::uint32_t number, Fate fate) {
  result_.outcomes[number].fate = fate;
  result_.outcomes[number].end = now_;
  ++ended_;
  if (!dependents_.empty()) release_dependents(number);
  if (settings_.queue.preemption.enabled) std::erase(checkpointing_, number);
}

/// A dependency is met by the end of the job, whatever end that is.
void Simulator::release_dependents(std::uint32_t number) {
  for (const std::uint32_t dependent : dependents_[number]) {
    sched::JobSnapshot* waiting = state_.queue.find_mutable(id_of(dependent));
    if (waiting != nullptr) std::erase(waiting->waits_for, id_of(number));
  }
}

void Simulator::open_segment(std::uint32_t number, const sched::Placement& nodes) {
  std::vector<HostRange>& hosts = result_.hosts;
  Segment segment{.job = number, .attempt = runs_[number].attempt, .start = now_};
  segment.hosts_begin = static_cast<std::uint32_t>(hosts.size());
  segment.tasks = static_cast<std::uint32_t>(runs_[number].tasks);
  for (std::size_t i = 0; i < nodes.size();) {
    const sched::NodeIndex node = nodes[i].node;
    std::uint32_t tasks = 0;
    for (; i < nodes.size() && nodes[i].node == node; ++i) tasks += nodes[i].tasks;
    const bool first = hosts.size() == segment.hosts_begin;
    if (!first && hosts.back().last + 1 == node && hosts.back().tasks == tasks) {
      hosts.back().last = node;
    } else {
      hosts.push_back({node, node, tasks});
    }
  }
  segment.hosts_count = static_cast<std::uint32_t>(hosts.size()) - segment.hosts_begin;
  runs_[number].segment = static_cast<std::uint32_t>(result_.segments.size());
  result_.segments.push_back(segment);
}

void Simulator::close_segment(std::uint32_t number, SegmentState state) {
  Segment& segment = result_.segments[runs_[number].segment];
  segment.end = now_;
  segment.state = state;
  result_.outcomes[number].ran += segment.end - segment.start;
}

std::int64_t Simulator::amount_of(std::uint32_t number) const {
  return made_[number].demand.amounts[measure_gpus_ ? sched::kGpu : sched::kCpu];
}

std::uint32_t Simulator::group_of(std::uint32_t number) const {
  return group_by_queue_ ? queue_of_[trace_.jobs[number].queue] : user_of_[trace_.jobs[number].user];
}

void Simulator::finish_result() {
  result_.fairness = fairness_->index(now_);
  for (Outage& outage : result_.outages) outage.to = std::min(outage.to, now_);
  std::stable_sort(result_.segments.begin(), result_.segments.end(),
                   [](const Segment& a, const Segment& b) { return std::tie(a.start, a.job) < std::tie(b.start, b.job); });
}

}  // namespace trainyard::sim
