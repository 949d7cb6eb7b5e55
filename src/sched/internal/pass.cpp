#include "sched/internal/pass.h"

#include <algorithm>

#include "sched/internal/empty_nodes.h"
#include "sched/placement.h"
#include "sched/plan.h"

namespace trainyard::sched {
namespace {

std::int64_t least_tasks(const JobSnapshot& job) { return job.tasks_min > 0 ? job.tasks_min : job.tasks; }

bool counts_skips(const QueueSettings& settings) {
  const auto found = settings.parameters.find("protect_after");
  return found != settings.parameters.end() && found->second > 0;
}

}  // namespace

Pass::Pass(const ClusterSnapshot& cluster, const QueueSnapshot& queue, TimePoint now, PassOptions options)
    : cluster_(cluster), queue_(queue), now_(now), options_(options), quota_(queue) {}

/// A probe may bring requests that no live job makes, so it gets the kind that assumes nothing about them.
Availability& Pass::availability() {
  if (availability_ != nullptr) return *availability_;
  constexpr std::size_t kMany = 64;
  const auto promises_many = [](const QueueState& queue) { return queue.pending.size() > kMany && queue.backfill->keeps_reservations(); };
  const bool many = options_.probe == nullptr && std::any_of(queue_.queues().begin(), queue_.queues().end(), promises_many);
  availability_ = make_availability(cluster_, queue_, now_, many);
  return *availability_;
}

Decisions Pass::run() {
  if (queue_.pending_count() > 0) {
    hold_claims();
    hold_reservations();
    open_lines();
    scan();
    drop_stale_promises();
  }
  grow_gangs();
  return std::move(decisions_);
}

void Pass::wake(TimePoint time) {
  if (time == kNever || time <= now_) return;
  decisions_.wake_at = decisions_.wake_at ? std::min(*decisions_.wake_at, time) : time;
}

/// A promise for the next moment waits for a job that is past its limit and leaves when it has saved its work: its end is an event.
void Pass::wake_for_promise(TimePoint start) { wake(start > now_ + kMoment ? start : now_ + kOverrun); }

bool Pass::line_is_stopped(QueueIndex leaf) const {
  for (QueueIndex queue = leaf; queue != kNoIndex; queue = queue_.queue(queue).parent) {
    if (queue_.queue(queue).settings.state == QueueSettings::State::kStopped) return true;
  }
  return false;
}

void Pass::open_lines() {
  for (QueueIndex index = 0; index < queue_.queues().size(); ++index) {
    const QueueState& queue = queue_.queue(index);
    if (!queue.leaf() || queue.pending.empty()) continue;
    if (line_is_stopped(index)) {
      decisions_.queue_waits.push_back({index, 0, Reason::kSuspended, JobId()});
      continue;
    }
    Line line;
    line.queue = index;
    line.order = queue.order->begin({cluster_, queue_, index, now_});
    line.counts_skips = counts_skips(queue.settings);
    shortest_ = std::min(shortest_, queue.shortest_walltime);
    lines_.push_back(std::move(line));
  }
}

void Pass::scan() {
  if (lines_.size() == 1) {
    scan_one_line(lines_[0]);
  } else {
    scan_lines();
  }
  for (Line& line : lines_) {
    for (const auto& [index, starts] : line.overtakable) decisions_.waits[index].overtaken_by = line.starts - starts;
  }
}

void Pass::scan_one_line(Line& line) {
  for (advance(line); line.head != nullptr; advance(line)) {
    const JobId id = line.head->id;
    if (!look_at(line)) return close(line);
    if (id == options_.stop_after) return;
  }
  finish(line);
}

void Pass::scan_lines() {
  const Result<const SharePolicy*> policy = find_share_policy(queue_.sharing.policy);
  CHECK(policy.ok(), "the sharing policy was checked when it was set");
  sharing_ = (*policy)->begin({cluster_, queue_, now_});
  std::vector<QueueHead> heads;
  std::vector<std::size_t> line_of;
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    advance(lines_[i]);
    if (lines_[i].head == nullptr) continue;
    heads.push_back({lines_[i].queue, lines_[i].head});
    line_of.push_back(i);
  }
  while (!heads.empty()) {
    const std::size_t picked = sharing_->pick(heads);
    Line& line = lines_[line_of[picked]];
    const JobId id = line.head->id;
    const bool open = look_at(line);
    if (!open) close(line);
    if (id == options_.stop_after) return;
    if (open) advance(line);
    if (open && line.head != nullptr) {
      heads[picked].job = line.head;
      continue;
    }
    if (open) finish(line);
    heads.erase(heads.begin() + static_cast<std::ptrdiff_t>(picked));
    line_of.erase(line_of.begin() + static_cast<std::ptrdiff_t>(picked));
  }
}

