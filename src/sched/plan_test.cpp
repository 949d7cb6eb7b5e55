#include "sched/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/rng.h"

namespace trainyard::sched {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kNow = time_from_micros(1'000'000'000);

NodeSnapshot node(const std::string& name, std::int64_t cores, std::int64_t used = 0, bool ready = true) {
  return {{name}, {cores * 1000, cores << 30, 0}, {used * 1000, used << 30, 0}, ready};
}

PendingJob job(std::uint64_t id, std::int64_t cores, std::int64_t tasks = 1, Duration queued = 0s, Duration eligible = 0s) {
  return {JobId(id), {cores * 1000, cores << 30, 0}, tasks, kNow + eligible, kNow + queued};
}

std::vector<std::uint64_t> started(const Decisions& decisions) {
  std::vector<std::uint64_t> ids;
  for (const Start& start : decisions.starts) ids.push_back(start.job.value);
  return ids;
}

std::map<std::uint64_t, std::string> waiting(const Decisions& decisions) {
  std::map<std::uint64_t, std::string> codes;
  for (const WaitReason& wait : decisions.waits) codes[wait.job.value] = wait.code;
  return codes;
}

using Ids = std::vector<std::uint64_t>;
using Codes = std::map<std::uint64_t, std::string>;

TEST(Plan, jobs_start_in_the_order_they_were_queued_ties_by_id) {
  const Decisions decisions = plan({{node("a", 8)}}, {{job(3, 1, 1, 1s), job(2, 1, 1, 2s), job(4, 1, 1, 1s), job(1, 1, 1, 3s)}}, kNow);
  EXPECT_EQ(started(decisions), (Ids{3, 4, 2, 1}));
  EXPECT_TRUE(decisions.waits.empty());
  EXPECT_FALSE(decisions.wake_at.has_value());
}

TEST(Plan, job_that_does_not_fit_blocks_all_behind_it) {
  const Decisions decisions = plan({{node("a", 4)}}, {{job(1, 2), job(2, 3), job(3, 1)}}, kNow);
  EXPECT_EQ(started(decisions), (Ids{1}));
  EXPECT_EQ(waiting(decisions), (Codes{{2, "WaitingForResources"}, {3, "BehindInQueue"}}));
  EXPECT_NE(decisions.waits[1].text.find("job 2"), std::string::npos) << decisions.waits[1].text;
}

TEST(Plan, gang_starts_whole_or_not_at_all) {
  const ClusterSnapshot cluster{{node("a", 2), node("b", 2)}};
  EXPECT_EQ(started(plan(cluster, {{job(1, 1, 4)}}, kNow)), (Ids{1}));
  const Decisions too_many = plan(cluster, {{job(1, 1, 5)}}, kNow);
  EXPECT_TRUE(too_many.starts.empty());
  EXPECT_EQ(waiting(too_many), (Codes{{1, "ImpossibleResources"}}));
  const Decisions fragmented = plan({{node("a", 3), node("b", 3)}}, {{job(1, 2, 3)}}, kNow);
  EXPECT_TRUE(fragmented.starts.empty());
}

TEST(Plan, gang_that_does_not_fit_reserves_nothing) {
  const Decisions decisions = plan({{node("a", 2)}}, {{job(1, 1, 3, 0s, 10s), job(2, 2)}}, kNow);
  EXPECT_EQ(started(decisions), (Ids{2}));
}

TEST(Plan, ranks_go_to_the_fullest_node_that_fits_ties_by_name) {
  const Decisions decisions = plan({{node("c", 4), node("b", 4, 2), node("a", 4, 2)}}, {{job(1, 1, 5)}}, kNow);
  ASSERT_EQ(decisions.starts.size(), 1u);
  EXPECT_EQ(decisions.starts[0].nodes, (std::vector<NodeName>{{"a"}, {"a"}, {"b"}, {"b"}, {"c"}}));
}

TEST(Plan, node_that_is_not_ready_takes_nothing) {
  const Decisions decisions = plan({{node("a", 4, 0, false), node("b", 1)}}, {{job(1, 1), job(2, 1)}}, kNow);
  ASSERT_EQ(started(decisions), (Ids{1}));
  EXPECT_EQ(decisions.starts[0].nodes[0].text, "b");
  EXPECT_EQ(waiting(plan({{node("a", 4, 0, false)}}, {{job(1, 1), job(2, 1)}}, kNow)), (Codes{{1, "NoNodes"}, {2, "NoNodes"}}));
  EXPECT_EQ(waiting(plan({}, {{job(1, 1)}}, kNow)), (Codes{{1, "NoNodes"}}));
}

TEST(Plan, job_in_backoff_waits_without_blocking_and_sets_the_wake_time) {
  const Decisions decisions = plan({{node("a", 4)}}, {{job(1, 1, 1, 0s, 30s), job(2, 1, 1, 1s, 10s), job(3, 1, 1, 2s)}}, kNow);
  EXPECT_EQ(started(decisions), (Ids{3}));
  EXPECT_EQ(waiting(decisions), (Codes{{1, "Backoff"}, {2, "Backoff"}}));
  EXPECT_EQ(decisions.wake_at, kNow + 10s);
}

TEST(Plan, job_whose_backoff_ends_now_starts) { EXPECT_EQ(started(plan({{node("a", 4)}}, {{job(1, 1, 1, 0s, 0s)}}, kNow)), (Ids{1})); }

TEST(Plan, every_resource_gates) {
  const ClusterSnapshot cluster{{{{"a"}, {4000, 4LL << 30, 1000}, {}, true}}};
  const auto fits = [&](Resources request) { return !plan(cluster, {{{JobId(1), request, 1, kNow, kNow}}}, kNow).starts.empty(); };
  EXPECT_TRUE(fits({4000, 4LL << 30, 1000}));
  EXPECT_FALSE(fits({4001, 1, 0}));
  EXPECT_FALSE(fits({1, (4LL << 30) + 1, 0}));
  EXPECT_FALSE(fits({1, 1, 1001}));
}

TEST(Plan, shortage_is_told_with_numbers) {
  const Decisions decisions = plan({{node("a", 4, 3)}}, {{job(7, 2, 2)}}, kNow);
  ASSERT_EQ(decisions.waits.size(), 1u);
  EXPECT_EQ(decisions.waits[0].text, "needs 2 x (2 cpu, 2GiB), free on 1 nodes: 1 cpu, 1GiB");
}

TEST(Plan, job_that_no_node_can_ever_hold_says_so) {
  const Decisions decisions = plan({{node("a", 4)}}, {{job(1, 5, 1), job(2, 1, 1, 1s)}}, kNow);
  EXPECT_EQ(waiting(decisions), (Codes{{1, "ImpossibleResources"}, {2, "BehindInQueue"}}));
  EXPECT_NE(decisions.waits[0].text.find("needs 1 x (5 cpu"), std::string::npos) << decisions.waits[0].text;
}

TEST(CouldEverFit, capacity_counts_whatever_is_used_or_not_ready) {
  const ClusterSnapshot cluster{{node("a", 4, 4), node("b", 4, 0, false)}};
  EXPECT_TRUE(could_ever_fit(cluster, {4000, 1, 0}, 2));
  EXPECT_FALSE(could_ever_fit(cluster, {4000, 1, 0}, 3));
  EXPECT_FALSE(could_ever_fit(cluster, {4001, 1, 0}, 1));
  EXPECT_TRUE(could_ever_fit({}, {1'000'000, 1, 0}, 100));
}

struct RandomInput {
  ClusterSnapshot cluster;
  QueueSnapshot queue;
};

RandomInput random_input(Rng& rng) {
  RandomInput input;
  for (std::uint64_t i = rng.below(6); i > 0; --i) {
    const auto cores = static_cast<std::int64_t>(1 + rng.below(8));
    const auto used = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(cores) + 2));
    const std::string name = "n" + std::to_string(rng.below(100)) + "-" + std::to_string(i);
    input.cluster.nodes.push_back(node(name, cores, used, rng.below(5) != 0));
  }
  for (std::uint64_t id = 1 + rng.below(12); id > 0; --id) {
    input.queue.pending.push_back(job(id, static_cast<std::int64_t>(rng.below(5)), static_cast<std::int64_t>(1 + rng.below(5)),
                                      std::chrono::seconds(rng.below(3)), std::chrono::seconds(rng.below(3) == 0 ? rng.below(5) : 0)));
  }
  return input;
}

