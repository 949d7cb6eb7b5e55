#include "sched/internal/decayed_usage.h"

#include <cmath>

#include "sched/share.h"

namespace trainyard::sched {
namespace {

double usage_now(double usage, TimePoint as_of, TimePoint now, Duration half_life) {
  if (now <= as_of) return usage;
  return usage * std::exp2(-static_cast<double>((now - as_of).count()) / static_cast<double>(half_life.count()));
}

}  // namespace

DecayedUsage decayed_usage(const ClusterSnapshot& cluster, const QueueSnapshot& queue, TimePoint now) {
  const Duration half_life = queue.sharing.half_life;
  DecayedUsage usage{std::vector<double>(queue.users().size()), std::vector<double>(queue.queues().size())};
  if (half_life <= Duration(0)) return usage;
  for (std::size_t i = 0; i < usage.users.size(); ++i) {
    const UserState& user = queue.users()[i];
    usage.users[i] = usage_now(user.decayed_usage, user.usage_at, now, half_life);
  }
  for (std::size_t i = 0; i < usage.queues.size(); ++i) {
    const QueueState& state = queue.queues()[i];
    usage.queues[i] = usage_now(state.decayed_usage, state.usage_at, now, half_life);
  }
  cluster.each_by_end([&](const RunningJob& running) {
    const Duration unbooked = now - running.charged_until;
    if (unbooked <= Duration(0)) return true;
    const double service = share_of(running.held(), cluster.capacity()).fraction() * static_cast<double>(unbooked.count()) / 1e6;
    if (running.job.user < usage.users.size()) usage.users[running.job.user] += service;
    for (QueueIndex index = running.job.queue; index != kNoIndex; index = queue.queue(index).parent) usage.queues[index] += service;
    return true;
  });
  return usage;
}

std::vector<FairTreeRank> rank_users(const OrderView& view) {
  const QueueSnapshot& queue = view.queue;
  const bool current_use = queue.sharing.half_life <= Duration(0);
  const DecayedUsage history = decayed_usage(view.cluster, queue, view.now);
  const std::string_view own_account = queue.queue(view.index).settings.name;
  std::vector<FairTreeUser> users;
  users.reserve(queue.users().size());
  for (UserIndex i = 0; i < queue.users().size(); ++i) {
    const UserState& user = queue.users()[i];
    const double usage = current_use ? share_of(queue.usage_of(view.index, i), view.cluster.capacity()).fraction() : history.users[i];
    users.push_back({.account = user.account.empty() ? own_account : std::string_view(user.account),
                     .name = user.name,
                     .weight_milli = user.weight_milli,
                     .usage = usage});
  }
  return fair_tree(users);
}

}  // namespace trainyard::sched