void Pass::advance(Line& line) {
  if (line.head != nullptr) ++line.position;
  line.head = line.order->next();
}

/// The rest of the line waits for the job that closed it.
void Pass::close(Line& line) { decisions_.queue_waits.push_back({line.queue, line.position + 1, line.blocker_reason, line.blocker}); }

/// An order may leave out jobs once others of their user did not start.
void Pass::finish(Line& line) {
  const std::uint32_t looked_at = line.position + (line.head == nullptr ? 0 : 1);
  if (looked_at < queue_.queue(line.queue).pending.size()) {
    decisions_.queue_waits.push_back({line.queue, looked_at, line.blocker_reason, line.blocker});
  }
}

std::optional<Pass::Obstacle> Pass::gate(const JobSnapshot& job) const {
  if (job.held) return Obstacle{.reason = Reason::kSuspended};
  if (!job.waits_for.empty()) return Obstacle{.reason = Reason::kDependencyNotMet, .blocker = job.waits_for.front()};
  if (job.eligible_at > now_) return Obstacle{.reason = Reason::kBackoff, .at = job.eligible_at};
  return std::nullopt;
}

/// Jobs that no configured node could hold wait without standing in anybody's way.
std::optional<Pass::Obstacle> Pass::node_gate(const JobSnapshot& job) const {
  const ShapeFit& shape = cluster_.shape(job.shape);
  const std::int64_t least = least_tasks(job);
  const bool anywhere = shape.constraints == nullptr || shape.constraints->within == TopologyLevel::kCluster;
  if (shape.total_empty >= least && (anywhere || could_ever_fit(cluster_, job))) return std::nullopt;
  const bool any_node = std::any_of(cluster_.nodes().begin(), cluster_.nodes().end(), [](const NodeState& node) { return !node.gone; });
  if (!any_node) return Obstacle{.reason = Reason::kNoWorkerForQueue, .needed = least};
  const Reason reason = shape.allowed.empty() ? Reason::kNoMatchingNodeClass : Reason::kUnsatisfiable;
  return Obstacle{.reason = reason, .needed = least, .available = shape.total_empty};
}

std::optional<Pass::Obstacle> Pass::count_limit(const JobSnapshot& job) const {
  for (QueueIndex queue = job.queue; queue != kNoIndex; queue = queue_.queue(queue).parent) {
    const std::int64_t most = queue_.queue(queue).settings.running_jobs_max;
    if (most >= kUnlimited || quota_.running_jobs(queue) < most) continue;
    return Obstacle{.reason = Reason::kWaitingForQuota, .kind = kAmountKinds, .needed = 1};
  }
  const QueueSettings& settings = queue_.queue(job.queue).settings;
  if (settings.running_jobs_per_user_max >= kUnlimited) return std::nullopt;
  const auto joining = joining_.find({job.queue, job.user});
  const std::int64_t running = queue_.running_of(job.queue, job.user) + (joining == joining_.end() ? 0 : joining->second);
  if (running < settings.running_jobs_per_user_max) return std::nullopt;
  return Obstacle{.reason = Reason::kWaitingForQuota, .kind = kAmountKinds, .needed = 1};
}

