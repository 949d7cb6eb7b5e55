#include "sched/explain.h"

#include <gtest/gtest.h>

#include <array>
#include <iostream>

#include "sched/testing/moments.h"

namespace trainyard::sched::testing {
namespace {

using namespace std::chrono_literals;

// Of the 21 reasons these come from other layers, and no plan gives them: Deactivated, Misconfigured, AdmissionGated, LeaseRecovery,
// GangIncomplete, StartBarrier. ExceedsFairShare comes from preemption alone and has its tests beside it.

constexpr std::int64_t kGib = std::int64_t{1} << 30;

Amounts cores(std::int64_t count) {
  Amounts amounts = Amounts::unlimited();
  amounts[kCpu] = count * 1000;
  return amounts;
}

/// Explains a job from the plan that passed it over, the plan carried out.
Explanation told(Scenario& s, JobId job, TimePoint now) {
  const Decisions decisions = s.run(now);
  return explain(s.state, decisions, job, now).value();
}

std::vector<std::string> names(const std::vector<Reason>& reasons) {
  std::vector<std::string> names;
  for (const Reason reason : reasons) names.emplace_back(name_of(reason));
  return names;
}

std::map<std::string, std::int64_t> counts(const Explanation& explanation) {
  std::map<std::string, std::int64_t> counts;
  for (const ShortfallCount& count : explanation.histogram) counts[count.lacks] = count.nodes;
  return counts;
}

using Names = std::vector<std::string>;
using Counts = std::map<std::string, std::int64_t>;

TEST(Explain, job_that_no_nodes_could_ever_hold_is_unsatisfiable) {
  Scenario s;
  s.nodes(2, {.cores = 4});
  const Explanation e = told(s, s.submit({.cores = 5, .tasks = 3}), at(1s));
  EXPECT_EQ(e.reason, Reason::kUnsatisfiable);
  EXPECT_EQ(
      e.message,
      "No set of the configured nodes could ever hold it. It needs 3 x (5 cpu); all nodes together hold 0 such tasks: ask for less per "
      "task or fewer tasks, or add a node.");
  EXPECT_EQ(counts(e), (Counts{{"cpu", 2}}));
  EXPECT_EQ(names(e.also), (Names{"WaitingForResources"}));
}

TEST(Explain, gang_too_large_for_every_rack_is_unsatisfiable) {
  Scenario s;
  s.node("a", {.cores = 4, .rack = "r0"});
  s.node("b", {.cores = 4, .rack = "r1"});
  Constraints one_rack;
  one_rack.within = TopologyLevel::kRack;
  const Explanation e = told(s, s.submit({.cores = 4, .tasks = 2, .constraints = one_rack}), at(1s));
  EXPECT_EQ(e.reason, Reason::kUnsatisfiable);
  EXPECT_EQ(e.message,
            "No set of the configured nodes could ever hold it. It needs 2 x (4 cpu) within one rack, and no rack is large enough.");
}

TEST(Explain, job_whose_constraints_exclude_every_node_has_no_matching_class) {
  Scenario s;
  s.nodes(3, {.cores = 4});
  Constraints labelled;
  labelled.required = {{.key = "zone", .op = LabelRule::Op::kIn, .values = {"a"}}};
  const Explanation e = told(s, s.submit({.constraints = labelled}), at(1s));
  EXPECT_EQ(e.reason, Reason::kNoMatchingNodeClass);
  EXPECT_EQ(e.message, "Nodes exist, but its constraints exclude every one of them. 3 nodes were looked at.");
  EXPECT_EQ(counts(e), (Counts{{"excluded", 3}}));
}

TEST(Explain, held_job_and_stopped_queue_are_suspended) {
  Scenario s;
  s.nodes(1, {.cores = 4});
  s.queue({.name = "batch", .state = QueueSettings::State::kStopped});
  JobSnapshot job = s.job_of({.held = true});
  job.held_by = "ada";
  const JobId id = job.id;
  s.state.submit(std::move(job));
  const Explanation e = told(s, id, at(1s));
  EXPECT_EQ(e.reason, Reason::kSuspended);
  EXPECT_EQ(e.message, "It is held, or its queue is stopped. The job is held by ada. Queue \"batch\" is stopped.");
}

TEST(Explain, cluster_without_a_ready_node_has_no_worker) {
  Scenario s;
  s.state.cluster.set_ready(s.node("n", {.cores = 4}), false);
  const Explanation e = told(s, s.submit({}), at(1s));
  EXPECT_EQ(e.reason, Reason::kNoWorkerForQueue);
  EXPECT_EQ(e.message, "No node is ready. Start an agent with `trainyard agent`.");
  EXPECT_EQ(counts(e), (Counts{{"down", 1}}));
}

TEST(Explain, job_with_open_dependencies_names_them) {
  Scenario s;
  s.nodes(1, {.cores = 1});
  const Explanation e = told(s, s.submit({.waits_for = {JobId(70), JobId(71)}}), at(1s));
  EXPECT_EQ(e.reason, Reason::kDependencyNotMet);
  EXPECT_EQ(e.message, "It waits for other jobs to end. Job 70 has not ended.");
  EXPECT_EQ(e.blocking, (std::vector<JobId>{JobId(70), JobId(71)}));
}

TEST(Explain, job_in_backoff_says_until_when_and_what_else_holds) {
  Scenario s;
  s.nodes(1, {.cores = 1});
  s.running_on({.cores = 1}, tasks_on({{0, 1}}), at(0s));
  const Explanation e = told(s, s.submit({.eligible_at = at(60s)}), at(1s));
  EXPECT_EQ(e.reason, Reason::kBackoff);
  EXPECT_EQ(e.message, "A restart waits for its time. Not before 1970-01-01T00:01:00.000000Z.");
  EXPECT_EQ(names(e.also), (Names{"WaitingForResources"}));
}

TEST(Explain, best_rank_binds_and_the_others_are_told_in_order) {
  Scenario s;
  s.nodes(1, {.cores = 1});
  const Explanation e = told(s, s.submit({.eligible_at = at(60s), .held = true, .waits_for = {JobId(70)}}), at(1s));
  EXPECT_EQ(e.reason, Reason::kSuspended);
  EXPECT_EQ(names(e.also), (Names{"DependencyNotMet", "Backoff"}));
}

TEST(Explain, quota_reasons_say_what_is_needed_and_what_is_left) {
  Scenario s;
  s.node("n", {.cores = 32});
  s.queue({.name = "a", .nominal = cores(4), .borrow_limit = cores(2)});
  s.queue({.name = "b", .nominal = cores(4)});
  const JobId large = s.submit({.cores = 7, .queue = "a"});
  EXPECT_EQ(told(s, large, at(1s)).message,
            "It asks for more than its queue could ever use. It needs 7 cpu, and queue \"a\" has 6 cpu left.");
  s.state.withdraw(large);
  s.submit({.cores = 5, .queue = "a"});
  const JobId second = s.submit({.cores = 2, .queue = "a"});
  const Explanation at_limit = told(s, second, at(2s));
  EXPECT_EQ(at_limit.reason, Reason::kBorrowingLimitReached);
  EXPECT_EQ(at_limit.message, "Its queue may not borrow more. It needs 2 cpu, and queue \"a\" has 1 cpu left.");
  const JobId other = s.submit({.cores = 4, .queue = "b"});
  const Explanation used = told(s, other, at(3s));
  EXPECT_EQ(used.reason, Reason::kWaitingForQuota);
  EXPECT_EQ(used.message, "Its queue's quota is used, or what it could borrow is. It needs 4 cpu, and queue \"b\" has 3 cpu left.");
}

TEST(Explain, room_that_is_split_over_racks_fails_the_topology) {
  Scenario s;
  for (const char* rack : {"r0", "r1"}) {
    s.node(std::string(rack) + "a", {.cores = 1, .rack = rack});
    s.node(std::string(rack) + "b", {.cores = 1, .rack = rack});
  }
  s.running_on({.cores = 1, .tasks = 2}, tasks_on({{0, 1}, {2, 1}}), at(0s));
  Constraints one_rack;
  one_rack.within = TopologyLevel::kRack;
  const Explanation e = told(s, s.submit({.cores = 1, .tasks = 2, .constraints = one_rack}), at(1s));
  EXPECT_EQ(e.reason, Reason::kTopologyPlacementFailed);
  EXPECT_EQ(e.message, "There is room, but not within one rack, switch or node as it asks. It needs 2 x (1 cpu); 2 of 2 tasks fit now.");
}

TEST(Explain, preemptor_waits_for_its_victims) {
  Scenario s;
  s.node("n", {.cores = 2});
  s.queue({.name = "batch", .preemption = {.enabled = true, .grace = 30s}});
  const JobId victim = s.running_on({.cores = 2}, tasks_on({{0, 1}}), at(0s));
  const JobId urgent = s.submit({.cores = 2, .tier = 1});
  const Explanation e = told(s, urgent, at(60s));
  EXPECT_EQ(e.reason, Reason::kWaitingForPreempted);
  EXPECT_TRUE(e.message.starts_with("Its victims are leaving; their room is held for it. They have until 1970-01-01T00:01:30.000000Z."))
      << e.message;
  EXPECT_NE(std::find(e.blocking.begin(), e.blocking.end(), victim), e.blocking.end());
}

TEST(Explain, job_that_would_delay_a_promise_names_the_promised_one) {
  Scenario s;
  s.nodes(1, {.cores = 2});
  s.queue({.name = "batch", .backfill = "easy"});
  s.running_on({.cores = 1, .walltime = 60s}, tasks_on({{0, 1}}), at(0s));
  const JobId head = s.submit({.cores = 2, .walltime = 10s});
  const JobId longer = s.submit({.cores = 1, .walltime = 100s});
  const Decisions decisions = s.run(at(1s));
  const Explanation e = explain(s.state, decisions, longer, at(1s)).value();
  EXPECT_EQ(e.reason, Reason::kWaitingForReservation);
  EXPECT_EQ(e.message, "It would delay a job that was promised the room, or has a promise of its own. Job " + head.text() +
                           " is promised a start at 1970-01-01T00:01:00.000000Z.");
  EXPECT_EQ(e.blocking, (std::vector<JobId>{head}));
  EXPECT_FALSE(e.promised_start);
  EXPECT_EQ(explain(s.state, decisions, head, at(1s)).value().promised_start, at(60s));
}

TEST(Explain, shortage_tells_tasks_nodes_and_what_each_lacks) {
  Scenario s;
  s.node("small", {.cores = 2, .memory_gib = 64});
  s.node("busy", {.cores = 8, .memory_gib = 8});
  s.node("away", {.cores = 8, .memory_gib = 64});
  s.node("lost", {.cores = 8, .memory_gib = 64});
  s.state.cluster.set_drained(2, true);
  s.state.cluster.set_ready(3, false);
  const Explanation e = told(s, s.submit({.cores = 4, .memory_gib = 10, .tasks = 2}), at(1s));
  EXPECT_EQ(e.reason, Reason::kWaitingForResources);
  EXPECT_EQ(e.message, "Too little is free. It needs 2 x (4 cpu, 10240 MiB); 0 of 2 tasks fit now.");
  EXPECT_EQ(counts(e), (Counts{{"cpu", 1}, {"memory", 1}, {"drained", 1}, {"down", 1}}));
  ASSERT_EQ(e.nodes.size(), 4U);
  const auto of = [&e](const std::string& name) {
    return *std::find_if(e.nodes.begin(), e.nodes.end(), [&name](const NodeShortfall& node) { return node.node.text == name; });
  };
  EXPECT_EQ(of("small").shortfall, 2000);
  EXPECT_EQ(of("busy").shortfall, 2 * kGib);
  EXPECT_EQ(of("away").lacks, "drained");
  EXPECT_EQ(of("lost").lacks, "down");
  EXPECT_EQ(e.nodes[0].node.text, "small") << "usable nodes come first";
}

TEST(Explain, share_that_fits_no_single_device_tells_what_the_best_device_lacks) {
  Scenario s;
  s.node("n", {.cores = 8, .gpus = 2});
  for (const DeviceMask device : {DeviceMask{1}, DeviceMask{2}}) {
    s.running_on({.gpus = 1, .gpu_milli = 600}, {{.node = 0, .tasks = 1, .devices = device}}, at(0s));
  }
  const Explanation e = told(s, s.submit({.gpus = 1, .gpu_milli = 700}), at(1s));
  EXPECT_EQ(e.message, "Too little is free. It needs 1 x (1 cpu, 0.7 gpu); 0 of 1 tasks fit now.");
  EXPECT_EQ(e.nodes[0].lacks, "gpu");
  EXPECT_EQ(e.nodes[0].shortfall, 300);
}

TEST(Explain, job_behind_a_head_that_stops_the_queue_names_it_and_its_position) {
  Scenario s;
  s.nodes(1, {.cores = 2});
  const JobId head = s.submit({.cores = 2, .queued_at = at(0s)});
  s.running_on({.cores = 1}, tasks_on({{0, 1}}), at(0s));
  s.submit({.cores = 1, .queued_at = at(1s)});
  const JobId third = s.submit({.cores = 1, .queued_at = at(2s)});
  const Explanation e = told(s, third, at(2s));
  EXPECT_EQ(e.reason, Reason::kWaitingForResources);
  EXPECT_EQ(e.message, "Too little is free. It needs 1 x (1 cpu), which would fit now. Job " + head.text() + " comes before it.");
  EXPECT_EQ(e.position, 2U);
  EXPECT_EQ(e.blocking, (std::vector<JobId>{head}));
}

TEST(Explain, job_that_no_pass_has_seen_is_pending_evaluation) {
  Scenario s;
  s.nodes(1, {.cores = 2});
  const Explanation e = explain(s.state, Decisions{}, s.submit({}), at(1s)).value();
  EXPECT_EQ(e.reason, Reason::kPendingEvaluation);
  EXPECT_EQ(e.message, "No pass has looked at it yet.");
}

TEST(Explain, only_waiting_jobs_have_a_reason) {
  Scenario s;
  s.nodes(1, {.cores = 2});
  const JobId runs = s.running_on({}, tasks_on({{0, 1}}), at(0s));
  EXPECT_EQ(explain(s.state, {}, runs, at(1s)).error().id, "job.not_waiting");
}

TEST(PlannedStarts, prediction_tells_an_earlier_start_and_never_moves_the_promise) {
  Scenario s;
  s.nodes(1, {.cores = 1});
  s.queue({.name = "batch", .backfill = "conservative"});
  s.running_on({.cores = 1, .walltime = 100s, .estimate = 20s}, tasks_on({{0, 1}}), at(0s));
  const JobId first = s.submit({.cores = 1, .walltime = 50s, .estimate = 10s});
  const JobId second = s.submit({.cores = 1, .walltime = 50s});
  const Decisions decisions = s.run(at(1s));
  const std::string before = fingerprint(s.state);
  EXPECT_EQ(planned_starts(s.state, at(1s)), (std::vector<std::pair<JobId, TimePoint>>{{first, at(20s)}, {second, at(30s)}}));
  EXPECT_EQ(fingerprint(s.state), before);
  EXPECT_EQ(explain(s.state, decisions, first, at(1s)).value().promised_start, at(100s)) << "limits, never predictions";
  EXPECT_EQ(explain(s.state, decisions, second, at(1s)).value().promised_start, at(150s));
}

// ---- random states

using Violation = std::optional<std::string>;

/// The reason must be one that can be: a gate is told exactly when it holds or something of a better rank does.
Violation wrong_reason(const SchedulerState& state, const JobSnapshot& job, const Explanation& e, TimePoint now) {
  const auto rank = [](Reason reason) { return static_cast<int>(reason); };
  if (rank(e.reason) < 1 || rank(e.reason) > static_cast<int>(kReasons)) return "no such reason";
  if (name_of(e.reason).empty() || !e.message.starts_with(meaning_of(e.reason))) return "no message: " + e.message;
  if (e.reason == Reason::kPendingEvaluation) return "the pass has been made, but has not looked at it";
  if (e.epoch != state.queue.epoch || e.job != job.id) return "of another job or epoch";
  const auto gate = [&](Reason reason, bool holds) -> Violation {
    const bool listed = e.reason == reason || std::find(e.also.begin(), e.also.end(), reason) != e.also.end();
    if (listed != holds) return std::string(name_of(reason)) + (holds ? " holds and is not told" : " is told and does not hold");
    if (holds && rank(e.reason) > rank(reason)) return std::string(name_of(reason)) + " has the better rank";
    return std::nullopt;
  };
  bool stopped = job.held;
  for (QueueIndex queue = job.queue; queue != kNoIndex; queue = state.queue.queue(queue).parent) {
    stopped |= state.queue.queue(queue).settings.state == QueueSettings::State::kStopped;
  }
  bool ready = false;
  for (const NodeState& node : state.cluster.nodes()) ready |= node.ready;
  if (Violation wrong = gate(Reason::kSuspended, stopped)) return wrong;
  if (Violation wrong = gate(Reason::kNoWorkerForQueue, !ready)) return wrong;
  if (Violation wrong = gate(Reason::kDependencyNotMet, !job.waits_for.empty())) return wrong;
  if (Violation wrong = gate(Reason::kBackoff, job.eligible_at > now)) return wrong;
  if (!could_ever_fit(state.cluster, job) && rank(e.reason) > rank(Reason::kNoMatchingNodeClass)) return "it could never fit";
  if (std::find(e.also.begin(), e.also.end(), e.reason) != e.also.end()) return "the binding reason is told twice";
  const bool own_dependency = std::find(job.waits_for.begin(), job.waits_for.end(), job.id) != job.waits_for.end();
  const bool own_blocker = std::find(e.blocking.begin(), e.blocking.end(), job.id) != e.blocking.end();
  if (own_blocker && !own_dependency) return "it blocks itself";
  if (e.promised_start.has_value() != job.reservation.has_value()) return "the promise is not told";
  std::int64_t nodes = 0;
  for (const ShortfallCount& count : e.histogram) nodes += count.nodes;
  if (nodes != static_cast<std::int64_t>(state.cluster.nodes().size())) return "a node is not counted once";
  if (e.nodes.size() != std::min(kNodesShown, state.cluster.nodes().size())) return "nodes are missing";
  return std::nullopt;
}

struct Seen {
  std::size_t jobs = 0;
  std::map<std::string, std::size_t> reasons;
};

Violation wrong_state(const Recipe& recipe, std::uint64_t seed, Seen& seen) {
  Moment moment = moment_of(recipe, seed);
  const Decisions decisions = plan(moment.state.cluster, moment.state.queue, moment.now);
  moment.state.apply(decisions, moment.now);
  for (const JobId id : left_waiting(moment.state, {})) {
    const JobSnapshot& job = *moment.state.queue.find(id);
    const Result<Explanation> e = explain(moment.state, decisions, id, moment.now);
    if (!e.ok()) return e.error().message;
    if (Violation wrong = wrong_reason(moment.state, job, *e, moment.now)) return *wrong + ": job " + id.text();
    if (reason_of(moment.state, decisions, job, moment.now).reason != e->reason) return "two reasons: job " + id.text();
    ++seen.jobs;
    ++seen.reasons[std::string(name_of(e->reason))];
  }
  return std::nullopt;
}

void check_states(const char* what, std::uint64_t states, const std::function<RandomStateSettings(std::uint64_t)>& settings_of) {
  const std::uint64_t first = number_from_environment("TRAINYARD_EXPLAIN_SEED", 1);
  Seen seen;
  for (std::uint64_t seed = first; seed < first + states; ++seed) {
    SeededRng rng(seed);
    const Recipe recipe = random_recipe(rng, settings_of(seed));
    const Violation wrong = wrong_state(recipe, seed, seen);
    if (!wrong) continue;
    if (recipe.jobs.size() > 100) FAIL() << what << ", seed " << seed << ": " << *wrong;
    const std::string kind = wrong->substr(0, wrong->find(": job"));
    const Recipe small = shrink(recipe, [&](const Recipe& smaller) {
      Seen unused;
      const Violation now = wrong_state(smaller, seed, unused);
      return now && now->starts_with(kind);
    });
    FAIL() << what << ", seed " << seed << ": " << *wrong << "\nsmallest:\n" << describe(small);
  }
  std::cout << what << ", seeds " << first << ".." << first + states - 1 << ": " << seen.jobs << " jobs;";
  for (const auto& [name, count] : seen.reasons) std::cout << " " << name << " " << count;
  std::cout << "\n";
  EXPECT_GE(seen.reasons.size(), 3U);
}

TEST(Explain, every_job_of_small_random_states_has_one_reason_that_holds) {
  check_states("small states", number_from_environment("TRAINYARD_EXPLAIN_STATES", 1000), [](std::uint64_t seed) {
    RandomStateSettings settings;
    settings.elastic = settings.preemption = seed % 2 == 0;
    return settings;
  });
}

TEST(Explain, every_job_of_large_random_states_has_one_reason_that_holds) {
  check_states("10,000 jobs on 2,000 nodes", 3, [](std::uint64_t seed) {
    RandomStateSettings settings;
    settings.full = true;
    settings.nodes_max = 2000;
    settings.pending_max = 12'000;
    settings.running_max = 1000;
    settings.shapes_max = 40;
    settings.backfill = std::array{"conservative", "greedy", "easy"}[seed % 3];
    settings.placement = "first_fit";
    settings.node_trouble = seed % 2 == 0;
    return settings;
  });
}

}  // namespace
}  // namespace trainyard::sched::testing
