#include <gtest/gtest.h>

#include <iostream>

#include "sched/change.h"
#include "sched/testing/moments.h"

namespace trainyard::sched::testing {
namespace {

using namespace std::chrono_literals;

/// One core for as long as it takes on the only node of two cores, and one that waits for both.
struct TwoJobs {
  TwoJobs() {
    s.queue({.name = "batch", .backfill = "easy"});
    const NodeIndex node = s.node("n", {.cores = 2});
    runs = s.running_on({.cores = 1, .walltime = 60s}, tasks_on({{node, 1}}), at(0s));
    waits = s.submit({.cores = 2, .walltime = 30s});
    s.run(at(1s));
  }
  Scenario s;
  JobId runs;
  JobId waits;
};

AlterJob alter(JobId job) { return {.job = job, .demand = {}, .tasks = {}, .walltime = {}, .priority = {}}; }

std::string code_of(const Result<void>& result) { return result.ok() ? "" : result.error().id; }

/// The change is refused with this error, and nothing of the state has changed.
void expect_refused(const SchedulerState& state, const Change& change, const std::string& id) {
  SchedulerState fork = state;
  EXPECT_EQ(code_of(apply_change(fork, change)), id);
  EXPECT_EQ(fingerprint(fork), fingerprint(state)) << id;
  const Result<WhatIf> answer = what_if(state, change, at(1s));
  ASSERT_FALSE(answer.ok()) << id;
  EXPECT_EQ(answer.error().id, id);
}

TEST(WhatIf, submitted_job_starts_beside_the_reservation_or_does_not) {
  const TwoJobs world;
  Scenario tried = world.s;
  const JobSnapshot fits = tried.job_of({.cores = 1, .walltime = 10s});
  const WhatIf answer = what_if(world.s.state, SubmitJob{fits}, at(1s)).value();
  EXPECT_NE(start_of(answer.with_change, fits.id), nullptr);
  EXPECT_EQ(answer.shifts, (std::vector<StartShift>{{fits.id, kNever, at(1s)}}));
  JobSnapshot longer = fits;
  longer.walltime = 100s;
  const WhatIf later = what_if(world.s.state, SubmitJob{longer}, at(1s)).value();
  EXPECT_EQ(start_of(later.with_change, longer.id), nullptr) << "it would delay the promised job";
  EXPECT_TRUE(later.shifts.empty());
}

TEST(WhatIf, altered_and_cancelled_jobs_shift) {
  const TwoJobs world;
  AlterJob smaller = alter(world.waits);
  smaller.demand = world.s.waiting(world.waits).demand;
  smaller.demand->amounts[kCpu] = 1000;
  EXPECT_EQ(what_if(world.s.state, smaller, at(2s)).value().shifts, (std::vector<StartShift>{{world.waits, at(60s), at(2s)}}));
  EXPECT_EQ(what_if(world.s.state, CancelJob{world.waits}, at(2s)).value().shifts,
            (std::vector<StartShift>{{world.waits, at(60s), kNever}}));
}

TEST(WhatIf, added_and_drained_nodes_shift) {
  const TwoJobs world;
  NodeInfo more = *world.s.state.cluster.node(0).info;
  more.name.text = "more";
  const WhatIf added = what_if(world.s.state, AddNodes{more, 2}, at(2s)).value();
  EXPECT_EQ(added.shifts, (std::vector<StartShift>{{world.waits, at(60s), at(2s)}}));
  const WhatIf drained = what_if(world.s.state, DrainNode{{"n"}, true}, at(2s)).value();
  EXPECT_EQ(drained.shifts, (std::vector<StartShift>{{world.waits, at(60s), kNever}}));
}

TEST(WhatIf, copy_that_was_changed_by_its_own_methods_is_compared) {
  const TwoJobs world;
  SchedulerState changed = world.s.state;
  changed.end(world.runs, at(2s));
  const WhatIf answer = compare_plans(world.s.state, changed, at(2s));
  EXPECT_EQ(answer.shifts, (std::vector<StartShift>{{world.waits, at(60s), at(2s)}}));
  EXPECT_EQ(fingerprint(answer.changed), fingerprint(changed)) << "the state before its plan";
}

TEST(WhatIf, changed_quota_shifts) {
  Scenario s;
  s.node("n", {.cores = 4});
  Amounts none = Amounts::unlimited();
  none[kCpu] = 0;
  s.queue({.name = "batch", .nominal = none});
  const JobId job = s.submit({.cores = 2});
  Amounts enough = none;
  enough[kCpu] = 2000;
  EXPECT_EQ(what_if(s.state, SetQuota{"batch", enough}, at(1s)).value().shifts, (std::vector<StartShift>{{job, kNever, at(1s)}}));
  EXPECT_EQ(what_if(s.state, SetQuota{"batch", std::nullopt}, at(1s)).value().shifts, (std::vector<StartShift>{{job, kNever, at(1s)}}));
}

TEST(WhatIf, further_nodes_are_numbered) {
  TwoJobs world;
  NodeInfo more = *world.s.state.cluster.node(0).info;
  more.name.text = "more";
  ASSERT_TRUE(apply_change(world.s.state, AddNodes{more, 3}).ok());
  for (const char* name : {"more", "more-2", "more-3"}) EXPECT_TRUE(world.s.state.cluster.find_node({name})) << name;
}

TEST(WhatIf, altered_job_keeps_its_place_and_gives_up_its_promise) {
  TwoJobs world;
  const JobSnapshot before = world.s.waiting(world.waits);
  ASSERT_TRUE(before.reservation);
  ASSERT_TRUE(apply_change(world.s.state, alter(world.waits)).ok());
  const JobSnapshot& after = world.s.waiting(world.waits);
  EXPECT_FALSE(after.reservation);
  EXPECT_EQ(after.seq, before.seq);
  EXPECT_EQ(after.queued_at, before.queued_at);
  EXPECT_TRUE(world.s.state.queue.ended_since_plan) << "others may move into the room it gave up";
}

TEST(WhatIf, bad_changes_are_refused_and_change_nothing) {
  const TwoJobs world;
  const SchedulerState& state = world.s.state;
  const JobId nobody(999);
  Scenario helper = world.s;
  JobSnapshot job = helper.job_of({.cores = 1});
  const auto submitted = [&job](JobId id, QueueIndex queue, std::int32_t tasks) {
    JobSnapshot copy = job;
    copy.id = id;
    copy.queue = queue;
    copy.tasks = tasks;
    return SubmitJob{copy};
  };
  expect_refused(state, submitted(world.runs, 1, 1), "job.exists");
  expect_refused(state, submitted(world.waits, 1, 1), "job.exists");
  expect_refused(state, submitted(nobody, 0, 1), "queue.unknown");
  expect_refused(state, submitted(nobody, 7, 1), "queue.unknown");
  expect_refused(state, submitted(nobody, 1, 0), "job.bad_request");
  expect_refused(state, CancelJob{nobody}, "job.unknown");
  expect_refused(state, CancelJob{world.runs}, "job.running");
  expect_refused(state, alter(nobody), "job.unknown");
  expect_refused(state, alter(world.runs), "job.running");
  AlterJob bad = alter(world.waits);
  bad.tasks = 0;
  expect_refused(state, bad, "job.bad_request");
  bad = alter(world.waits);
  bad.walltime = Duration(0);
  expect_refused(state, bad, "job.bad_request");
  bad = alter(world.waits);
  bad.demand = Demand{};
  bad.demand->amounts[kCpu] = -1;
  expect_refused(state, bad, "job.bad_request");
  NodeInfo node = *state.cluster.node(0).info;
  expect_refused(state, AddNodes{node, 1}, "cluster.node_exists");
  expect_refused(state, AddNodes{node, 0}, "cluster.bad_count");
  expect_refused(state, DrainNode{{"nowhere"}, true}, "cluster.node_unknown");
  expect_refused(state, SetQuota{"nowhere", std::nullopt}, "queue.unknown");
  node.name.text = "large";
  node.capacity[kGpu] = 17'000;
  expect_refused(state, AddNodes{node, 1}, "cluster.too_many_devices");
}

TEST(WhatIf, several_nodes_are_added_all_or_none) {
  TwoJobs world;
  world.s.node("more-2", {.cores = 1});
  NodeInfo node = *world.s.state.cluster.node(0).info;
  node.name.text = "more";
  expect_refused(world.s.state, AddNodes{node, 3}, "cluster.node_exists");
}

// ---- random states

JobSnapshot random_submission(const SchedulerState& state, Rng& rng) {
  JobSnapshot job;
  for (const QueueState& queue : state.queue.queues()) {
    if (!queue.pending.empty()) job = state.queue.job(queue.pending[rng.below(queue.pending.size())]);
  }
  job.id = JobId(100'000);
  job.seq = 0;
  job.reservation.reset();
  job.claim.reset();
  job.demand.amounts[kCpu] = static_cast<std::int64_t>(rng.below(6000));
  job.tier = static_cast<std::int32_t>(rng.below(3));
  while (!state.queue.queue(job.queue).leaf()) ++job.queue;
  return job;
}

AlterJob random_alteration(const SchedulerState& state, const std::vector<JobId>& waiting, Rng& rng) {
  const JobSnapshot& job = *state.queue.find(waiting[rng.below(waiting.size())]);
  AlterJob change = alter(job.id);
  if (rng.below(2) == 0) change.tasks = static_cast<std::int32_t>(1 + rng.below(6));
  if (rng.below(2) == 0) change.walltime = std::chrono::seconds(1 + rng.below(90));
  if (rng.below(2) == 0) change.priority = static_cast<std::int64_t>(rng.below(20)) - 5;
  if (rng.below(2) == 0) {
    change.demand = job.demand;
    change.demand->amounts[kCpu] = static_cast<std::int64_t>(rng.below(6000));
  }
  return change;
}

constexpr std::size_t kKinds = std::variant_size_v<Change>;

Change random_change(const SchedulerState& state, std::size_t kind, Rng& rng) {
  const std::vector<JobId> waiting = left_waiting(state, {});
  const std::vector<NodeState>& nodes = state.cluster.nodes();
  const NodeInfo& node = *nodes[rng.below(nodes.size())].info;
  if (kind == 1 && !waiting.empty()) return CancelJob{waiting[rng.below(waiting.size())]};
  if (kind == 2 && !waiting.empty()) return random_alteration(state, waiting, rng);
  if (kind == 3) {
    NodeInfo more = node;
    more.name.text = "more";
    return AddNodes{more, static_cast<std::int32_t>(1 + rng.below(3))};
  }
  if (kind == 4) return DrainNode{node.name, rng.below(3) > 0};
  if (kind == 5) {
    const QueueSettings& settings = state.queue.queues()[rng.below(state.queue.queues().size())].settings;
    Amounts nominal = settings.nominal.value_or(Amounts::unlimited());
    nominal[kCpu] = static_cast<std::int64_t>(rng.below(20)) * 1000;
    return SetQuota{settings.name, rng.below(5) == 0 ? std::nullopt : std::optional(nominal)};
  }
  return SubmitJob{random_submission(state, rng)};
}

/// When jobs start, read from the books after the decisions were carried out.
std::map<JobId, TimePoint> starts_in_books(const SchedulerState& before, const Decisions& decisions, TimePoint now) {
  SchedulerState after = before;
  after.apply(decisions, now);
  std::map<JobId, TimePoint> starts;
  for (const JobId id : left_waiting(before, {})) {
    const JobSnapshot* waiting = after.queue.find(id);
    if (waiting == nullptr) starts[id] = now;
    if (waiting != nullptr && waiting->reservation) starts[id] = waiting->reservation->start;
  }
  return starts;
}

void expect_shifts(const WhatIf& answer, const std::map<JobId, TimePoint>& before, const std::map<JobId, TimePoint>& after) {
  std::map<JobId, StartShift> expected;
  for (const auto& [id, time] : before) expected[id] = {id, time, kNever};
  for (const auto& [id, time] : after) {
    expected.try_emplace(id, StartShift{id, kNever, kNever});
    expected[id].after = time;
  }
  std::erase_if(expected, [](const auto& shift) { return shift.second.before == shift.second.after; });
  ASSERT_EQ(answer.shifts.size(), expected.size());
  std::size_t i = 0;
  for (const auto& [id, shift] : expected) EXPECT_EQ(answer.shifts[i++], shift) << "job " << id.text();
}

void check_change(const Moment& moment, const Change& change) {
  const std::string print = fingerprint(moment.state);
  const WhatIf answer = what_if(moment.state, change, moment.now).value();
  ASSERT_EQ(fingerprint(moment.state), print) << "the state was touched";
  const auto before = starts_in_books(moment.state, plan(moment.state.cluster, moment.state.queue, moment.now), moment.now);
  SchedulerState real = moment.state;
  ASSERT_TRUE(apply_change(real, change).ok());
  ASSERT_EQ(real.queue.epoch, moment.state.queue.epoch + 1) << "one outside event";
  const Decisions outcome = plan(real.cluster, real.queue, moment.now);
  ASSERT_TRUE(answer.with_change == outcome) << "a dry run and what came of it differ";
  expect_shifts(answer, before, starts_in_books(real, outcome, moment.now));
}

TEST(WhatIf, dry_run_of_every_kind_of_change_equals_the_outcome_bit_for_bit) {
  const std::uint64_t first = number_from_environment("TRAINYARD_WHAT_IF_SEED", 1);
  const std::uint64_t states = number_from_environment("TRAINYARD_WHAT_IF_STATES", 400);
  std::size_t with_shifts = 0;
  for (std::uint64_t seed = first; seed < first + states; ++seed) {
    SeededRng rng(seed);
    RandomStateSettings settings;
    settings.elastic = settings.preemption = seed % 2 == 0;
    settings.pending_max = seed % 50 == 0 ? 300 : 12;
    settings.nodes_max = seed % 50 == 0 ? 60 : 6;
    const Recipe recipe = random_recipe(rng, settings);
    const Moment moment = moment_of(recipe, seed);
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      const Change change = random_change(moment.state, kind, rng);
      check_change(moment, change);
      with_shifts += what_if(moment.state, change, moment.now).value().shifts.empty() ? 0 : 1;
      ASSERT_FALSE(HasFailure()) << "seed " << seed << ", kind of change " << kind << "\n" << describe(recipe);
    }
  }
  std::cout << "seeds " << first << ".." << first + states - 1 << ": " << states * kKinds << " changes, " << with_shifts
            << " shift starts\n";
  EXPECT_GT(with_shifts * 10, states * kKinds) << "the changes are too small to say anything";
}

}  // namespace
}  // namespace trainyard::sched::testing
