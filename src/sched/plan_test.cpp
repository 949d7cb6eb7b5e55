#include "sched/plan.h"

#include <gtest/gtest.h>

#include "sched/testing/checks.h"
#include "sched/testing/scenario.h"

namespace trainyard::sched::testing {
namespace {

using namespace std::chrono_literals;

using Ids = std::vector<JobId>;
using Hosts = std::vector<NodeIndex>;

/// One node of 4 cores and one job of 4 cores on it until `walltime`.
JobId busy_node(Scenario& s, Duration walltime = kForever) {
  const NodeIndex node = s.node("busy", {.cores = 4});
  return s.running_on({.cores = 4, .walltime = walltime}, tasks_on({{node, 1}}), at(0s));
}

TEST(Plan, jobs_start_in_the_order_they_were_queued_ties_by_arrival) {
  Scenario s;
  s.node("a", {.cores = 8});
  const JobId second = s.submit({.queued_at = at(1s)});
  const JobId fourth = s.submit({.queued_at = at(3s)});
  const JobId first = s.submit({.queued_at = at(0s)});
  const JobId third = s.submit({.queued_at = at(1s)});
  const Decisions decisions = s.run(at(5s));
  EXPECT_EQ(started(decisions), (Ids{first, second, third, fourth}));
  EXPECT_TRUE(decisions.waits.empty());
  EXPECT_FALSE(decisions.wake_at.has_value());
}

TEST(Plan, higher_tier_comes_first_whatever_its_age) {
  Scenario s;
  s.node("a", {.cores = 1});
  s.submit({.queued_at = at(0s)});
  const JobId urgent = s.submit({.tier = 1, .queued_at = at(9s)});
  EXPECT_EQ(started(s.run(at(9s))), (Ids{urgent}));
}

TEST(Plan, requeued_job_keeps_its_place) {
  Scenario s;
  s.node("a", {.cores = 1});
  const JobId first = s.submit({.queued_at = at(0s)});
  s.submit({.queued_at = at(1s)});
  s.run(at(1s));
  s.state.requeue(s.end(first, at(2s), true), at(2s));
  EXPECT_EQ(started(s.run(at(2s))), (Ids{first}));
}

TEST(Plan, empty_state_decides_nothing) {
  Scenario s;
  EXPECT_EQ(s.planned(at(0s)), Decisions{});
  s.node("a", {.cores = 4});
  EXPECT_EQ(s.planned(at(0s)), Decisions{});
}

TEST(Plan, order_of_submission_calls_does_not_matter) {
  const auto decisions_of = [](bool reversed) {
    Scenario s;
    s.nodes(3, {.cores = 4});
    std::vector<JobSnapshot> jobs;
    for (int i = 0; i < 9; ++i) jobs.push_back(s.job_of({.cores = 1 + i % 3, .tasks = 1 + i % 2, .walltime = 10s * (1 + i)}));
    for (std::size_t i = 0; i < jobs.size(); ++i) jobs[i].seq = i + 1;
    if (reversed) std::reverse(jobs.begin(), jobs.end());
    for (JobSnapshot& job : jobs) s.state.submit(std::move(job));
    return s.planned(at(0s));
  };
  EXPECT_FALSE(decisions_of(false).starts.empty());
  EXPECT_EQ(decisions_of(false), decisions_of(true));
}

// --- fit

TEST(Plan, every_resource_gates) {
  const auto fits = [](const JobSpec& spec) {
    Scenario s;
    s.node("a", {.cores = 4, .memory_gib = 4, .gpus = 1, .extended = {{"licence", 2}}});
    s.submit(spec);
    return !s.planned(at(0s)).starts.empty();
  };
  EXPECT_TRUE(fits({.cores = 4, .memory_gib = 4, .gpus = 1, .extended = {{"licence", 2}}}));
  EXPECT_FALSE(fits({.cores = 4, .milli_cores = 1}));
  EXPECT_FALSE(fits({.memory_gib = 4, .memory_bytes = 1}));
  EXPECT_FALSE(fits({.gpus = 2}));
  EXPECT_FALSE(fits({.extended = {{"licence", 3}}}));
  EXPECT_FALSE(fits({.extended = {{"other", 1}}}));
}

TEST(Plan, zero_request_of_an_overcommitted_resource_does_not_gate) {
  Scenario s;
  const NodeIndex node = s.node("a", {.cores = 4, .memory_gib = 8});
  s.running_on({.cores = 1, .memory_gib = 8}, tasks_on({{node, 1}}), at(0s));
  NodeInfo smaller = *s.state.cluster.node(node).info;
  smaller.capacity[kMemory] /= 2;
  s.state.cluster.replace_node(node, smaller);
  const JobId without = s.submit({.cores = 1});
  s.submit({.cores = 1, .memory_bytes = 1});
  EXPECT_EQ(started(s.planned(at(1s))), (Ids{without}));
}

TEST(Plan, share_of_a_device_needs_it_free_on_one_device) {
  Scenario s;
  const NodeIndex node = s.node("a", {.cores = 8, .gpus = 2});
  s.running_on({.gpus = 1, .gpu_milli = 400}, {{.node = node, .tasks = 1, .devices = 1}}, at(0s));
  s.running_on({.gpus = 1, .gpu_milli = 600}, {{.node = node, .tasks = 1, .devices = 2}}, at(0s));
  const JobId too_large = s.submit({.gpus = 1, .gpu_milli = 700});
  EXPECT_TRUE(s.planned(at(0s)).starts.empty());
  s.state.withdraw(too_large);
  const JobId fitting = s.submit({.gpus = 1, .gpu_milli = 600});
  s.run(at(1s));
  ASSERT_TRUE(s.is_running(fitting));
  EXPECT_EQ(s.state.cluster.find(fitting)->nodes, (Placement{{.node = node, .tasks = 1, .devices = 1}}));
}

TEST(Plan, whole_devices_are_never_taken_in_part) {
  Scenario s;
  const NodeIndex node = s.node("a", {.cores = 8, .gpus = 3});
  s.running_on({.gpus = 1, .gpu_milli = 100}, {{.node = node, .tasks = 1, .devices = 2}}, at(0s));
  const JobId three = s.submit({.gpus = 3});
  EXPECT_TRUE(s.planned(at(0s)).starts.empty());
  s.state.withdraw(three);
  const JobId two = s.submit({.gpus = 2});
  s.run(at(1s));
  ASSERT_TRUE(s.is_running(two));
  EXPECT_EQ(s.state.cluster.find(two)->nodes, (Placement{{.node = node, .tasks = 1, .devices = 5}}));
}

TEST(Plan, node_that_is_not_usable_takes_nothing_and_keeps_what_it_has) {
  Scenario s;
  const NodeIndex lost = s.node("lost", {.cores = 4});
  const NodeIndex drained = s.node("drained", {.cores = 4});
  const NodeIndex up = s.node("up", {.cores = 1});
  const JobId there = s.running_on({.cores = 1}, tasks_on({{drained, 1}}), at(0s));
  s.state.cluster.set_ready(lost, false);
  s.state.cluster.set_drained(drained, true);
  const JobId first = s.submit({});
  const JobId second = s.submit({});
  const Decisions decisions = s.run(at(1s));
  EXPECT_EQ(started(decisions), (Ids{first}));
  EXPECT_EQ(s.hosts(first), (Hosts{up}));
  EXPECT_TRUE(s.is_running(there));
  s.state.cluster.set_drained(drained, false);
  s.run(at(2s));
  EXPECT_EQ(s.hosts(second), (Hosts{drained}));
}

TEST(Plan, first_fit_takes_the_lowest_nodes) {
  Scenario s = Scenario::of_hosts(5, "strict_fifo");
  s.running_on({}, tasks_on({{1, 1}}), at(0s));
  const JobId gang = s.submit({.tasks = 3});
  s.run(at(0s));
  EXPECT_EQ(s.hosts(gang), (Hosts{0, 2, 3}));
}

TEST(Plan, constraints_keep_a_job_where_it_may_be) {
  Scenario s;
  s.node("plain", {.cores = 8});
  const NodeIndex labelled = s.node("labelled", {.cores = 8, .labels = {{"zone", "a"}}});
  const NodeIndex tainted = s.node("tainted", {.cores = 8, .labels = {{"zone", "b"}}, .taints = {"spot"}});
  const NodeIndex other = s.node("other", {.cores = 8, .gpus = 1, .gpu_model = "h200", .pool = "gpu"});
  const auto host_of = [&s](const Constraints& constraints) -> std::optional<NodeIndex> {
    Scenario fork = s;
    const JobId job = fork.submit({.constraints = constraints});
    fork.run(at(0s));
    return fork.is_running(job) ? std::optional(fork.hosts(job).front()) : std::nullopt;
  };
  using Op = LabelRule::Op;
  EXPECT_EQ(host_of({.required = {{.key = "zone", .op = Op::kIn, .values = {"a", "c"}}}}), labelled);
  EXPECT_EQ(host_of({.required = {{.key = "zone", .op = Op::kExists}}}), labelled);
  EXPECT_EQ(host_of({.required = {{.key = "zone", .op = Op::kIn, .values = {"b"}}}}), std::nullopt);
  EXPECT_EQ(host_of({.required = {{.key = "zone", .op = Op::kIn, .values = {"b"}}}, .tolerations = {"spot"}}), tainted);
  EXPECT_EQ(host_of({.required = {{.key = "zone", .op = Op::kNotIn, .values = {"a"}}}}), NodeIndex{0});
  EXPECT_EQ(host_of({.pool = "gpu"}), other);
  EXPECT_EQ(host_of({.gpu_models = {"a100", "h200"}}), other);
}

TEST(Plan, tasks_per_node_limit_spreads_a_gang) {
  Scenario s;
  s.nodes(3, {.cores = 8});
  const JobId spread = s.submit({.tasks = 4, .constraints = {.tasks_per_node_max = 2}});
  const JobId too_many = s.submit({.tasks = 4, .constraints = {.tasks_per_node_max = 1}});
  s.run(at(0s));
  EXPECT_EQ(s.hosts(spread), (Hosts{0, 0, 1, 1}));
  EXPECT_FALSE(s.is_running(too_many));
}

TEST(Plan, gang_that_must_stay_in_one_rack_does_not_use_two) {
  Scenario s;
  s.nodes(2, {.cores = 1, .rack = "r0"});
  s.nodes(3, {.cores = 1, .rack = "r1"});
  const Constraints one_rack{.within = TopologyLevel::kRack};
  const JobId three = s.submit({.tasks = 3, .constraints = one_rack});
  const JobId four = s.submit({.tasks = 4, .constraints = one_rack});
  const Decisions decisions = s.run(at(0s));
  EXPECT_EQ(s.hosts(three), (Hosts{2, 3, 4}));
  EXPECT_FALSE(s.is_running(four));
}

// --- gangs

TEST(Plan, gang_starts_whole_or_not_at_all) {
  const auto starts_gang = [](std::int32_t tasks, std::int64_t cores_of_task) {
    Scenario s;
    s.nodes(2, {.cores = 3});
    const JobId gang = s.submit({.cores = cores_of_task, .tasks = tasks});
    s.run(at(0s));
    return s.is_running(gang) && task_count(s.state.cluster.find(gang)->nodes) == tasks;
  };
  EXPECT_TRUE(starts_gang(6, 1));
  EXPECT_FALSE(starts_gang(7, 1));
  EXPECT_TRUE(starts_gang(2, 2));
  EXPECT_FALSE(starts_gang(3, 2)) << "6 cores are free, but no node has room for two tasks";
}

TEST(Plan, two_gangs_never_hold_half_of_the_cluster_each) {
  Scenario s = Scenario::of_hosts(4, "easy");
  s.running_on({}, tasks_on({{0, 1}}), at(0s));
  s.submit({.tasks = 4, .walltime = 10s});
  s.submit({.tasks = 4, .walltime = 10s});
  const Decisions decisions = s.run(at(0s));
  EXPECT_TRUE(decisions.starts.empty());
  EXPECT_EQ(s.state.cluster.used()[kCpu], 1000);
}

TEST(Plan, gang_that_cannot_start_yet_reserves_nothing_under_strict_fifo) {
  Scenario s;
  s.node("a", {.cores = 2});
  s.submit({.tasks = 3, .eligible_at = at(10s)});
  const JobId other = s.submit({.cores = 2});
  EXPECT_EQ(started(s.planned(at(0s))), (Ids{other}));
}

TEST(Plan, elastic_gang_starts_with_its_smallest_size_when_no_more_fits) {
  Scenario s = Scenario::of_hosts(4, "strict_fifo");
  s.running_on({.tasks = 2}, tasks_on({{0, 1}, {1, 1}}), at(0s));
  const JobId gang = s.submit({.tasks = 4, .tasks_min = 2, .walltime = 10s});
  s.run(at(0s));
  ASSERT_TRUE(s.is_running(gang));
  EXPECT_EQ(s.hosts(gang), (Hosts{2, 3}));
}

TEST(Plan, elastic_gang_below_its_smallest_size_waits) {
  Scenario s = Scenario::of_hosts(4, "strict_fifo");
  s.running_on({.tasks = 3}, tasks_on({{0, 1}, {1, 1}, {2, 1}}), at(0s));
  const JobId gang = s.submit({.tasks = 4, .tasks_min = 2, .walltime = 10s});
  s.run(at(0s));
  EXPECT_FALSE(s.is_running(gang));
}

TEST(Plan, elastic_gang_grows_into_room_that_nobody_waits_for) {
  Scenario s = Scenario::of_hosts(4, "easy");
  const JobId before = s.running_on({.tasks = 2, .walltime = 20s}, tasks_on({{0, 1}, {1, 1}}), at(0s));
  const JobId gang = s.submit({.tasks = 4, .tasks_min = 2, .walltime = 60s});
  s.run(at(0s));
  ASSERT_TRUE(s.is_running(gang));
  s.end(before, at(5s));
  s.run(at(5s));
  s.run(at(6s));
  EXPECT_EQ(s.hosts(gang), (Hosts{0, 1, 2, 3}));
}

TEST(Plan, elastic_gang_does_not_grow_into_room_that_is_reserved) {
  Scenario s = Scenario::of_hosts(4, "easy");
  const JobId before = s.running_on({.tasks = 1, .walltime = 20s}, tasks_on({{0, 1}}), at(0s));
  s.running_on({.tasks = 1, .walltime = 30s}, tasks_on({{1, 1}}), at(0s));
  const JobId gang = s.submit({.tasks = 4, .tasks_min = 2, .walltime = 60s});
  s.run(at(0s));
  ASSERT_TRUE(s.is_running(gang));
  const JobId reserved = s.submit({.tasks = 2, .walltime = 10s});
  s.run(at(1s));
  s.end(before, at(5s));
  const Decisions decisions = s.run(at(5s));
  EXPECT_EQ(s.hosts(gang), (Hosts{2, 3}));
  EXPECT_EQ(s.waiting(reserved).reservation->start, at(30s));
}

// --- gates and reasons

TEST(Plan, job_in_backoff_waits_without_blocking_and_sets_the_wake_up) {
  Scenario s;
  s.node("a", {.cores = 4});
  const JobId later = s.submit({.eligible_at = at(30s)});
  const JobId sooner = s.submit({.eligible_at = at(10s)});
  const JobId now = s.submit({});
  const Decisions decisions = s.planned(at(0s));
  EXPECT_EQ(started(decisions), (Ids{now}));
  EXPECT_EQ(reason_of(decisions, s.state.queue, later), Reason::kBackoff);
  EXPECT_EQ(reason_of(decisions, s.state.queue, sooner), Reason::kBackoff);
  EXPECT_EQ(decisions.wake_at, at(10s));
  EXPECT_EQ(started(s.planned(at(10s))), (Ids{sooner, now}));
}

TEST(Plan, held_job_and_job_with_open_dependencies_wait_without_blocking) {
  Scenario s;
  s.node("a", {.cores = 4});
  const JobId held = s.submit({.cores = 4, .held = true});
  const JobId dependent = s.submit({.cores = 4, .waits_for = {held}});
  const JobId both = s.submit({.cores = 4, .held = true, .waits_for = {held}});
  const JobId free = s.submit({});
  const Decisions decisions = s.planned(at(0s));
  EXPECT_EQ(started(decisions), (Ids{free}));
  EXPECT_EQ(reason_of(decisions, s.state.queue, held), Reason::kSuspended);
  EXPECT_EQ(reason_of(decisions, s.state.queue, dependent), Reason::kDependencyNotMet);
  EXPECT_EQ(reason_of(decisions, s.state.queue, both), Reason::kSuspended);
}

TEST(Plan, stopped_queue_starts_nothing_and_a_draining_one_finishes_what_it_has) {
  Scenario s;
  s.node("a", {.cores = 4});
  s.queue({.name = "stopped", .state = QueueSettings::State::kStopped});
  const JobId stopped = s.submit({});
  s.queue({.name = "draining", .state = QueueSettings::State::kDraining});
  const JobId draining = s.submit({});
  const Decisions decisions = s.planned(at(0s));
  EXPECT_EQ(started(decisions), (Ids{draining}));
  EXPECT_EQ(reason_of(decisions, s.state.queue, stopped), Reason::kSuspended);
}

TEST(Plan, cluster_without_nodes_tells_every_job_so) {
  Scenario s;
  const JobId first = s.submit({});
  const JobId second = s.submit({});
  const Decisions decisions = s.planned(at(0s));
  EXPECT_EQ(reason_of(decisions, s.state.queue, first), Reason::kNoWorkerForQueue);
  EXPECT_EQ(reason_of(decisions, s.state.queue, second), Reason::kNoWorkerForQueue);
}

TEST(Plan, job_without_a_node_of_its_class_says_so) {
  Scenario s;
  s.node("a", {.cores = 4});
  const JobId labelled = s.submit({.constraints = {.required = {{.key = "zone", .op = LabelRule::Op::kExists}}}});
  EXPECT_EQ(reason_of(s.planned(at(0s)), s.state.queue, labelled), Reason::kNoMatchingNodeClass);
}

TEST(Plan, shortage_is_told_with_the_number_of_tasks) {
  Scenario s;
  s.nodes(3, {.cores = 2});
  s.running_on({.cores = 2}, tasks_on({{0, 1}}), at(0s));
  const JobId gang = s.submit({.cores = 2, .tasks = 3});
  const Decisions decisions = s.planned(at(0s));
  ASSERT_EQ(decisions.waits.size(), 1u);
  EXPECT_EQ(decisions.waits[0].job, gang);
  EXPECT_EQ(decisions.waits[0].reason, Reason::kWaitingForResources);
  EXPECT_EQ(decisions.waits[0].needed, 3);
  EXPECT_EQ(decisions.waits[0].available, 2);
}

TEST(Plan, jobs_behind_a_blocked_head_are_told_who_blocks_them) {
  Scenario s;
  busy_node(s);
  const JobId head = s.submit({});
  const JobId behind = s.submit({});
  const Decisions decisions = s.planned(at(0s));
  EXPECT_EQ(reason_of(decisions, s.state.queue, head), Reason::kWaitingForResources);
  EXPECT_EQ(reason_of(decisions, s.state.queue, behind), Reason::kWaitingForResources);
  ASSERT_EQ(decisions.queue_waits.size(), 1u);
  EXPECT_EQ(decisions.queue_waits[0].blocker, head);
}

TEST(Plan, limits_of_running_jobs_hold_per_queue_and_user) {
  Scenario s;
  s.node("a", {.cores = 16});
  s.queue({.name = "few", .running_jobs_max = 3, .running_jobs_per_user_max = 2});
  for (const char* user : {"ann", "ann", "ann", "bob", "bob"}) s.submit({.queue = "few", .user = user});
  s.run(at(0s));
  EXPECT_TRUE(s.is_running(JobId(1)) && s.is_running(JobId(2)));
  EXPECT_FALSE(s.is_running(JobId(3)));
  s.end(JobId(1), at(1s));
  s.run(at(1s));
  EXPECT_EQ(s.running(), (Ids{JobId(2), JobId(3), JobId(4)}));
  EXPECT_EQ(check_pass({.before = s.state, .decisions = s.planned(at(2s)), .now = at(2s)}), std::nullopt);
}

// --- can it ever fit

TEST(CouldEverFit, configured_capacity_counts_whatever_is_used_or_down) {
  Scenario s;
  const NodeIndex a = s.node("a", {.cores = 4});
  const NodeIndex b = s.node("b", {.cores = 4});
  s.running_on({.cores = 4}, tasks_on({{a, 1}}), at(0s));
  s.state.cluster.set_ready(b, false);
  EXPECT_TRUE(could_ever_fit(s.state.cluster, s.job_of({.cores = 4, .tasks = 2})));
  EXPECT_FALSE(could_ever_fit(s.state.cluster, s.job_of({.cores = 4, .tasks = 3})));
  EXPECT_FALSE(could_ever_fit(s.state.cluster, s.job_of({.cores = 4, .milli_cores = 1})));
  EXPECT_FALSE(could_ever_fit(s.state.cluster, s.job_of({.gpus = 1})));
  EXPECT_TRUE(could_ever_fit(s.state.cluster, s.job_of({.cores = 4, .tasks = 3, .tasks_min = 2})));
  EXPECT_FALSE(could_ever_fit(s.state.cluster, s.job_of({.constraints = {.pool = "other"}})));
}

TEST(CouldEverFit, cluster_without_nodes_accepts_everything) {
  Scenario s;
  EXPECT_TRUE(could_ever_fit(s.state.cluster, s.job_of({.cores = 1'000'000, .tasks = 100})));
}

TEST(CouldEverFit, gang_within_one_rack_needs_one_rack_large_enough) {
  Scenario s;
  s.nodes(2, {.rack = "r0"});
  s.nodes(2, {.rack = "r1"});
  EXPECT_TRUE(could_ever_fit(s.state.cluster, s.job_of({.tasks = 2, .constraints = {.within = TopologyLevel::kRack}})));
  EXPECT_FALSE(could_ever_fit(s.state.cluster, s.job_of({.tasks = 3, .constraints = {.within = TopologyLevel::kRack}})));
}

}  // namespace
}  // namespace trainyard::sched::testing
