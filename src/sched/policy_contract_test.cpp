#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "sched/policy.h"
#include "sched/testing/contract.h"

namespace trainyard::sched::testing {
namespace {

/// Times as many seeds as usual: TRAINYARD_CONTRACT_TIMES, 1 when it is not
/// set.
std::uint64_t times() {
  const char* text = std::getenv("TRAINYARD_CONTRACT_TIMES");
  return text == nullptr || *text == '\0' ? 1 : std::strtoull(text, nullptr, 10);
}

/// Seeds of one test are not those of another.
void expect_contract(const std::string& what, const RandomStateSettings& settings, std::uint64_t first_seed, std::uint64_t seeds) {
  for (std::uint64_t seed = first_seed; seed < first_seed + seeds * times(); ++seed) {
    if (const Violation violation = contract_of_seed(seed, settings)) {
      ADD_FAILURE() << what << ", " << *violation;
      return;
    }
  }
}

template <typename Policy>
void expect_described(std::span<const Policy* const> table) {
  std::set<std::string> names;
  for (const Policy* policy : table) {
    const PolicyInfo& info = policy->info();
    EXPECT_TRUE(names.insert(info.name).second) << info.name << " is in the table twice";
    EXPECT_FALSE(info.meaning.empty()) << info.name;
    EXPECT_FALSE(info.source.empty()) << info.name;
    for (const ParameterInfo& parameter : info.parameters) {
      EXPECT_FALSE(parameter.meaning.empty()) << info.name << " " << parameter.name;
      EXPECT_LE(parameter.least, parameter.fallback) << info.name << " " << parameter.name;
      EXPECT_GE(parameter.most, parameter.fallback) << info.name << " " << parameter.name;
    }
  }
}

TEST(PolicyContract, every_policy_says_what_it_is) {
  expect_described(order_policies());
  expect_described(share_policies());
  expect_described(backfill_policies());
  expect_described(placement_policies());
}

TEST(PolicyContract, promises_that_the_rules_name_are_made) {
  EXPECT_EQ(find_backfill_policy("strict_fifo").value()->info().promise.overtakes_max, 0);
  EXPECT_EQ(find_order_policy("fifo").value()->info().promise.overtakes_max, 0);
  for (const char* name : {"easy", "conservative", "reserve_k"}) {
    EXPECT_TRUE(find_backfill_policy(name).value()->info().promise.work_conserving) << name;
  }
  EXPECT_TRUE(find_backfill_policy("conservative").value()->keeps_reservations());
}

TEST(PolicyContract, every_order_with_every_backfill_in_one_queue) {
  std::uint64_t first_seed = 1;
  for (const OrderPolicy* order : order_policies()) {
    for (const BackfillPolicy* backfill : backfill_policies()) {
      RandomStateSettings settings{
          .queues_max = 1, .order = order->info().name, .backfill = backfill->info().name, .placement = "first_fit"};
      expect_contract(settings.order + " and " + settings.backfill, settings, first_seed, 8);
      settings.gates = settings.quotas = false;
      expect_contract(settings.order + " and " + settings.backfill + " without gates and quotas", settings, first_seed + 100'000, 8);
      first_seed += 1000;
    }
  }
}

TEST(PolicyContract, every_backfill_among_many_queues) {
  std::uint64_t first_seed = 200'000;
  for (const BackfillPolicy* backfill : backfill_policies()) {
    RandomStateSettings settings{.backfill = backfill->info().name};
    expect_contract(settings.backfill, settings, first_seed, 30);
    settings.quotas = false;
    expect_contract(settings.backfill + " without quotas", settings, first_seed + 500, 30);
    first_seed += 1000;
  }
}

TEST(PolicyContract, every_sharing_policy) {
  std::uint64_t first_seed = 300'000;
  for (const SharePolicy* share : share_policies()) {
    RandomStateSettings settings{.queues_max = 6, .pending_max = 20, .share = share->info().name};
    expect_contract(settings.share, settings, first_seed, 40);
    settings.quotas = settings.gates = false;
    expect_contract(settings.share + " without gates and quotas", settings, first_seed + 500, 40);
    first_seed += 1000;
  }
}

TEST(PolicyContract, every_placement_policy) {
  std::uint64_t first_seed = 400'000;
  for (const PlacementPolicy* placement : placement_policies()) {
    const RandomStateSettings settings{.quotas = false, .gates = false, .placement = placement->info().name};
    expect_contract(settings.placement, settings, first_seed, 40);
    first_seed += 1000;
  }
}

TEST(PolicyContract, elastic_gangs_with_every_backfill) {
  std::uint64_t first_seed = 500'000;
  for (const BackfillPolicy* backfill : backfill_policies()) {
    const RandomStateSettings settings{.elastic = true, .backfill = backfill->info().name};
    expect_contract(settings.backfill, settings, first_seed, 30);
    first_seed += 1000;
  }
}

TEST(PolicyContract, preemption_with_every_backfill) {
  std::uint64_t first_seed = 600'000;
  for (const BackfillPolicy* backfill : backfill_policies()) {
    const RandomStateSettings settings{.elastic = true, .preemption = true, .backfill = backfill->info().name};
    expect_contract(settings.backfill, settings, first_seed, 30);
    first_seed += 1000;
  }
}

TEST(PolicyContract, all_policies_mixed) {
  expect_contract("mixed", {.nodes_max = 12, .queues_max = 6, .users_max = 4, .shapes_max = 12, .running_max = 12, .pending_max = 40},
                  700'000, 40);
}

}  // namespace
}  // namespace trainyard::sched::testing
