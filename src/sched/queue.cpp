#include "sched/queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sched/policy.h"

namespace trainyard::sched {
namespace {

bool entry_before(const PendingEntry& a, const PendingEntry& b) { return a.before(b); }

/// A parameter belongs to at least one of the queue's policies and lies within its bounds.
Result<void> check_parameters(const QueueSettings& settings, std::initializer_list<const PolicyInfo*> policies) {
  for (const auto& [name, value] : settings.parameters) {
    bool known = false;
    for (const PolicyInfo* policy : policies) {
      for (const ParameterInfo& parameter : policy->parameters) {
        if (parameter.name != name) continue;
        known = true;
        if (std::isfinite(value) && value >= parameter.least && value <= parameter.most) continue;
        return invalid_argument("queue.bad_parameter",
                                fmt::format("a parameter lies outside its bounds: {} of policy {} is {}, allowed {} to {}", name,
                                            policy->name, value, parameter.least, parameter.most));
      }
    }
    if (!known) {
      return invalid_argument("queue.bad_parameter",
                              fmt::format("none of the queue's policies has this parameter; `trainyard simulate --list-policies` names "
                                          "them: \"{}\" in queue \"{}\" ({}, {}, {})",
                                          name, settings.name, settings.order, settings.backfill, settings.placement));
    }
  }
  return {};
}

double decay(double usage, Duration age, Duration half_life) {
  if (half_life <= Duration(0)) return 0;
  if (age <= Duration(0)) return usage;
  return usage * std::exp2(-static_cast<double>(age.count()) / static_cast<double>(half_life.count()));
}

}  // namespace

void PendingList::insert(const PendingEntry& entry) {
  const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(head_);
  if (entries_.empty() || begin == entries_.end() || entries_.back().before(entry)) {
    entries_.push_back(entry);
    return;
  }
  const auto place = std::lower_bound(begin, entries_.end(), entry, entry_before);
  if (head_ > 0 && place - begin < entries_.end() - place) {
    std::move(begin, place, begin - 1);
    --head_;
    *(place - 1) = entry;
    return;
  }
  entries_.insert(place, entry);
}

std::size_t PendingList::position_of(const PendingEntry& entry) const {
  return static_cast<std::size_t>(std::lower_bound(begin(), end(), entry, entry_before) - begin());
}

void PendingList::erase(const PendingEntry& entry) {
  const std::size_t position = position_of(entry);
  CHECK(position < size() && (*this)[position].slot == entry.slot, "a job is not in its queue");
  const auto place = entries_.begin() + static_cast<std::ptrdiff_t>(head_ + position);
  if (position < size() / 2) {
    std::move_backward(entries_.begin() + static_cast<std::ptrdiff_t>(head_), place, place + 1);
    ++head_;
  } else {
    entries_.erase(place);
  }
  if (head_ > 64 && head_ > entries_.size() / 2) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
}

QueueSnapshot::QueueSnapshot() {
  QueueState root;
  root.settings.name = "root";
  queues_.push_back(std::move(root));
  by_name_.emplace("root", 0);
  CHECK(configure(0, queues_[0].settings).ok(), "the default policies are in the tables");
}

Result<QueueIndex> QueueSnapshot::add_queue(QueueSettings settings) {
  const std::string parent = settings.parent.empty() ? "root" : settings.parent;
  const std::optional<QueueIndex> above = find_queue(parent);
  if (!above)
    return not_found("queue.unknown", fmt::format("a queue's parent must be added before it: \"{}\" of \"{}\"", parent, settings.name));
  if (by_name_.contains(settings.name)) {
    return failed_precondition("queue.exists", fmt::format("each queue has a name of its own; \"{}\" is taken", settings.name));
  }
  if (queues_[*above].leaf() && (!queues_[*above].pending.empty() || queues_[*above].running_jobs > 0)) {
    return failed_precondition("queue.has_jobs", fmt::format("a queue with jobs cannot become a group of queues: \"{}\"", parent));
  }
  const auto index = static_cast<QueueIndex>(queues_.size());
  QueueState state;
  state.parent = *above;
  queues_.push_back(std::move(state));
  if (Result<void> configured = configure(index, settings); !configured.ok()) {
    queues_.pop_back();
    return std::move(configured).error();
  }
  by_name_.emplace(settings.name, index);
  queues_[*above].children.push_back(index);
  return index;
}

Result<void> QueueSnapshot::configure(QueueIndex queue, QueueSettings settings) {
  ASSIGN_OR_RETURN(const OrderPolicy* const order, find_order_policy(settings.order));
  ASSIGN_OR_RETURN(const BackfillPolicy* const backfill, find_backfill_policy(settings.backfill));
  ASSIGN_OR_RETURN(const PlacementPolicy* const placement, find_placement_policy(settings.placement));
  TRY(check_parameters(settings, {&order->info(), &backfill->info(), &placement->info()}));
  QueueState& state = queues_[queue];
  state.settings = std::move(settings);
  state.order = order;
  state.backfill = backfill;
  state.placement = placement;
  return {};
}

std::optional<QueueIndex> QueueSnapshot::find_queue(const std::string& name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return std::nullopt;
  return found->second;
}

UserIndex QueueSnapshot::user(const std::string& name) {
  const auto [found, added] = users_by_name_.emplace(name, static_cast<UserIndex>(users_.size()));
  if (added) {
    users_.emplace_back();
    users_.back().name = name;
  }
  return found->second;
}

std::int64_t QueueSnapshot::running_of(QueueIndex queue, UserIndex user) const {
  const auto found = user_use_.find({queue, user});
  return found == user_use_.end() ? 0 : found->second.running;
}

const Amounts& QueueSnapshot::usage_of(QueueIndex queue, UserIndex user) const {
  static const Amounts kNothing;
  const auto found = user_use_.find({queue, user});
  return found == user_use_.end() ? kNothing : found->second.usage;
}

PendingEntry QueueSnapshot::entry_of(const JobSnapshot& job) const {
  const std::uint32_t* slot = slot_of_.find(job.id);
  CHECK(slot != nullptr, "a job is not waiting");
  return {job.tier, job.queued_at, job.seq, *slot};
}

void QueueSnapshot::add(JobSnapshot job) {
  CHECK(job.queue < queues_.size() && queues_[job.queue].leaf(), "a job waits in a leaf of the queue tree");
  auto slot = static_cast<std::uint32_t>(slots_.size());
  if (unused_slots_.empty()) {
    slots_.emplace_back();
  } else {
    slot = unused_slots_.back();
    unused_slots_.pop_back();
  }
  CHECK(slot_of_.insert(job.id, slot), "a job waits twice");
  QueueState& queue = queues_[job.queue];
  const bool first = queue.pending.empty();
  queue.shortest_walltime = first ? job.walltime : std::min(queue.shortest_walltime, job.walltime);
  queue.priority_least = first ? job.priority : std::min(queue.priority_least, job.priority);
  queue.priority_most = first ? job.priority : std::max(queue.priority_most, job.priority);
  queue.pending.insert({job.tier, job.queued_at, job.seq, slot});
  slots_[slot] = std::move(job);
  if (slots_[slot].reservation || slots_[slot].claim) note_promise(slots_[slot]);
}

JobSnapshot QueueSnapshot::remove(JobId id) {
  const std::uint32_t* found = slot_of_.find(id);
  CHECK(found != nullptr, "a job is not waiting");
  const std::uint32_t slot = *found;
  JobSnapshot job = std::move(slots_[slot]);
  queues_[job.queue].pending.erase({job.tier, job.queued_at, job.seq, slot});
  slot_of_.erase(id);
  unused_slots_.push_back(slot);
  if (job.reservation || job.claim) {
    job.reservation.reset();
    job.claim.reset();
    note_promise(job);
  }
  return job;
}

const JobSnapshot* QueueSnapshot::find(JobId id) const {
  const std::uint32_t* slot = slot_of_.find(id);
  return slot == nullptr ? nullptr : &slots_[*slot];
}

void QueueSnapshot::set_walltime(JobId id, Duration walltime) {
  JobSnapshot* job = find_mutable(id);
  CHECK(job != nullptr, "a job is not waiting");
  job->walltime = walltime;
  QueueState& queue = queues_[job->queue];
  queue.shortest_walltime = std::min(queue.shortest_walltime, walltime);
}

void QueueSnapshot::set_priority(JobId id, std::int64_t priority) {
  JobSnapshot* job = find_mutable(id);
  CHECK(job != nullptr, "a job is not waiting");
  job->priority = priority;
  QueueState& queue = queues_[job->queue];
  queue.priority_least = std::min(queue.priority_least, priority);
  queue.priority_most = std::max(queue.priority_most, priority);
}

JobSnapshot* QueueSnapshot::find_mutable(JobId id) {
  const std::uint32_t* slot = slot_of_.find(id);
  return slot == nullptr ? nullptr : &slots_[*slot];
}

void QueueSnapshot::note_promise(const JobSnapshot& job) {
  const auto place = std::lower_bound(promised_.begin(), promised_.end(), job.id);
  const bool listed = place != promised_.end() && *place == job.id;
  const bool promised = job.reservation || job.claim;
  if (promised && !listed) promised_.insert(place, job.id);
  if (!promised && listed) promised_.erase(place);
}

void QueueSnapshot::set_reservation(JobId id, std::optional<Reservation> reservation) {
  JobSnapshot* job = find_mutable(id);
  CHECK(job != nullptr, "a job that is promised room does not wait");
  job->reservation = std::move(reservation);
  note_promise(*job);
}

void QueueSnapshot::set_claim(JobId id, std::optional<Claim> claim) {
  JobSnapshot* job = find_mutable(id);
  CHECK(job != nullptr, "a job that claims room does not wait");
  job->claim = std::move(claim);
  note_promise(*job);
}

void QueueSnapshot::charge(const JobSnapshot& job, const Amounts& held, int jobs) {
  for (QueueIndex queue = job.queue; queue != kNoIndex; queue = queues_[queue].parent) {
    queues_[queue].usage += held;
    queues_[queue].running_jobs += jobs;
  }
  UserUse& use = user_use_[{job.queue, job.user}];
  use.running += jobs;
  use.usage += held;
}

void QueueSnapshot::add_usage(const JobSnapshot& job, double share_seconds, TimePoint now) {
  if (job.user < users_.size()) {
    UserState& user = users_[job.user];
    user.decayed_usage = decay(user.decayed_usage, now - user.usage_at, sharing.half_life) + share_seconds;
    user.usage_at = now;
  }
  for (QueueIndex queue = job.queue; queue != kNoIndex; queue = queues_[queue].parent) {
    QueueState& state = queues_[queue];
    state.decayed_usage = decay(state.decayed_usage, now - state.usage_at, sharing.half_life) + share_seconds;
    state.usage_at = now;
  }
}

}  // namespace trainyard::sched
