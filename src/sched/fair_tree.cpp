#include "sched/fair_tree.h"

#include <algorithm>
#include <limits>
#include <map>

namespace trainyard::sched {
namespace {

struct Sums {
  double shares = 0;
  double usage = 0;
};

/// The level of a sibling.
double level(const Sums& own, const Sums& all) {
  if (own.shares <= 0) return 0;
  if (own.usage <= 0) return std::numeric_limits<double>::infinity();
  return (own.shares / all.shares) / (own.usage / all.usage);
}

struct Visit {
  double account_level = 0;
  double user_level = 0;
  std::size_t user = 0;
};

}  // namespace

std::vector<FairTreeRank> fair_tree(std::span<const FairTreeUser> users) {
  Sums all;
  std::map<std::string_view, Sums> accounts;
  for (const FairTreeUser& user : users) {
    const double shares = std::max(0.0, static_cast<double>(user.weight_milli));
    const double usage = std::max(0.0, user.usage);
    for (Sums* sums : {&all, &accounts[user.account]}) {
      sums->shares += shares;
      sums->usage += usage;
    }
  }
  std::vector<Visit> visits;
  visits.reserve(users.size());
  for (std::size_t i = 0; i < users.size(); ++i) {
    const Sums& account = accounts[users[i].account];
    const Sums own{std::max(0.0, static_cast<double>(users[i].weight_milli)), std::max(0.0, users[i].usage)};
    visits.push_back({level(account, all), level(own, account), i});
  }
  std::sort(visits.begin(), visits.end(), [](const Visit& a, const Visit& b) {
    if (a.account_level != b.account_level) return a.account_level > b.account_level;
    if (a.user_level != b.user_level) return a.user_level > b.user_level;
    return a.user < b.user;
  });
  std::vector<FairTreeRank> ranks(users.size());
  const auto count = static_cast<double>(users.size());
  for (std::size_t i = 0; i < visits.size(); ++i) {
    FairTreeRank& rank = ranks[visits[i].user];
    const bool tied = i > 0 && visits[i].account_level == visits[i - 1].account_level && visits[i].user_level == visits[i - 1].user_level;
    rank.rank = tied ? ranks[visits[i - 1].user].rank : static_cast<std::uint32_t>(i + 1);
    rank.factor = (count - rank.rank + 1) / count;
  }
  return ranks;
}

}  // namespace trainyard::sched
