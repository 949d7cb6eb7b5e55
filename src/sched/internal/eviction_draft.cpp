#include "sched/internal/eviction_draft.h"

#include <algorithm>
#include <tuple>

namespace trainyard::sched {
namespace {

/// Whether anything is held that begins later than now.
bool room_is_promised(const PreemptionView& view) {
  if (view.decided == nullptr || !view.decided->reservations.empty()) return true;
  const std::vector<JobId>& promised = view.queue.promised();
  return std::any_of(promised.begin(), promised.end(), [&view](JobId id) { return view.queue.find(id)->reservation.has_value(); });
}

std::int64_t whole_up(std::int64_t amount, std::int64_t unit) { return (amount + unit - 1) / unit; }

/// The devices of tasks [first, first + count) of a place.
DeviceMask devices_of(const Demand& demand, const TaskPlace& place, std::uint32_t first, std::uint32_t count) {
  if (demand.gpus == 0 || (demand.gpus == 1 && std::popcount(place.devices) == 1)) return place.devices;
  const auto each = static_cast<std::uint32_t>(demand.gpus);
  DeviceMask mask = 0;
  std::uint32_t position = 0;
  for (DeviceMask left = place.devices; left != 0; left = static_cast<DeviceMask>(left & (left - 1)), ++position) {
    const auto bit = static_cast<DeviceMask>(left & -left);
    if (position >= first * each && position < (first + count) * each) mask = static_cast<DeviceMask>(mask | bit);
  }
  return mask;
}

TaskPlace part_of(const Demand& demand, const TaskPlace& place, std::uint32_t first, std::uint32_t count) {
  return {place.node, count, devices_of(demand, place, first, count)};
}

}  // namespace

bool EvictionChoice::better_than(const EvictionChoice& other) const {
  return std::make_tuple(cost, leaving, moves.size()) < std::make_tuple(other.cost, other.leaving, other.moves.size());
}

EvictionDraft::EvictionDraft(const PreemptionView& view, const Ask& ask, std::vector<Victim> victims)
    : now_(view.now),
      demand_(ask.job.demand),
      tasks_(ask.tasks),
      victims_(std::move(victims)),
      rules_(view, ask.job, ask.tasks),
      room_(view.cluster, view.availability, {ask.job, ask.tasks, view.now, ask.to}, room_is_promised(view)) {
  for (Victim& victim : victims_) victim.standing = rules_.standing(*victim.running);
  std::erase_if(victims_, [this](const Victim& victim) { return !rules_.beyond_nominal({victim.running, victim.standing}); });
  const auto same_queue = [](const Victim& victim) { return victim.standing.theirs == kNoIndex; };
  more_helps_ = !rules_.flat() || std::any_of(victims_.begin(), victims_.end(), same_queue);
  for (std::uint32_t index = 0; index < victims_.size(); ++index) {
    Victim& victim = victims_[index];
    const Placement& places = victim.running->nodes;
    if (victim.spare > 0) victim.dropped_at.assign(places.size(), 0);
    for (std::uint32_t place = 0; place < places.size(); ++place) {
      room_.expect(places[place].node, held_until(victim));
      if (room_.counts(places[place].node)) holdings_.push_back({places[place].node, index, place});
    }
  }
  std::sort(holdings_.begin(), holdings_.end(),
            [](const Holding& a, const Holding& b) { return std::tie(a.node, a.victim, a.place) < std::tie(b.node, b.victim, b.place); });
}

/// A job past its limit holds its room a microsecond longer.
TimePoint EvictionDraft::held_until(const Victim& victim) const { return std::max(victim.running->limit_end, now_ + Duration(1)); }

void EvictionDraft::note(std::uint32_t victim) {
  std::size_t& at = victims_[victim].giving_at;
  const bool gives = victims_[victim].leaves || victims_[victim].dropped > 0;
  if (gives && at == 0) {
    giving_.push_back(victim);
    at = giving_.size();
  } else if (!gives && at != 0) {
    giving_[at - 1] = giving_.back();
    victims_[giving_.back()].giving_at = at;
    giving_.pop_back();
    at = 0;
  }
}

void EvictionDraft::apply(const Move& move) {
  Victim& victim = victims_[move.victim];
  const RunningJob& running = *victim.running;
  const Demand& demand = running.job.demand;
  if (move.place == Move::kLeave) {
    for (std::size_t i = 0; i < running.nodes.size(); ++i) {
      const std::uint32_t gone = victim.dropped_at.empty() ? 0 : victim.dropped_at[i];
      const std::uint32_t left = running.nodes[i].tasks - gone;
      if (left > 0) room_.give(demand, part_of(demand, running.nodes[i], 0, left), held_until(victim));
    }
    rules_.take(running, task_count(running.nodes) - victim.dropped);
    victim.leaves = true;
    ++leaving_;
  } else {
    const TaskPlace& place = running.nodes[move.place];
    const std::uint32_t kept = place.tasks - ++victim.dropped_at[move.place];
    ++victim.dropped;
    if (!victim.leaves) {
      room_.give(demand, part_of(demand, place, kept, 1), held_until(victim));
      rules_.take(running, 1);
    }
  }
  note(move.victim);
}

void EvictionDraft::undo(const Move& move) {
  Victim& victim = victims_[move.victim];
  const RunningJob& running = *victim.running;
  const Demand& demand = running.job.demand;
  if (move.place == Move::kLeave) {
    for (std::size_t i = 0; i < running.nodes.size(); ++i) {
      const std::uint32_t gone = victim.dropped_at.empty() ? 0 : victim.dropped_at[i];
      const std::uint32_t left = running.nodes[i].tasks - gone;
      if (left > 0) room_.take(demand, part_of(demand, running.nodes[i], 0, left), held_until(victim));
    }
    rules_.give_back(running, task_count(running.nodes) - victim.dropped);
    victim.leaves = false;
    --leaving_;
  } else {
    const TaskPlace& place = running.nodes[move.place];
    const std::uint32_t kept = place.tasks - victim.dropped_at[move.place]--;
    --victim.dropped;
    if (!victim.leaves) {
      room_.take(demand, part_of(demand, place, kept, 1), held_until(victim));
      rules_.give_back(running, 1);
    }
  }
  note(move.victim);
}

EvictionChoice EvictionDraft::save() const {
  EvictionChoice choice;
  choice.leaving = leaving_;
  std::vector<std::uint32_t> giving = giving_;
  std::sort(giving.begin(), giving.end());
  for (const std::uint32_t index : giving) {
    const Victim& victim = victims_[index];
    if (victim.leaves) {
      choice.cost += victim.cost;
      choice.moves.push_back({index, Move::kLeave});
      continue;
    }
    for (std::uint32_t place = 0; place < victim.dropped_at.size(); ++place) {
      choice.moves.insert(choice.moves.end(), victim.dropped_at[place], Move{index, place});
    }
  }
  return choice;
}

void EvictionDraft::clear() {
  while (!giving_.empty()) {
    const std::uint32_t index = giving_.back();
    Victim& victim = victims_[index];
    if (victim.leaves) undo({index, Move::kLeave});
    for (std::uint32_t place = 0; place < victim.dropped_at.size(); ++place) {
      while (victim.dropped_at[place] > 0) undo({index, place});
    }
  }
}

void EvictionDraft::load(const EvictionChoice& choice) {
  clear();
  for (const Move& move : choice.moves) apply(move);
}

Loss EvictionDraft::loss_of(const Victim& victim) const {
  const std::int64_t held = task_count(victim.running->nodes);
  const std::int64_t lost = victim.leaves ? held : victim.dropped;
  return {victim.running, victim.standing, lost, held - lost};
}

std::vector<Loss> EvictionDraft::losses() const {
  std::vector<Loss> losses;
  for (const std::uint32_t index : giving_) losses.push_back(loss_of(victims_[index]));
  return losses;
}

bool EvictionDraft::permitted() const {
  return std::all_of(giving_.begin(), giving_.end(), [this](std::uint32_t index) { return rules_.permits(loss_of(victims_[index])); });
}

bool EvictionDraft::could_become_permitted() const {
  if (!more_helps_) return permitted();
  return std::all_of(giving_.begin(), giving_.end(),
                     [this](std::uint32_t index) { return rules_.beyond_nominal(loss_of(victims_[index])); });
}

bool EvictionDraft::permits_alone(std::uint32_t victim) {
  apply({victim, Move::kLeave});
  const bool could = could_become_permitted();
  undo({victim, Move::kLeave});
  return could;
}

std::int64_t EvictionDraft::slots_bound(const Victim& victim, const TaskPlace& place) const {
  const Demand& freed = victim.running->job.demand;
  std::int64_t bound = 0;
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    if (kind == kGpu || demand_.amounts[kind] <= 0) continue;
    bound = std::max(bound, whole_up(freed.amounts[kind] * place.tasks, demand_.amounts[kind]));
  }
  if (demand_.gpus == 0 || freed.gpus == 0) return bound;
  const std::int64_t milli = freed.gpu_milli == 1000 ? 1000 : std::int64_t{freed.gpu_milli} * place.tasks;
  const std::int64_t devices = std::popcount(place.devices) * whole_up(milli, demand_.gpu_milli);
  return std::max(bound, whole_up(devices, demand_.gpus));
}

Placement EvictionDraft::kept(const Victim& victim) {
  Placement kept;
  for (std::size_t i = 0; i < victim.running->nodes.size(); ++i) {
    const TaskPlace& place = victim.running->nodes[i];
    const std::uint32_t left = place.tasks - victim.dropped_at[i];
    if (left > 0) kept.push_back(part_of(victim.running->job.demand, place, 0, left));
  }
  return kept;
}

}  // namespace trainyard::sched