bool Pass::look_at(Line& line) {
  const JobSnapshot& job = *line.head;
  if (options_.probe != nullptr) options_.probe->before(*this, job);
  if (claimed_.contains(job.id)) {
    if (std::binary_search(settled_.begin(), settled_.end(), job.id)) {
      count_start(line, job, task_count(job.claim->nodes));
    } else {
      wait(line, job,
           {.reason = Reason::kWaitingForPreempted,
            .needed = job.tasks,
            .blocker = job.claim->first_to_give(),
            .at = job.claim->grace_ends});
    }
    return true;
  }
  std::optional<Obstacle> gated = gate(job);
  if (!gated) gated = node_gate(job);
  if (!gated) gated = count_limit(job);
  if (gated) {
    if (gated->reason == Reason::kBackoff) wake(gated->at);
    if (kept_promise(job)) give_up_promise(job);
    wait(line, job, *gated);
    return true;
  }
  if (keep_promise(line, job)) return true;
  Obstacle obstacle;
  if (try_start(line, job, obstacle)) return true;
  if (try_preempt(line, job, obstacle)) return true;
  // Where every job has a promise, every job has its turn.
  if (!queue_.queue(line.queue).backfill->keeps_reservations()) line.order->refused();
  return react(line, job, obstacle);
}

Pass::Tasks Pass::tasks_of(const JobSnapshot& job) const { return {least_tasks(job), job.tasks}; }

PlacementScorer* Pass::scorer(const JobSnapshot& job) {
  const QueueState& queue = queue_.queue(job.queue);
  scorer_ = queue.placement->begin({cluster_, job, queue.settings.parameters, queue_.sharing.seed, &queue_.workload, &placement_memory_});
  return scorer_.get();
}

bool Pass::try_start(Line& line, const JobSnapshot& job, Obstacle& obstacle) {
  Tasks tasks = tasks_of(job);
  std::optional<QuotaBook::Refusal> refusal = quota_.refusal(job.queue, job.demand.amounts * tasks.most);
  while (refusal && tasks.most > tasks.least) refusal = quota_.refusal(job.queue, job.demand.amounts * --tasks.most);
  if (refusal) {
    obstacle = {.reason = refusal->reason, .kind = refusal->kind, .needed = refusal->needed, .available = refusal->available};
    return false;
  }
  if (asks_for_short(line, job.demand)) {
    obstacle = {.needed = tasks.least, .available = 0, .blocker = line.blocker};
    return false;
  }
  const TimePoint end = end_after(now_, job.walltime);
  const Room& room = availability().room(job.shape, now_, end);
  if (room.total < tasks.least) {
    obstacle = resource_obstacle(line, job);
    return false;
  }
  const std::int64_t size = std::min(tasks.most, room.total);
  if (line.count_rule && end > line.shadow && size > line.extra) {
    obstacle = {
        .reason = Reason::kWaitingForReservation, .needed = size, .available = line.extra, .blocker = line.blocker, .at = line.shadow};
    return false;
  }
  std::optional<Placement> nodes = place(cluster_, availability(), {job, size, now_, end}, scorer(job));
  if (!nodes && size > tasks.least) nodes = place(cluster_, availability(), {job, tasks.least, now_, end}, scorer(job));
  if (!nodes) {
    obstacle = {.reason = Reason::kTopologyPlacementFailed, .needed = tasks.least, .available = room.total};
    return false;
  }
  if (line.count_rule && end > line.shadow) line.extra -= size;
  count_start(line, job, task_count(*nodes));
  start(job, std::move(*nodes));
  return true;
}

bool Pass::would_start(const JobSnapshot& job) {
  if (gate(job) || count_limit(job) || line_is_stopped(job.queue)) return false;
  const Tasks tasks = tasks_of(job);
  if (quota_.refusal(job.queue, job.demand.amounts * tasks.least)) return false;
  const auto line = std::find_if(lines_.begin(), lines_.end(), [&job](const Line& each) { return each.queue == job.queue; });
  if (line != lines_.end() && asks_for_short(*line, job.demand)) return false;
  const TimePoint end = end_after(now_, job.walltime);
  const std::int64_t total = availability().room(job.shape, now_, end).total;
  if (total < tasks.least) return false;
  if (line != lines_.end() && line->count_rule && end > line->shadow && std::min(tasks.most, total) > line->extra) return false;
  return place(cluster_, availability(), {job, tasks.least, now_, end}, scorer(job)).has_value();
}

