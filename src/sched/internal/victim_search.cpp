#include "sched/internal/victim_search.h"

#include <algorithm>
#include <queue>
#include <set>

namespace trainyard::sched {
namespace {

/// a.cost / a.gain < b.cost / b.gain; what gains nothing comes last.
template <typename Priced>
bool cheaper(const Priced& a, const Priced& b) {
  if (a.gain <= 0 || b.gain <= 0) return a.gain > b.gain;
  return static_cast<__int128>(a.cost) * b.gain < static_cast<__int128>(b.cost) * a.gain;
}

}  // namespace

std::optional<EvictionChoice> VictimSearch::run() {
  best_.reset();
  const std::vector<Victim>& victims = draft_.victims();
  const bool any_spare = std::any_of(victims.begin(), victims.end(), [](const Victim& victim) { return victim.spare > 0; });
  const std::vector<DomainIndex> domains = domains_to_try();
  for (const DomainIndex domain : domains) {
    if (!any_spare) break;
    if (shrink(domain)) consider(domain);
    draft_.clear();
  }
  if (best_ || evictions_max_ <= 0) return best_;
  for (const DomainIndex domain : domains) {
    if (take_greedily(domain)) consider(domain);
    draft_.clear();
    options_ = options(domain);
    if (options_.size() > kExactMax) continue;
    if (any_spare) shrink(domain);
    search_all(domain, 0, 0);
    draft_.clear();
  }
  return best_;
}

bool VictimSearch::enough_without_rules() {
  give_all();
  bool enough = false;
  for (DomainIndex domain = 0; domain < draft_.room().domain_count(); ++domain) enough = enough || draft_.whole(domain);
  draft_.clear();
  return enough;
}

/// More than could be taken at once: gangs drop their spare tasks at every place.
void VictimSearch::give_all() {
  for (std::uint32_t index = 0; index < draft_.victims().size(); ++index) {
    const Victim& victim = draft_.victims()[index];
    if (victim.may_leave) {
      draft_.apply({index, Move::kLeave});
      continue;
    }
    for (std::uint32_t place = 0; place < victim.dropped_at.size(); ++place) {
      const std::int64_t most = std::min<std::int64_t>(victim.spare, victim.running->nodes[place].tasks);
      for (std::int64_t i = 0; i < most; ++i) draft_.apply({index, place});
    }
  }
}

/// Domains that would hold the job if everybody gave way. One that holds it as it is is enough: quota alone is short then.
std::vector<DomainIndex> VictimSearch::domains_to_try() {
  std::vector<DomainIndex> domains;
  const auto count = static_cast<DomainIndex>(draft_.room().domain_count());
  for (DomainIndex domain = 0; domain < count; ++domain) {
    if (!draft_.has_room(domain)) continue;
    domains.push_back(domain);
    return draft_.quota_refusal() ? domains : std::vector<DomainIndex>();
  }
  give_all();
  for (DomainIndex domain = 0; domain < count; ++domain) {
    if (draft_.whole(domain)) domains.push_back(domain);
  }
  draft_.clear();
  return domains;
}

bool VictimSearch::shrink(DomainIndex domain) { return gain_room(domain, false) && gain_quota(false); }

bool VictimSearch::take_greedily(DomainIndex domain) {
  shrink(domain);
  return gain_room(domain, true) && gain_quota(true);
}

/// What is enough becomes the best choice, when it still is permitted without what is not needed, and better.
void VictimSearch::consider(DomainIndex domain) {
  reprieve(domain);
  if (!draft_.permitted() || static_cast<std::int64_t>(draft_.leaving_count()) > evictions_max_) return;
  EvictionChoice choice = draft_.save();
  if (!best_ || choice.better_than(*best_)) best_ = std::move(choice);
}

bool VictimSearch::gain_room(DomainIndex domain, bool may_evict) {
  const auto later = [](const Bundle& a, const Bundle& b) {
    if (cheaper(a, b) || cheaper(b, a)) return cheaper(b, a);
    return a.node > b.node;
  };
  std::priority_queue<Bundle, std::vector<Bundle>, decltype(later)> bundles(later);
  std::uint64_t version = 0;
  const auto add = [&](NodeIndex node) {
    if (std::optional<Bundle> found = bundle(domain, node, may_evict)) {
      found->version = version;
      bundles.push(std::move(*found));
    }
  };
  if (draft_.has_room(domain)) return true;
  const std::vector<EvictionDraft::Holding>& holdings = draft_.holdings();
  for (std::size_t i = 0; i < holdings.size(); ++i) {
    if (i > 0 && holdings[i - 1].node == holdings[i].node) continue;
    if (draft_.room().domain_of(holdings[i].node) == domain) add(holdings[i].node);
  }
  while (!draft_.has_room(domain)) {
    if (bundles.empty()) return false;
    const Bundle next = bundles.top();
    bundles.pop();
    if (next.version == version) {
      for (const Move& move : next.moves) draft_.apply(move);
      ++version;
    }
    add(next.node);
  }
  return true;
}

/// The least that makes room for one more task on the node, or none.
std::optional<VictimSearch::Bundle> VictimSearch::bundle(DomainIndex domain, NodeIndex node, bool may_evict) {
  const std::uint32_t slots = draft_.room().slots(node);
  const std::int64_t total = draft_.room().total(domain);
  Bundle bundle;
  bundle.node = node;
  drop_tasks(node, slots, bundle.moves);
  if (may_evict && draft_.room().slots(node) <= slots) let_leave(node, slots, bundle.moves);
  const bool enough = draft_.room().slots(node) > slots;
  if (enough) trim(node, slots, bundle.moves);
  bundle.gain = draft_.room().total(domain) - total;
  for (const Move& move : bundle.moves) {
    if (move.place == Move::kLeave) bundle.cost += draft_.victims()[move.victim].cost;
  }
  for (std::size_t i = bundle.moves.size(); i-- > 0;) draft_.undo(bundle.moves[i]);
  if (!enough) return std::nullopt;
  return bundle;
}

bool VictimSearch::try_move(const Move& move, std::vector<Move>& moves) {
  draft_.apply(move);
  if (static_cast<std::int64_t>(draft_.leaving_count()) <= evictions_max_ && draft_.permitted()) {
    moves.push_back(move);
    return true;
  }
  draft_.undo(move);
  return false;
}

void VictimSearch::drop_tasks(NodeIndex node, std::uint32_t slots, std::vector<Move>& moves) {
  const std::vector<EvictionDraft::Holding>& holdings = draft_.holdings();
  auto holding = std::lower_bound(holdings.begin(), holdings.end(), node,
                                  [](const EvictionDraft::Holding& each, NodeIndex wanted) { return each.node < wanted; });
  for (; holding != holdings.end() && holding->node == node; ++holding) {
    const Victim& victim = draft_.victims()[holding->victim];
    if (victim.leaves || victim.spare == 0) continue;
    const TaskPlace& place = victim.running->nodes[holding->place];
    while (draft_.room().slots(node) <= slots && victim.dropped < victim.spare && victim.dropped_at[holding->place] < place.tasks) {
      if (!try_move({holding->victim, holding->place}, moves)) break;
    }
  }
}

void VictimSearch::let_leave(NodeIndex node, std::uint32_t slots, std::vector<Move>& moves) {
  const std::vector<EvictionDraft::Holding>& holdings = draft_.holdings();
  auto holding = std::lower_bound(holdings.begin(), holdings.end(), node,
                                  [](const EvictionDraft::Holding& each, NodeIndex wanted) { return each.node < wanted; });
  std::vector<Option> here;
  for (; holding != holdings.end() && holding->node == node; ++holding) {
    const Victim& victim = draft_.victims()[holding->victim];
    if (!victim.may_leave || victim.leaves) continue;
    const std::int64_t gain = draft_.slots_bound(victim, victim.running->nodes[holding->place]);
    if (here.empty() || here.back().victim != holding->victim) here.push_back({holding->victim, victim.cost, 0});
    here.back().gain += gain;
  }
  std::stable_sort(here.begin(), here.end(), cheaper<Option>);
  for (const Option& option : here) {
    if (draft_.room().slots(node) > slots) return;
    if (option.gain > 0) try_move({option.victim, Move::kLeave}, moves);
  }
}

/// Takes back what the node does not need for that many slots and one more, the most expensive first.
void VictimSearch::trim(NodeIndex node, std::uint32_t slots, std::vector<Move>& moves) {
  const auto cost = [this](const Move& move) { return move.place == Move::kLeave ? draft_.victims()[move.victim].cost : 0; };
  std::stable_sort(moves.begin(), moves.end(), [&cost](const Move& a, const Move& b) { return cost(a) > cost(b); });
  std::erase_if(moves, [&](const Move& move) {
    draft_.undo(move);
    const bool unneeded = draft_.room().slots(node) > slots;
    if (!unneeded) draft_.apply(move);
    return unneeded;
  });
}

bool VictimSearch::gain_quota(bool may_evict) {
  while (const std::optional<QuotaBook::Refusal> refusal = draft_.quota_refusal()) {
    if (refusal->reason == Reason::kExceedsMaxQuota) return false;
    if (!gain_some_quota(*refusal, false) && !(may_evict && gain_some_quota(*refusal, true))) return false;
  }
  return true;
}

/// One move that leaves the queue less short of the kind that it is refused for.
bool VictimSearch::gain_some_quota(const QuotaBook::Refusal& refusal, bool may_evict) {
  std::vector<Option> all;
  for (std::uint32_t index = 0; index < draft_.victims().size(); ++index) {
    const Victim& victim = draft_.victims()[index];
    if (victim.leaves || (may_evict ? !victim.may_leave : victim.dropped >= victim.spare)) continue;
    const std::int64_t tasks = may_evict ? task_count(victim.running->nodes) - victim.dropped : 1;
    all.push_back({index, may_evict ? victim.cost : 0, victim.running->job.demand.amounts[refusal.kind] * tasks});
  }
  std::stable_sort(all.begin(), all.end(), cheaper<Option>);
  std::vector<Move> moves;
  for (const Option& option : all) {
    if (option.gain <= 0) return false;
    Move move{option.victim, Move::kLeave};
    const Victim& victim = draft_.victims()[option.victim];
    if (!may_evict) {
      move.place = static_cast<std::uint32_t>(victim.dropped_at.size()) - 1;
      while (victim.dropped_at[move.place] >= victim.running->nodes[move.place].tasks) --move.place;
    }
    if (!try_move(move, moves)) continue;
    const std::optional<QuotaBook::Refusal> now = draft_.quota_refusal();
    if (!now || now->kind != refusal.kind || now->available > refusal.available) return true;
    draft_.undo(move);
  }
  return false;
}

/// Gives back everything that is not needed, from those on that should give way last.
void VictimSearch::reprieve(DomainIndex domain) {
  const auto give_back = [&](const Move& move) {
    draft_.undo(move);
    if (draft_.whole(domain)) return true;
    draft_.apply(move);
    return false;
  };
  const std::vector<Victim>& victims = draft_.victims();
  for (auto index = static_cast<std::uint32_t>(victims.size()); index-- > 0;) {
    if (victims[index].leaves) give_back({index, Move::kLeave});
  }
  for (auto index = static_cast<std::uint32_t>(victims.size()); index-- > 0;) {
    for (std::uint32_t place = 0; place < victims[index].dropped_at.size() && !victims[index].leaves; ++place) {
      while (victims[index].dropped_at[place] > 0 && give_back({index, place})) {
      }
    }
  }
}

/// Jobs that could leave for this domain, the cheapest for what they bring first.
std::vector<VictimSearch::Option> VictimSearch::options(DomainIndex domain) {
  const bool for_quota = draft_.quota_refusal().has_value();
  std::vector<Option> options;
  for (std::uint32_t index = 0; index < draft_.victims().size(); ++index) {
    const Victim& victim = draft_.victims()[index];
    if (!victim.may_leave) continue;
    Option option{index, victim.cost, 0};
    for (const TaskPlace& place : victim.running->nodes) {
      if (draft_.room().counts(place.node) && draft_.room().domain_of(place.node) == domain)
        option.gain += draft_.slots_bound(victim, place);
    }
    if ((option.gain > 0 || for_quota) && draft_.permits_alone(index)) options.push_back(option);
  }
  std::stable_sort(options.begin(), options.end(), cheaper<Option>);
  return options;
}

/// A lower bound of what must still be lost; kUnlimited when the rest is not enough.
std::int64_t VictimSearch::least_more(DomainIndex domain, std::size_t next) {
  std::int64_t room_cost = 0;
  std::int64_t missing = draft_.short_of(domain);
  for (std::size_t i = next; i < options_.size() && missing > 0; ++i) {
    const Option& option = options_[i];
    if (option.gain <= 0) break;
    const std::int64_t used = std::min(option.gain, missing);
    room_cost += static_cast<std::int64_t>(static_cast<__int128>(option.cost) * used / option.gain);
    missing -= used;
  }
  if (missing > 0) return kUnlimited;
  const std::optional<QuotaBook::Refusal> refusal = draft_.quota_refusal();
  if (!refusal) return room_cost;
  const std::int64_t amount = refusal->needed - refusal->available;
  std::int64_t there = 0;
  Option cheapest;
  for (std::size_t i = next; i < options_.size(); ++i) {
    const Victim& victim = draft_.victims()[options_[i].victim];
    const Option option{options_[i].victim, victim.cost, victim.running->held()[refusal->kind]};
    there += option.gain;
    if (cheaper(option, cheapest)) cheapest = option;
  }
  if (there < amount) return kUnlimited;
  return std::max(room_cost, static_cast<std::int64_t>(static_cast<__int128>(cheapest.cost) * amount / cheapest.gain));
}

/// Depth first over options_[next..], each in and out, below the best cost.
void VictimSearch::search_all(DomainIndex domain, std::size_t next, std::int64_t cost) {
  if (best_ && cost >= best_->cost) return;
  if (draft_.whole(domain)) {
    const EvictionChoice found = draft_.save();
    consider(domain);
    draft_.load(found);
    return;
  }
  if (next == options_.size() || static_cast<std::int64_t>(draft_.leaving_count()) >= evictions_max_) return;
  const std::int64_t more = least_more(domain, next);
  if (more >= kUnlimited || (best_ && cost + more >= best_->cost)) return;
  const Move move{options_[next].victim, Move::kLeave};
  draft_.apply(move);
  if (draft_.could_become_permitted()) search_all(domain, next + 1, cost + options_[next].cost);
  draft_.undo(move);
  search_all(domain, next + 1, cost);
}

}  // namespace trainyard::sched
