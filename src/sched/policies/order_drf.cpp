#include <unordered_map>

#include "sched/drf_sorter.h"
#include "sched/internal/builtin.h"

namespace trainyard::sched {
namespace {

/// Tier by tier. Within a tier the jobs of each user form a list by arrival, and the active user with the smallest share is served.
class DrfPass final : public OrderPass {
 public:
  explicit DrfPass(const OrderView& view)
      : view_(view),
        pending_(view.queue.queue(view.index).pending),
        sorter_(view.cluster.capacity()),
        next_of_(pending_.size(), kNoIndex) {}

  const JobSnapshot* next() override {
    while (true) {
      last_user_ = kNoIndex;
      if (free_of_charge_ != kNoIndex) return take(free_of_charge_);
      while (const std::optional<DrfSorter::Client> first = sorter_.first()) {
        last_user_ = *first;
        if (users_[*first].head != kNoIndex) return take(users_[*first].head);
        sorter_.deactivate(*first);
      }
      if (!open_tier()) return nullptr;
    }
  }

  void started(std::int64_t tasks) override {
    if (last_user_ != kNoIndex) sorter_.allocate(last_user_, last_->demand.amounts * tasks);
  }

  void refused() override {
    if (last_user_ == kNoIndex) return;
    users_[last_user_].out = true;
    sorter_.deactivate(last_user_);
  }

 private:
  /// A user of the queue; its index is the user's client in the sorter.
  struct User {
    bool out = false;               ///< A job was refused: no more in this pass.
    std::uint32_t head = kNoIndex;  ///< Position of the next job of this tier; the others follow by next_of_.
    std::uint32_t tail = kNoIndex;
  };

  const JobSnapshot* take(std::uint32_t& head) {
    last_ = &view_.queue.job(pending_[head]);
    head = next_of_[head];
    return last_;
  }

  /// Lists the jobs of the next tier that has any.
  bool open_tier() {
    if (position_ == pending_.size()) return false;
    const std::int32_t tier = pending_[position_].tier;
    std::uint32_t free_tail = kNoIndex;
    for (; position_ < pending_.size() && pending_[position_].tier == tier; ++position_) {
      const auto position = static_cast<std::uint32_t>(position_);
      const JobSnapshot& job = view_.queue.job(pending_[position]);
      if (share_of(job.demand.amounts, view_.cluster.capacity()).used == 0) {
        append(position, free_of_charge_, free_tail);
        continue;
      }
      const DrfSorter::Client client = client_of(job.user);
      if (users_[client].out) continue;
      if (users_[client].head == kNoIndex) sorter_.activate(client);
      append(position, users_[client].head, users_[client].tail);
    }
    return true;
  }

  void append(std::uint32_t position, std::uint32_t& head, std::uint32_t& tail) {
    if (head == kNoIndex) {
      head = position;
    } else {
      next_of_[tail] = position;
    }
    tail = position;
  }

  DrfSorter::Client client_of(UserIndex user) {
    const auto [found, added] = clients_.emplace(user, static_cast<DrfSorter::Client>(users_.size()));
    if (!added) return found->second;
    users_.emplace_back();
    const bool known = user < view_.queue.users().size();
    return sorter_.add({.name = known ? std::string_view(view_.queue.users()[user].name) : std::string_view(),
                        .weight_milli = known ? view_.queue.users()[user].weight_milli : 1000,
                        .used = view_.queue.usage_of(view_.index, user),
                        .allocations = view_.queue.running_of(view_.index, user)});
  }

  OrderView view_;
  const PendingList& pending_;
  DrfSorter sorter_;
  std::unordered_map<UserIndex, DrfSorter::Client> clients_;
  std::vector<User> users_;
  std::vector<std::uint32_t> next_of_;       ///< By position: the next job of the same list.
  std::uint32_t free_of_charge_ = kNoIndex;  ///< First of the jobs that ask for nothing that is scarce.
  std::size_t position_ = 0;                 ///< Jobs before it have been listed.
  DrfSorter::Client last_user_ = kNoIndex;
  const JobSnapshot* last_ = nullptr;
};

class DrfOrder final : public OrderPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "drf",
        .meaning =
            "Higher tiers first, then the next job of the user with the smallest weighted dominant share of the cluster; a user whose "
            "job does not fit is out for the rest of the pass.",
        .source = "Ghodsi et al., Dominant Resource Fairness, NSDI 2011",
        .parameters = {},
        .promise = {.overtakes_max = std::nullopt, .work_conserving = false},
    };
    return kInfo;
  }
  std::unique_ptr<OrderPass> begin(const OrderView& view) const override { return std::make_unique<DrfPass>(view); }
};

}  // namespace

const OrderPolicy& drf_order() {
  static const DrfOrder kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
