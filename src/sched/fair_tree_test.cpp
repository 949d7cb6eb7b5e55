#include "sched/fair_tree.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace trainyard::sched {
namespace {

TEST(FairTree, all_users_of_the_better_account_come_first) {
  // Account a has 3 of 4 shares and half of the usage: 1.5; b has 1 and the other half: 0.5. a1 used 90 % of a's half: 0.56, a2: 5, b1: 1.
  const std::vector<FairTreeUser> users{{.account = "a", .name = "a1", .weight_milli = 1500, .usage = 45},
                                        {.account = "a", .name = "a2", .weight_milli = 1500, .usage = 5},
                                        {.account = "b", .name = "b1", .weight_milli = 1000, .usage = 50}};
  const std::vector<FairTreeRank> ranks = fair_tree(users);
  EXPECT_EQ(ranks[1].rank, 1U);
  EXPECT_EQ(ranks[0].rank, 2U);
  EXPECT_EQ(ranks[2].rank, 3U);
  EXPECT_DOUBLE_EQ(ranks[1].factor, 1);
  EXPECT_DOUBLE_EQ(ranks[0].factor, 2.0 / 3);
  EXPECT_DOUBLE_EQ(ranks[2].factor, 1.0 / 3);
}

TEST(FairTree, unused_comes_first_and_without_shares_last) {
  const std::vector<FairTreeRank> ranks = fair_tree(std::vector<FairTreeUser>{{.account = "a", .name = "heavy", .usage = 9},
                                                                              {.account = "a", .name = "none", .weight_milli = 0},
                                                                              {.account = "a", .name = "fresh", .usage = 0}});
  EXPECT_EQ(ranks[2].rank, 1U);
  EXPECT_EQ(ranks[0].rank, 2U);
  EXPECT_EQ(ranks[1].rank, 3U);
}

TEST(FairTree, equal_levels_share_the_better_rank_across_equal_accounts) {
  const std::vector<FairTreeRank> ranks = fair_tree(std::vector<FairTreeUser>{{.account = "a", .name = "a1"},
                                                                              {.account = "b", .name = "b1"},
                                                                              {.account = "b", .name = "b2"},
                                                                              {.account = "c", .name = "c1", .usage = 1}});
  EXPECT_EQ(ranks[0].rank, 1U);
  EXPECT_EQ(ranks[1].rank, 1U);
  EXPECT_EQ(ranks[2].rank, 1U);
  EXPECT_EQ(ranks[3].rank, 4U);
  EXPECT_DOUBLE_EQ(ranks[3].factor, 0.25);
}

TEST(FairTree, random_trees_never_mix_accounts_of_different_level) {
  const std::uint64_t seed = 99;
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRng rng(seed);
  const std::vector<std::string> accounts{"a", "b", "c"};
  for (int round = 0; round < 200; ++round) {
    std::vector<FairTreeUser> users;
    std::array<double, 3> shares{};
    std::array<double, 3> usage{};
    std::vector<std::size_t> account_of;
    for (int i = 0; i < 12; ++i) {
      const std::size_t account = rng.below(3);
      const FairTreeUser user{accounts[account], "u", static_cast<std::int64_t>(1 + rng.below(4)), 1 + rng.unit()};
      shares[account] += static_cast<double>(user.weight_milli);
      usage[account] += user.usage;
      account_of.push_back(account);
      users.push_back(user);
    }
    const std::vector<FairTreeRank> ranks = fair_tree(users);
    for (std::size_t i = 0; i < users.size(); ++i) {
      for (std::size_t j = 0; j < users.size(); ++j) {
        const double left = shares[account_of[i]] / usage[account_of[i]];
        const double right = shares[account_of[j]] / usage[account_of[j]];
        if (left <= right * (1 + 1e-9)) continue;
        EXPECT_LT(ranks[i].rank, ranks[j].rank);
      }
    }
  }
}

TEST(FairTree, no_users_give_no_ranks) { EXPECT_TRUE(fair_tree({}).empty()); }

}  // namespace
}  // namespace trainyard::sched