/// What holds for every plan, whatever went in.
void expect_sound(const RandomInput& input, const Decisions& decisions) {
  std::map<NodeName, Resources> free;
  for (const NodeSnapshot& n : input.cluster.nodes) {
    if (n.ready) free[n.name] = n.capacity - n.used;
  }
  std::map<JobId, PendingJob> pending;
  for (const PendingJob& p : input.queue.pending) pending.emplace(p.id, p);

  std::set<JobId> decided;
  std::optional<std::pair<TimePoint, JobId>> last_start;
  for (const Start& start : decisions.starts) {
    const PendingJob& p = pending.at(start.job);
    EXPECT_TRUE(decided.insert(start.job).second) << "job " << start.job.value << " was decided twice";
    EXPECT_LE(p.eligible_at, kNow);
    ASSERT_EQ(start.nodes.size(), static_cast<std::size_t>(p.tasks));
    const std::pair<TimePoint, JobId> place{p.queued_at, p.id};
    EXPECT_TRUE(!last_start || *last_start < place) << "job " << start.job.value << " started out of order";
    last_start = place;
    for (const NodeName& name : start.nodes) {
      ASSERT_TRUE(free.contains(name)) << name.text;
      EXPECT_TRUE(p.request.fits_in(free[name])) << "job " << start.job.value << " oversubscribes " << name.text;
      free[name] -= p.request;
    }
  }
  std::optional<TimePoint> wake;
  for (const WaitReason& wait : decisions.waits) {
    EXPECT_TRUE(decided.insert(wait.job).second) << "job " << wait.job.value << " both starts and waits";
    const PendingJob& p = pending.at(wait.job);
    EXPECT_EQ(wait.code == "Backoff", p.eligible_at > kNow);
    if (wait.code == "Backoff") wake = wake ? std::min(*wake, p.eligible_at) : p.eligible_at;
    const bool behind_a_start = last_start && *last_start > std::pair(p.queued_at, p.id);
    EXPECT_TRUE(wait.code == "Backoff" || !behind_a_start) << "job " << wait.job.value << " was overtaken";
  }
  EXPECT_EQ(decided.size(), pending.size()) << "a job was neither started nor told why it waits";
  EXPECT_EQ(decisions.wake_at, wake);
}

TEST(Plan, random_plans_never_oversubscribe_split_a_gang_overtake_or_forget) {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRng rng(seed);
    const RandomInput input = random_input(rng);
    expect_sound(input, plan(input.cluster, input.queue, kNow));
    if (HasFailure()) return;
  }
}

TEST(Plan, order_of_the_input_does_not_matter) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SeededRng rng(seed);
    RandomInput input = random_input(rng);
    const Decisions first = plan(input.cluster, input.queue, kNow);
    std::vector<PendingJob>& pending = input.queue.pending;
    for (std::size_t i = pending.size(); i > 1; --i) std::swap(pending[i - 1], pending[rng.below(i)]);
    std::reverse(input.cluster.nodes.begin(), input.cluster.nodes.end());
    const Decisions second = plan(input.cluster, input.queue, kNow);
    ASSERT_EQ(started(first), started(second)) << "seed " << seed;
    for (std::size_t i = 0; i < first.starts.size(); ++i) ASSERT_EQ(first.starts[i].nodes, second.starts[i].nodes) << "seed " << seed;
    ASSERT_EQ(waiting(first), waiting(second)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace trainyard::sched