/// Says whether it is the room itself that is short, or only the part that others were promised.
Pass::Obstacle Pass::resource_obstacle(Line& line, const JobSnapshot& job) {
  Obstacle obstacle{.needed = least_tasks(job), .available = availability().room(job.shape, now_, end_after(now_, job.walltime)).total};
  obstacle.blocker = line.blocker;
  if (protected_.empty()) return obstacle;
  const std::int64_t at_this_moment = availability().room(job.shape, now_, now_ + kMoment).total;
  if (at_this_moment < obstacle.needed) return obstacle;
  obstacle.reason = Reason::kWaitingForReservation;
  const auto first = std::min_element(protected_.begin(), protected_.end());
  obstacle.blocker = first->second;
  obstacle.at = first->first;
  return obstacle;
}

bool Pass::try_preempt(Line& line, const JobSnapshot& job, Obstacle& obstacle) {
  const PreemptionSettings& settings = queue_.queue(job.queue).settings.preemption;
  if (!settings.enabled || job.claim) return false;
  // The budget is one for the whole cluster; each queue says how much of it may be used up when it evicts.
  const auto minute_ago = std::upper_bound(queue_.recent_evictions.begin(), queue_.recent_evictions.end(), now_ - std::chrono::minutes(1));
  const std::int64_t spent = queue_.recent_evictions.end() - minute_ago + static_cast<std::int64_t>(leaving_.size());
  const std::int64_t left = settings.evictions_per_minute_max - spent;
  if (left <= 0) return false;
  EvictionAnswer answer = plan_eviction({cluster_, queue_, availability(), quota_, leaving_, left, now_, &decisions_, scorer(job)}, job);
  if (!answer.plan) {
    if (answer.refusal < obstacle.reason) obstacle.reason = answer.refusal;
    if (answer.protected_job.valid()) obstacle.blocker = answer.protected_job;
    return false;
  }
  Claim& claim = answer.plan->claim;
  leaving_.insert(claim.victims.begin(), claim.victims.end());
  availability().hold(job.demand, claim.nodes, now_, kNever);
  quota_.charge(job.queue, job.demand.amounts * task_count(claim.nodes), 1);
  join(job, 1);
  for (Resize& shrink : answer.plan->shrinks) decisions_.shrinks.push_back(std::move(shrink));
  wait(line, job, {.reason = Reason::kWaitingForPreempted, .needed = job.tasks, .blocker = claim.first_to_give(), .at = claim.grace_ends});
  decisions_.preemptions.push_back({job.id, std::move(claim)});
  ++version_;
  return true;
}

bool Pass::react(Line& line, const JobSnapshot& job, const Obstacle& obstacle) {
  const QueueState& queue = queue_.queue(line.queue);
  const bool for_room = obstacle.reason >= Reason::kTopologyPlacementFailed;
  Reaction reaction = queue.backfill->after({job, line.reservations, queue.settings.parameters});
  Obstacle told = obstacle;
  bool hopeless = false;
  if (reaction == Reaction::kReserve && !for_room) reaction = Reaction::kPass;
  if (reaction == Reaction::kReserve && queue.backfill->counts_only()) {
    if (!line.count_rule) protect_by_count(line, job);
    reaction = Reaction::kPass;
  }
  if (reaction == Reaction::kReserve) {
    if (std::optional<Reservation> reservation = reserve(job)) {
      availability().hold(job.demand, reservation->nodes, reservation->start, end_after(reservation->start, job.walltime));
      told.at = reservation->start;
      if (queue.backfill->keeps_reservations()) wake_for_promise(reservation->start);
      protected_.emplace_back(reservation->start, job.id);
      promise(job, std::move(reservation));
      ++line.reservations;
      ++version_;
    } else if (line.counts_skips && job.skips >= queue.settings.parameters.at("protect_after") && fits_usable_nodes(job)) {
      reaction = Reaction::kStop;  // Its start cannot be known, and it was passed over often enough.
    } else {
      hopeless = no_node_is_usable();
    }
  }
  if (!line.blocker.valid()) {
    line.blocker = job.id;
    line.blocker_reason = for_room ? Reason::kWaitingForResources : Reason::kWaitingForQuota;
  }
  bool used_up = false;
  if (reaction == Reaction::kBlockPool && !asks_for_short(line, job.demand)) {
    note_short(line, job);
    used_up = !queue.settings.preemption.enabled && pool_is_used_up(line);
  }
  wait(line, job, told);
  if (reaction == Reaction::kStop || used_up || hopeless) return false;
  // Nothing is gained by asking on when not one task of any job has room.
  return reaction == Reaction::kReserve || queue.settings.preemption.enabled || !for_room || !nothing_fits();
}

