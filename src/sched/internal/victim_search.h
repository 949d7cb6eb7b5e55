#pragma once
#include <optional>
#include <vector>

#include "sched/internal/eviction_draft.h"

namespace trainyard::sched {

/// Looks for the cheapest permitted choice of victims that makes room and quota for the preemptor.
///
/// Gangs shrink first; when that is enough no job leaves. Else jobs are taken node by node, each time the bundle of jobs with the least
/// cost per task that it makes room for, then for quota the ones with the least cost per amount. Whatever turns out not to be needed is
/// given back, those first that should give way last. With at most kExactMax jobs that could leave all sets of them are searched instead,
/// by branch and bound below what was found.
class VictimSearch {
 public:
  static constexpr std::size_t kExactMax = 20;

  VictimSearch(EvictionDraft& draft, std::int64_t evictions_max) : draft_(draft), evictions_max_(evictions_max) {}
  /// None: no choice will do. The draft is left as it was found.
  std::optional<EvictionChoice> run();
  /// Whether it would be enough if everybody gave way, also those that shares protect.
  bool enough_without_rules();

 private:
  struct Bundle {
    std::vector<Move> moves;
    std::int64_t cost = 0;
    std::int64_t gain = 0;
    NodeIndex node = 0;
    std::uint64_t version = 0;
  };
  struct Option {
    std::uint32_t victim = 0;
    std::int64_t cost = 0;
    std::int64_t gain = 0;  ///< Slots, or an amount: an upper bound.
  };

  std::vector<DomainIndex> domains_to_try();
  void give_all();
  bool shrink(DomainIndex domain);
  bool take_greedily(DomainIndex domain);
  bool gain_room(DomainIndex domain, bool may_evict);
  bool gain_quota(bool may_evict);
  bool gain_some_quota(const QuotaBook::Refusal& refusal, bool may_evict);
  std::optional<Bundle> bundle(DomainIndex domain, NodeIndex node, bool may_evict);
  bool try_move(const Move& move, std::vector<Move>& moves);
  void drop_tasks(NodeIndex node, std::uint32_t slots, std::vector<Move>& moves);
  void let_leave(NodeIndex node, std::uint32_t slots, std::vector<Move>& moves);
  void trim(NodeIndex node, std::uint32_t slots, std::vector<Move>& moves);
  void reprieve(DomainIndex domain);
  void consider(DomainIndex domain);

  std::vector<Option> options(DomainIndex domain);
  void search_all(DomainIndex domain, std::size_t next, std::int64_t cost);
  std::int64_t least_more(DomainIndex domain, std::size_t next);

  EvictionDraft& draft_;
  const std::int64_t evictions_max_;
  std::optional<EvictionChoice> best_;
  std::vector<Option> options_;  ///< Of the exact search, by cost per gain.
};

}  // namespace trainyard::sched
