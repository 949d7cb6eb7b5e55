#include <gtest/gtest.h>

#include <algorithm>

#include "sched/testing/eviction.h"

// Who gives way to whom: shares, quotas, and why nobody evicts in circles.

namespace trainyard::sched {
namespace {

using namespace std::chrono_literals;
using testing::asked;
using testing::at;
using testing::cores_quota;
using testing::leave;
using testing::preempting;
using testing::reason_of;
using testing::Scenario;
using testing::started;
using testing::tasks_on;

std::vector<JobId> victims_of(const EvictionAnswer& answer) { return answer.plan ? answer.plan->claim.victims : std::vector<JobId>(); }

/// One node of so many cores, and queues that preempt.
struct Units : Scenario {
  explicit Units(std::int64_t cores) { node("n", {.cores = cores}); }
  void queue_of(const std::string& name, std::int64_t weight_milli = 1000) {
    queue(preempting({.name = name, .weight_milli = weight_milli}));
  }
  JobId runs(const std::string& name, std::int64_t cores, std::int32_t tier = 0) {
    return running_on({.cores = cores, .queue = name, .tier = tier}, tasks_on({{0, 1}}), at(0s));
  }
  JobId waits(const std::string& name, std::int64_t cores, std::int32_t tier = 0) {
    return submit({.cores = cores, .queue = name, .tier = tier});
  }
};

/// Eight units; B runs four jobs of two, A nothing.
struct EightUnits : Units {
  EightUnits() : Units(8) {
    queue_of("a");
    queue_of("b");
    for (int i = 0; i < 4; ++i) of_b.push_back(runs("b", 2));
  }
  std::vector<JobId> of_b;
};

// --- shares

TEST(PreemptionShares, queue_takes_room_until_shares_are_equal) {
  EightUnits s;
  const JobId id = s.waits("a", 4);
  EXPECT_EQ(victims_of(asked(s, id, at(1h))).size(), 2u);
  const Decisions decisions = s.run(at(1h));
  ASSERT_EQ(decisions.preemptions.size(), 1u);
  EXPECT_EQ(decisions.preemptions[0].claim.victims.size(), 2u);
  EXPECT_EQ(reason_of(decisions, s.state.queue, id), Reason::kWaitingForPreempted);
}

TEST(PreemptionShares, job_that_would_pass_the_other_queue_evicts_nobody) {
  EightUnits s;
  const JobId id = s.waits("a", 6);
  const EvictionAnswer answer = asked(s, id, at(1h));
  EXPECT_FALSE(answer.plan.has_value());
  EXPECT_EQ(answer.refusal, Reason::kExceedsFairShare);
  EXPECT_EQ(answer.protected_job, s.of_b.back()) << "the first that would have given way";
  const Decisions decisions = s.run(at(1h));
  EXPECT_TRUE(decisions.preemptions.empty());
  EXPECT_EQ(reason_of(decisions, s.state.queue, id), Reason::kExceedsFairShare);
}

TEST(PreemptionShares, weights_say_what_is_equal) {
  Units s(8);
  s.queue_of("a", 3000);
  s.queue_of("b", 1000);
  for (int i = 0; i < 4; ++i) s.runs("b", 2);
  EXPECT_EQ(victims_of(asked(s, s.waits("a", 6), at(1h))).size(), 3u);
  EXPECT_FALSE(asked(s, s.waits("a", 7), at(1h)).plan.has_value());
}

TEST(PreemptionShares, higher_tier_takes_from_another_queue_whatever_the_shares) {
  EightUnits s;
  EXPECT_EQ(victims_of(asked(s, s.waits("a", 8, 1), at(1h))).size(), 4u);
}

TEST(PreemptionShares, jobs_of_lower_tiers_do_not_count_in_the_shares) {
  Units s(8);
  s.queue_of("a");
  s.queue_of("b");
  s.state.cluster.find_mutable(s.runs("a", 4, 0))->job.preemptible = false;
  s.runs("b", 2, 1);
  s.runs("b", 2, 1);
  EXPECT_EQ(victims_of(asked(s, s.waits("a", 2, 1), at(1h))).size(), 1u) << "of tier 1 and above each would have two units";
  EXPECT_FALSE(asked(s, s.waits("a", 4, 1), at(1h)).plan.has_value());
}

TEST(PreemptionShares, shares_are_compared_below_the_lowest_common_ancestor) {
  Units s(8);
  s.queue({.name = "left"});
  s.queue({.name = "right"});
  s.queue(preempting({.name = "a", .parent = "left"}));
  s.queue(preempting({.name = "b", .parent = "left"}));
  s.queue(preempting({.name = "c", .parent = "right"}));
  s.runs("b", 2);
  const JobId second = s.runs("b", 2);
  s.runs("c", 2);
  s.runs("c", 2);
  const JobId id = s.waits("a", 2);
  EXPECT_EQ(victims_of(asked(s, id, at(1h))), std::vector<JobId>{second}) << "left has its half already, so b gives way to a";
}

TEST(PreemptionShares, plan_that_does_not_raise_the_potential_is_refused) {
  Scenario s;
  s.node("n", {.cores = 10, .memory_gib = 10});
  s.queue(preempting({.name = "a"}));
  s.queue(preempting({.name = "b"}));
  s.running_on({.cores = 5, .memory_gib = 1, .queue = "a"}, tasks_on({{0, 1}}), at(0s));
  for (int i = 0; i < 5; ++i) s.running_on({.cores = 1, .memory_gib = 1, .queue = "b"}, tasks_on({{0, 1}}), at(0s));
  s.running_on({.cores = 0, .memory_gib = 4, .queue = "b"}, tasks_on({{0, 1}}), at(0s));
  // b's share is 9/10 by memory, a's 5/10 by cores. A job of memory alone leaves a's share as it is, and b's falls.
  const JobId id = s.submit({.cores = 0, .memory_gib = 1, .queue = "a"});
  EXPECT_FALSE(asked(s, id, at(1h)).plan.has_value());
  EXPECT_EQ(asked(s, id, at(1h)).refusal, Reason::kExceedsFairShare);
  EXPECT_TRUE(asked(s, s.submit({.cores = 1, .memory_gib = 1, .queue = "a"}), at(1h)).plan.has_value()) << "one core more raises a's share";
}

// --- quotas

/// Queues a and b with quotas on a cluster of that many cores.
struct Quotas : Units {
  Quotas(std::int64_t cores, std::int64_t of_a, std::int64_t of_b) : Units(cores) {
    queue(preempting({.name = "a", .nominal = cores_quota(of_a)}));
    queue(preempting({.name = "b", .nominal = cores_quota(of_b)}));
  }
};

TEST(PreemptionQuota, queue_within_its_quota_is_never_a_victim) {
  Quotas s(8, 4, 4);
  s.runs("b", 4);
  s.runs("a", 4, 5);
  EXPECT_FALSE(asked(s, s.waits("a", 1, 5), at(1h)).plan.has_value());
}

TEST(PreemptionQuota, queue_takes_back_what_was_borrowed_where_only_quota_is_short) {
  Quotas s(100, 6, 2);
  for (int i = 0; i < 4; ++i) s.runs("b", 2);
  const JobId id = s.waits("a", 6);
  const EvictionAnswer answer = asked(s, id, at(1h));
  EXPECT_EQ(victims_of(answer).size(), 3u) << "its own quota is there for it, though its share will be the larger one";
  EXPECT_EQ(answer.plan->claim.nodes, tasks_on({{0, 1}}));
}

TEST(PreemptionQuota, queue_that_would_pass_its_own_quota_takes_back_by_shares_alone) {
  Quotas s(8, 2, 2);
  for (int i = 0; i < 4; ++i) s.runs("b", 1);
  EXPECT_EQ(victims_of(asked(s, s.waits("a", 2), at(1h))).size(), 2u);
  const EvictionAnswer refused = asked(s, s.waits("a", 3), at(1h));
  EXPECT_FALSE(refused.plan.has_value());
}

TEST(PreemptionQuota, victims_of_the_queue_end_with_its_own_quota) {
  Quotas s(8, 6, 2);
  for (int i = 0; i < 4; ++i) s.runs("b", 2);
  const JobId id = s.waits("a", 8, 1);
  const EvictionAnswer answer = asked(s, id, at(1h));
  EXPECT_FALSE(answer.plan.has_value()) << "the last job of b would be taken from its own quota";
  EXPECT_EQ(answer.refusal, Reason::kWaitingForQuota);
}

TEST(PreemptionQuota, claim_counts_against_the_quota_before_its_job_starts) {
  Quotas s(100, 4, 4);
  for (int i = 0; i < 4; ++i) s.runs("b", 2);
  const JobId first = s.waits("a", 4);
  ASSERT_EQ(s.run(at(1h)).preemptions.size(), 1u);
  const JobId second = s.waits("a", 2);
  const Decisions decisions = s.run(at(1h));
  EXPECT_TRUE(decisions.preemptions.empty()) << "job " << first.value << " has all that a could take back";
  EXPECT_TRUE(s.is_pending(second));
}

// --- loops

TEST(PreemptionLoop, victim_that_sorts_before_its_evictor_does_not_get_the_room_back) {
  EightUnits s;
  const JobId id = s.submit({.cores = 4, .queue = "a", .queued_at = at(50min)});
  const std::vector<JobId> victims = s.run(at(1h)).preemptions.at(0).claim.victims;
  for (const JobId victim : victims) leave(s, victim, at(1h));
  const Decisions decisions = s.run(at(1h));
  EXPECT_EQ(started(decisions), std::vector<JobId>{id});
  EXPECT_TRUE(decisions.preemptions.empty());
  const Decisions again = s.run(at(2h));
  EXPECT_TRUE(again.preemptions.empty());
  EXPECT_TRUE(again.starts.empty());
}

TEST(PreemptionLoop, queue_with_the_higher_weighted_share_evicts_nobody) {
  Units s(8);
  s.queue_of("a", 1000);
  s.queue_of("b", 3000);
  s.runs("a", 2);
  for (int i = 0; i < 3; ++i) s.runs("b", 2);
  // With the job a would have 4/8 at weight 1, b without a victim 4/8 at weight 3.
  EXPECT_FALSE(asked(s, s.waits("a", 2), at(1h)).plan.has_value());
}

TEST(PreemptionLoop, room_of_victims_that_leave_one_by_one_waits_for_the_claimant) {
  EightUnits s;
  s.queue_of("c");
  const JobId claimant = s.waits("a", 4);
  const std::vector<JobId> victims = s.run(at(1h)).preemptions.at(0).claim.victims;
  ASSERT_EQ(victims.size(), 2u);
  const JobId small = s.submit({.cores = 2, .queue = "c", .preemptible = false});
  leave(s, victims[0], at(1h + 1s));
  EXPECT_TRUE(s.run(at(1h + 1s)).starts.empty()) << "neither job " << small.value << " nor the victim starts on claimed room";
  leave(s, victims[1], at(1h + 2s));
  const Decisions decisions = s.run(at(1h + 2s));
  EXPECT_EQ(started(decisions), std::vector<JobId>{claimant});
}

TEST(PreemptionLoop, quota_of_victims_that_leave_one_by_one_waits_for_the_claimant) {
  Quotas s(100, 4, 4);
  for (int i = 0; i < 4; ++i) s.runs("b", 2);
  const JobId claimant = s.waits("a", 4);
  const std::vector<JobId> victims = s.run(at(1h)).preemptions.at(0).claim.victims;
  ASSERT_EQ(victims.size(), 2u);
  EXPECT_TRUE(s.run(at(1h)).starts.empty()) << "there are nodes, but the quota is still used";
  const JobId small = s.waits("b", 1);
  leave(s, victims[0], at(1h + 1s));
  EXPECT_TRUE(s.run(at(1h + 1s)).starts.empty()) << "job " << small.value << " would take quota that a has claimed";
  leave(s, victims[1], at(1h + 2s));
  EXPECT_EQ(started(s.run(at(1h + 2s))), std::vector<JobId>{claimant});
}

/// left = {a, c}, right = {b}. c runs four jobs of one unit of which the last may be evicted, b a large one and one of two units.
struct Cousins : Units {
  explicit Cousins(std::int64_t large) : Units(4 + large + 2) {
    queue({.name = "left"});
    queue({.name = "right"});
    queue(preempting({.name = "a", .parent = "left"}));
    queue(preempting({.name = "c", .parent = "left"}));
    queue(preempting({.name = "b", .parent = "right"}));
    for (int i = 0; i < 3; ++i) runs("c", 1);
    for (const JobId id : running()) state.cluster.find_mutable(id)->job.preemptible = false;
    runs("c", 1);
    runs("b", large);
    runs("b", 2);
  }
};

TEST(PreemptionLoop, victims_that_are_lawful_only_beside_one_that_is_not_needed_stay) {
  Cousins s(5);
  // When c gives one unit too, left has 5 of 11 and right 5; without that left has 6, yet b's two units alone are room enough.
  const EvictionAnswer answer = asked(s, s.waits("a", 2), at(1h));
  EXPECT_FALSE(answer.plan.has_value());
  EXPECT_EQ(answer.refusal, Reason::kExceedsFairShare);
}

TEST(PreemptionLoop, victims_of_both_sides_leave_when_both_are_needed) {
  Cousins s(6);
  EXPECT_EQ(victims_of(asked(s, s.waits("a", 3), at(1h))).size(), 2u);
}

TEST(PreemptionLoop, queue_of_weight_zero_gives_way_and_takes_from_no_queue_that_has_weight) {
  Units s(8);
  s.queue_of("none", 0);
  s.queue_of("some", 1000);
  for (int i = 0; i < 4; ++i) s.runs("none", 2);
  EXPECT_EQ(victims_of(asked(s, s.waits("some", 8), at(1h))).size(), 4u);

  Units t(8);
  t.queue_of("none", 0);
  t.queue_of("some", 1000);
  for (int i = 0; i < 4; ++i) t.runs("some", 2);
  EXPECT_FALSE(asked(t, t.waits("none", 2), at(1h)).plan.has_value());
}

TEST(PreemptionLoop, queues_of_weight_zero_share_as_equals) {
  Units s(8);
  s.queue_of("a", 0);
  s.queue_of("b", 0);
  for (int i = 0; i < 4; ++i) s.runs("b", 2);
  EXPECT_EQ(victims_of(asked(s, s.waits("a", 4), at(1h))).size(), 2u);
  EXPECT_FALSE(asked(s, s.waits("a", 6), at(1h)).plan.has_value());
}

TEST(PreemptionLoop, job_that_was_evicted_as_often_as_allowed_runs_to_its_end) {
  Units s(2);
  s.queue_of("a");
  const JobId low = s.submit({.cores = 2, .queue = "a"});
  int evictions = 0;
  for (int round = 0; round < 100; ++round) {
    const TimePoint now = at(std::chrono::hours(round));
    s.run(now);
    const JobId high = s.submit({.cores = 2, .queue = "a", .tier = 1});
    s.run(now + 1min);
    if (const RunningJob* running = s.state.cluster.find(low); running != nullptr && running->stopping) {
      ++evictions;
      leave(s, low, now + 2min);
      s.run(now + 2min);
    }
    if (s.is_running(high)) {
      s.end(high, now + 3min);
    } else {
      s.state.withdraw(high);
    }
  }
  EXPECT_EQ(evictions, 3);
  EXPECT_TRUE(s.is_running(low));
}

TEST(PreemptionLoop, job_is_evicted_once_in_an_epoch) {
  Units s(2);
  s.queue_of("a");
  const JobId low = s.runs("a", 2);
  const JobId high = s.waits("a", 2, 1);
  RunningJob& running = *s.state.cluster.find_mutable(low);
  running.job.evicted_in_epoch = s.state.queue.epoch;
  EXPECT_FALSE(asked(s, high, at(1h)).plan.has_value());
  s.state.touch();
  EXPECT_TRUE(asked(s, high, at(1h)).plan.has_value());
}

TEST(PreemptionLoop, victim_does_not_evict_the_job_that_it_left_for) {
  Units s(2);
  s.queue_of("a");
  const JobId evictor = s.runs("a", 2);
  const JobId victim = s.waits("a", 2, 1);
  JobSnapshot& waiting = *s.state.queue.find_mutable(victim);
  waiting.evicted_in_epoch = s.state.queue.epoch;
  waiting.evicted_for = evictor;
  EXPECT_FALSE(asked(s, victim, at(1h)).plan.has_value());
  s.state.touch();
  EXPECT_TRUE(asked(s, victim, at(1h)).plan.has_value()) << "after an outside event the state is a new one";
}

TEST(PreemptionLoop, victim_that_takes_all_its_grace_keeps_only_its_claimant_waiting) {
  EightUnits s;
  s.node("m", {.cores = 2});
  s.run(at(0s));
  const JobId claimant = s.waits("a", 4);
  ASSERT_EQ(s.run(at(1h)).preemptions.size(), 1u);
  const JobId other = s.waits("b", 2);
  EXPECT_EQ(started(s.run(at(1h + 1s))), std::vector<JobId>{other});
  EXPECT_TRUE(s.is_pending(claimant));
}

}  // namespace
}  // namespace trainyard::sched
