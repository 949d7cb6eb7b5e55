#include <gtest/gtest.h>

#include <set>

#include "sched/policy.h"
#include "sched/testing/scenario.h"

namespace trainyard::sched {
namespace {

template <typename Policy, typename Find>
void check_table(std::span<const Policy* const> policies, Find find) {
  std::set<std::string> names;
  for (const Policy* policy : policies) {
    const PolicyInfo& info = policy->info();
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_EQ(find(info.name).value(), policy);
    EXPECT_FALSE(info.meaning.empty()) << info.name;
    EXPECT_FALSE(info.source.empty()) << info.name;
    for (const ParameterInfo& parameter : info.parameters) {
      EXPECT_LE(parameter.least, parameter.fallback) << info.name << " " << parameter.name;
      EXPECT_LE(parameter.fallback, parameter.most) << info.name << " " << parameter.name;
      EXPECT_FALSE(parameter.meaning.empty()) << info.name << " " << parameter.name;
    }
  }
}

TEST(PolicyTables, names_are_unique_and_found) {
  check_table(order_policies(), find_order_policy);
  check_table(share_policies(), find_share_policy);
  check_table(backfill_policies(), find_backfill_policy);
}

TEST(PolicyTables, unknown_name_is_refused_with_the_nearest_or_all) {
  const Result<const BackfillPolicy*> near = find_backfill_policy("eazy");
  ASSERT_FALSE(near.ok());
  EXPECT_EQ(near.error().category, Category::kNotFound);
  EXPECT_EQ(near.error().id, "policy.unknown");
  EXPECT_NE(near.error().message.find("\"easy\""), std::string::npos) << near.error().message;
  const Result<const OrderPolicy*> far = find_order_policy("something else");
  ASSERT_FALSE(far.ok());
  EXPECT_NE(far.error().message.find("fair_share, las"), std::string::npos) << far.error().message;
}

TEST(PolicyTables, parameter_is_what_was_given_or_the_fallback) {
  const PolicyInfo& info = find_backfill_policy("reserve_k").value()->info();
  EXPECT_EQ(parameter(info, {}, "k"), 8);
  EXPECT_EQ(parameter(info, {{"other", 1}}, "k"), 8);
  EXPECT_EQ(parameter(info, {{"k", 3}}, "k"), 3);
}

Reaction reaction(const std::string& policy, std::int32_t reservations, std::int32_t skips = 0, const PolicyParameters& parameters = {}) {
  JobSnapshot job;
  job.skips = skips;
  return find_backfill_policy(policy).value()->after({job, reservations, parameters});
}

TEST(BackfillPolicies, reaction_to_a_blocked_job_is_what_each_is_named_for) {
  EXPECT_EQ(reaction("strict_fifo", 0), Reaction::kStop);
  EXPECT_EQ(reaction("fifo", 0), Reaction::kBlockPool);
  EXPECT_EQ(reaction("greedy", 0), Reaction::kPass);
  for (const char* head_only : {"easy", "easy_count"}) {
    EXPECT_EQ(reaction(head_only, 0), Reaction::kReserve);
    EXPECT_EQ(reaction(head_only, 1, 1000), Reaction::kPass);
  }
  EXPECT_EQ(reaction("reserve_k", 2, 0, {{"k", 3}}), Reaction::kReserve);
  EXPECT_EQ(reaction("reserve_k", 3, 0, {{"k", 3}}), Reaction::kPass);
  EXPECT_EQ(reaction("conservative", 100'000), Reaction::kReserve);
}

TEST(EasyBackfill, job_that_was_passed_over_often_is_protected_too) {
  const PolicyParameters twenty{{"protect_after", 20}};
  EXPECT_EQ(reaction("easy", 1, 19, twenty), Reaction::kPass);
  EXPECT_EQ(reaction("easy", 1, 20, twenty), Reaction::kReserve);
  EXPECT_EQ(reaction("easy", 7, 25, twenty), Reaction::kReserve);
}

TEST(BackfillPolicies, only_conservative_keeps_reservations_and_only_easy_count_counts) {
  for (const BackfillPolicy* policy : backfill_policies()) {
    EXPECT_EQ(policy->keeps_reservations(), policy->info().name == "conservative");
    EXPECT_EQ(policy->counts_only(), policy->info().name == "easy_count");
  }
}

}  // namespace
}  // namespace trainyard::sched