/// True when nothing can start or be promised a start before a node comes, which is an event.
bool Pass::no_node_is_usable() const {
  return std::none_of(cluster_.nodes().begin(), cluster_.nodes().end(), [](const NodeState& node) { return node.usable(); });
}

/// Whether the nodes that are up could hold the job once they are empty: if not, keeping others away would not help it.
bool Pass::fits_usable_nodes(const JobSnapshot& job) const {
  return fits_when_empty(cluster_, job, [](const NodeState& node) { return node.usable(); });
}

std::optional<Reservation> Pass::reserve(const JobSnapshot& job) {
  constexpr int kTriesMax = 64;  // With a topology to keep, the first time with enough room need not do.
  const std::int64_t tasks = least_tasks(job);
  TimePoint after = now_;
  for (int i = 0; i < kTriesMax; ++i) {
    const std::optional<TimePoint> time = availability().first_time(job.shape, tasks, job.walltime, after);
    if (!time) return std::nullopt;
    const TimePoint end = end_after(*time, job.walltime);
    if (std::optional<Placement> nodes = place(cluster_, availability(), {job, tasks, *time, end}, nullptr)) {
      return Reservation{*time, std::move(*nodes)};
    }
    after = *time + kMoment;
  }
  return std::nullopt;
}

/// The textbook rule: the head's start by counting, and how many tasks are to spare then.
void Pass::protect_by_count(Line& line, const JobSnapshot& job) {
  line.count_rule = true;
  const std::optional<TimePoint> shadow = availability().first_time(job.shape, least_tasks(job), job.walltime, now_);
  if (!shadow) return;
  line.shadow = *shadow;
  line.extra = availability().room(job.shape, *shadow, end_after(*shadow, job.walltime)).total - least_tasks(job);
  protected_.emplace_back(*shadow, job.id);
}

/// Counted only where it matters.
void Pass::join(const JobSnapshot& job, int jobs) {
  if (queue_.queue(job.queue).settings.running_jobs_per_user_max < kUnlimited) joining_[{job.queue, job.user}] += jobs;
}

void Pass::settle(JobId id) {
  const auto place = std::lower_bound(settled_.begin(), settled_.end(), id);
  if (place == settled_.end() || *place != id) settled_.insert(place, id);
}

void Pass::promise(const JobSnapshot& job, std::optional<Reservation> reservation) {
  settle(job.id);
  if (reservation != job.reservation) decisions_.reservations.push_back({job.id, std::move(reservation)});
}

void Pass::count_start(Line& line, const JobSnapshot& job, std::int64_t tasks) {
  line.order->started(tasks);
  ++line.starts;
  if (sharing_ != nullptr) sharing_->started(job, tasks);
}

void Pass::start(const JobSnapshot& job, Placement nodes) {
  const std::int64_t tasks = task_count(nodes);
  availability().hold(job.demand, nodes, now_, end_after(now_, job.walltime));
  quota_.charge(job.queue, job.demand.amounts * tasks, 1);
  settle(job.id);
  join(job, 1);
  decisions_.starts.push_back({job.id, std::move(nodes)});
  ++version_;
}

void Pass::wait(Line& line, const JobSnapshot& job, const Obstacle& obstacle) {
  if (line.counts_skips) line.overtakable.emplace_back(decisions_.waits.size(), line.starts);
  decisions_.waits.push_back(
      {.job = job.id,
       .reason = obstacle.reason,
       .kind = static_cast<std::uint8_t>(obstacle.kind),
       .position = line.position,
       .blocker = obstacle.blocker == job.id && obstacle.reason != Reason::kWaitingForReservation ? JobId() : obstacle.blocker,
       .needed = obstacle.needed,
       .available = obstacle.available,
       .at = obstacle.at});
}

bool Pass::asks_for_short(const Line& line, const Demand& demand) {
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    if (line.short_of[kind] != 0 && demand.amounts[kind] > 0) return true;
  }
  return false;
}

/// The kinds of which the nodes that the job may use have too little in sum; when every sum would do, all that it asks for.
void Pass::note_short(Line& line, const JobSnapshot& job) {
  Amounts free;
  cluster_.shape(job.shape).allowed.each([&](NodeIndex node) {
    if (cluster_.node(node).usable()) free += availability().free_over(node, now_, now_ + kMoment).amounts;
  });
  const Amounts needed = job.total_min();
  bool found = false;
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    if (needed[kind] <= 0 || needed[kind] <= free[kind]) continue;
    line.short_of[kind] = 1;
    found = true;
  }
  for (std::size_t kind = 0; kind < kAmountKinds && !found; ++kind) {
    if (needed[kind] > 0) line.short_of[kind] = 1;
  }
}

/// True when not one task of any live job has room, even for the shortest limit of a waiting one: the rest of a line need not be looked at.
bool Pass::nothing_fits() {
  if (full_at_version_ == version_) return true;
  if (open_at_version_ == version_) return false;
  const TimePoint end = end_after(now_, std::max(shortest_, kMoment));
  const std::vector<ShapeId>& shapes = cluster_.live_shapes();
  const auto fits = [&](ShapeId shape) { return availability().room(shape, now_, end).total > 0; };
  const bool open = std::any_of(shapes.begin(), shapes.end(), fits);
  (open ? open_at_version_ : full_at_version_) = version_;
  return !open;
}

/// True when every live job asks for something that the line is short of.
bool Pass::pool_is_used_up(const Line& line) const {
  const std::vector<ShapeId>& shapes = cluster_.live_shapes();
  return std::all_of(shapes.begin(), shapes.end(), [&](ShapeId shape) { return asks_for_short(line, cluster_.shape(shape).demand); });
}

/// Elastic gangs take what nobody waits for.
void Pass::grow_gangs() {
  if (cluster_.elastic().empty()) return;
  if (std::any_of(lines_.begin(), lines_.end(), [](const Line& line) { return line.blocker.valid(); })) return;
  for (const JobId id : cluster_.elastic()) {
    const RunningJob& running = *cluster_.find(id);
    const std::int64_t wanted = running.job.tasks - task_count(running.nodes);
    if (running.stopping || !running.shrink_to.empty() || wanted <= 0 || leaving_.contains(id)) continue;
    const auto shrinks = [id](const Resize& shrink) { return shrink.job == id; };
    if (std::any_of(decisions_.shrinks.begin(), decisions_.shrinks.end(), shrinks)) continue;
    const Room& room = availability().room(running.job.shape, now_, running.limit_end);
    std::int64_t more = std::min(wanted, room.total);
    while (more > 0 && quota_.refusal(running.job.queue, running.job.demand.amounts * more)) --more;
    if (more <= 0) continue;
    const std::optional<Placement> added =
        place(cluster_, availability(), {running.job, more, now_, running.limit_end}, scorer(running.job));
    if (!added) continue;
    availability().hold(running.job.demand, *added, now_, running.limit_end);
    quota_.charge(running.job.queue, running.job.demand.amounts * more, 0);
    decisions_.grows.push_back({id, merged(running.nodes, *added), JobId()});
    ++version_;
  }
}

}  // namespace trainyard::sched
