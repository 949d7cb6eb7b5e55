#include "sim/simulation.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.h"
#include "sim/fields.h"
#include "sim/jobs_driver.h"
#include "sim/summary.h"
#include "sim/testing/workloads.h"

namespace trainyard::sim {
namespace {

using testing::jobs;
using testing::settings_of;
using testing::told;
using testing::trace_of;

constexpr const char* kBatsim = "tests/data/scheduling/batsim/batsim_medium_late.csv";

Trace batsim() { return read_trace(kBatsim, TraceFormat::kCsv).value(); }
Machine hosts(std::int64_t count) { return equal_hosts(count).value(); }

/// The last two columns of the log: when and where Batsim started each job.
std::vector<ScheduleRow> published_starts() {
  TextInput input = TextInput::open(kBatsim).value();
  RecordReader records(input, RecordReader::Quotes::kNone, {});
  std::vector<ScheduleRow> rows;
  std::vector<std::string_view> fields;
  std::string unescaped;
  std::string_view record;
  while (records.next(record).value()) {
    EXPECT_EQ(split_csv(record, fields, unescaped), "");
    if (fields.at(0) == "job_id") continue;
    ScheduleRow& row = rows.emplace_back();
    row.job_id = fields.at(0);
    std::int64_t start = 0;
    EXPECT_EQ(parse_seconds(fields.at(5), start), "");
    row.start = Duration(start);
    EXPECT_EQ(parse_hosts(fields.at(6), row.hosts), "");
  }
  return rows;
}

void expect_published(const Trace& trace, const SimulationResult& result) {
  const std::vector<ScheduleRow> expected = published_starts();
  ASSERT_EQ(expected.size(), 801U);
  ASSERT_EQ(result.segments.size(), expected.size());
  for (const Segment& segment : result.segments) {
    const ScheduleRow& row = expected[segment.job];
    ASSERT_EQ(trace.jobs[segment.job].id, row.job_id);
    EXPECT_LE(std::abs((segment.start - row.start).count()), 10) << "job " << row.job_id;
    const auto got = std::span(result.hosts).subspan(segment.hosts_begin, segment.hosts_count);
    EXPECT_EQ(std::vector<HostRange>(got.begin(), got.end()), row.hosts) << "job " << row.job_id;
  }
}

TEST(Simulation, batsim_workload_under_easy_gives_all_published_starts_and_hosts) {
  const Trace trace = batsim();
  const Machine machine = hosts(32);
  const SimulationResult result = testing::run(trace, machine, settings_of("easy"));
  expect_published(trace, result);
  const Summary summary = summarise(trace, machine, result);
  EXPECT_NEAR(summary.mean_wait_s, 9.516326, 1e-6);
  EXPECT_NEAR(summary.max_wait_s, 316.742718, 1e-6);
  EXPECT_NEAR(summary.mean_turnaround_s, 160.927071, 1e-6);
  EXPECT_NEAR(summary.makespan_s, 16088.51, 1e-6);
  EXPECT_EQ(summary.jobs_that_waited, 182U);
}

TEST(Simulation, batsim_workload_through_the_driver_of_jobs_gives_the_same_schedule) {
  const Trace trace = batsim();
  const Machine machine = hosts(32);
  const SimulationSettings settings = settings_of("easy");
  const SimulationResult result = simulate_jobs(trace, machine, settings).value();
  expect_published(trace, result);
  EXPECT_EQ(schedule_csv(trace, machine, result), schedule_csv(trace, machine, testing::run(trace, machine, settings)));
}

TEST(Simulation, batsim_workload_under_other_policies_waits_as_published) {
  const Trace trace = batsim();
  const Machine machine = hosts(32);
  const auto mean_wait = [&](std::string_view policy) {
    return summarise(trace, machine, testing::run(trace, machine, settings_of(policy))).mean_wait_s;
  };
  EXPECT_NEAR(mean_wait("strict_fifo"), 19.736, 5e-4);
  EXPECT_NEAR(mean_wait("easy_count"), 8.673, 5e-4);
}

TEST(Simulation, worked_examples_give_the_schedules_beside_them) {
  const std::string folder = "tests/data/scheduling/examples/";
  for (const std::string name : {"ex1_easy", "ex2_conservative"}) {
    const Trace trace = read_trace(folder + name + ".trace.csv", TraceFormat::kCsv).value();
    const std::string policy = name.substr(name.find('_') + 1);
    const Machine machine = hosts(3);
    EXPECT_EQ(schedule_csv(trace, machine, testing::run(trace, machine, settings_of(policy))),
              read_file(folder + name + ".schedule.csv").value());
  }
}

TEST(Simulation, equal_times_deal_with_ends_then_submits_then_one_plan) {
  const Trace trace = jobs("a,0,10,,2\nb,10,5,,1\nc,10,5,,2\n");
  const SimulationResult result = testing::run(trace, hosts(2), settings_of("strict_fifo"));
  EXPECT_EQ(told(trace, result), "a:0-10@0-1 b:10-15@0 c:15-20@0-1");
  EXPECT_EQ(result.events, 9U);
}

TEST(Simulation, job_past_its_limit_times_out_or_runs_on_when_nothing_is_killed) {
  const Trace trace = jobs("a,0,100,60,1\nb,0,5,,1\n");
  SimulationSettings settings = settings_of("easy");
  EXPECT_EQ(told(trace, testing::run(trace, hosts(1), settings)), "a:0-60@0 TIMED_OUT b:60-65@0");
  settings.kill = false;
  EXPECT_EQ(told(trace, testing::run(trace, hosts(1), settings)), "a:0-100@0 b:100-105@0");
}

TEST(Simulation, request_that_can_never_fit_is_rejected_and_takes_no_part) {
  const Trace trace = jobs("a,0,10,,3\nb,0,5,,1\n");
  const SimulationResult result = testing::run(trace, hosts(2), settings_of("strict_fifo"));
  EXPECT_EQ(result.outcomes[0].fate, Fate::kRejected);
  EXPECT_EQ(told(trace, result), "b:0-5@0");
}

TEST(Simulation, job_without_run_time_starts_and_ends_at_once) {
  const Trace trace = jobs("a,0,0,,1\nb,0,3,,1\n");
  EXPECT_EQ(told(trace, testing::run(trace, hosts(1), settings_of("strict_fifo"))), "a:0-0@0 b:0-3@0");
}

TEST(Simulation, dependent_job_starts_when_all_that_it_waits_for_has_ended) {
  const Trace trace = trace_of("job_id,submit_s,runtime_s,procs,depends_on\na,0,10,1,\nb,0,20,1,\nc,0,5,1,a;b\n");
  EXPECT_EQ(told(trace, testing::run(trace, hosts(3), settings_of("easy"))), "a:0-10@0 b:0-20@1 c:20-25@0");
}

TEST(Simulation, lost_node_costs_the_work_since_the_last_checkpoint) {
  const Trace trace = trace_of("job_id,submit_s,runtime_s,procs,ckpt_interval_s,restart_s\nsaves,0,100,1,30,5\nforgets,0,100,1,,\n");
  SimulationSettings settings = settings_of("easy");
  settings.faults.planned = {parse_loss("0@70+30").value(), parse_loss("1@70+30").value()};
  const SimulationResult result = testing::run(trace, hosts(2), settings);
  // 60 s are saved: 40 s are left, after 5 s of restarting.
  EXPECT_EQ(told(trace, result), "saves:0-70@0 FAILED forgets:0-70@1 FAILED saves:100-145@0 forgets:100-200@1");
  EXPECT_EQ(result.node_losses, 2U);
  EXPECT_EQ(result.interrupted, 2U);
  EXPECT_DOUBLE_EQ(result.lost_cpu_seconds, 10 + 5 + 70);
}

TEST(Simulation, spot_notice_gives_time_to_checkpoint_and_the_node_takes_nothing_new) {
  const Trace trace = trace_of("job_id,submit_s,runtime_s,procs,ckpt_s\na,0,100,1,10\nb,55,1,1,\n");
  SimulationSettings settings = settings_of("easy");
  settings.faults.planned = {parse_spot("0@50/30+20").value()};
  const SimulationResult result = testing::run(trace, hosts(1), settings);
  // Checkpoint from 50 s to 60 s; the node goes at 80 s and is back at 100 s, where half of a is left.
  EXPECT_EQ(told(trace, result), "a:0-60@0 PREEMPTED a:100-150@0 b:150-151@0");
  EXPECT_EQ(result.preemptions, 1U);
}

TEST(Simulation, job_that_loses_too_many_nodes_fails) {
  const Trace trace = jobs("a,0,100,,1\n");
  SimulationSettings settings = settings_of("easy");
  settings.faults.planned = {parse_loss("0@10+1").value(), parse_loss("0@20+1").value()};
  settings.faults.losses_max = 1;
  const SimulationResult result = testing::run(trace, hosts(1), settings);
  EXPECT_EQ(result.outcomes[0].fate, Fate::kFailed);
  EXPECT_EQ(told(trace, result), "a:0-10@0 FAILED a:11-20@0 FAILED");
}

TEST(Simulation, higher_tier_evicts_the_lower_one_which_comes_back) {
  const Trace trace = trace_of("job_id,submit_s,runtime_s,procs,priority,ckpt_s\nlow,0,100,2,0,4\nhigh,10,20,2,1,\n");
  SimulationSettings settings = settings_of("priority+easy");
  settings.priority_is_tier = true;
  settings.queue.preemption.enabled = true;
  settings.queue.preemption.grace = std::chrono::seconds(30);
  const SimulationResult result = testing::run(trace, hosts(2), settings);
  EXPECT_EQ(told(trace, result), "low:0-14@0-1 PREEMPTED high:14-34@0-1 low:34-124@0-1");
}

TEST(Simulation, limit_that_comes_while_a_job_saves_its_work_ends_it) {
  const Trace trace = trace_of("job_id,submit_s,runtime_s,walltime_s,procs,priority,ckpt_s\nlow,0,100,15,2,0,10\nhigh,10,20,,2,1,\n");
  SimulationSettings settings = settings_of("priority+easy");
  settings.priority_is_tier = true;
  settings.queue.preemption.enabled = true;
  settings.queue.preemption.grace = std::chrono::seconds(30);
  EXPECT_EQ(told(trace, testing::run(trace, hosts(2), settings)), "low:0-15@0-1 TIMED_OUT high:15-35@0-1");
}

TEST(Simulation, queue_without_a_weight_is_refused) {
  const Trace trace = trace_of("job_id,submit_s,runtime_s,procs,queue\na,0,1,1,left\n");
  SimulationSettings settings = settings_of("drf+easy");
  settings.queues = {QueueMapping::Kind::kListed, {{"right", 1000}}};
  EXPECT_EQ(simulate(trace, hosts(1), settings).error().id, "sim.queue");
}

TEST(Simulation, bounds_and_watchers_end_a_run_with_an_error) {
  std::string rows;
  for (int i = 0; i < 6000; ++i) rows += std::to_string(i) + "," + std::to_string(i) + ",0.5,,1\n";
  const Trace trace = jobs(rows);
  SimulationSettings settings = settings_of("easy");
  EXPECT_EQ(simulate(trace, hosts(1), settings, [](const SimulationProgress&) { return false; }).error().id, "sim.stopped");
  settings.events_max = 10;
  EXPECT_EQ(simulate(trace, hosts(1), settings).error().id, "sim.too_many_events");
  settings.events_max = 0;
  settings.faults.planned = {parse_loss("7@1").value()};
  EXPECT_EQ(simulate(trace, hosts(1), settings).error().id, "sim.fault");
}

TEST(JobsDriver, what_a_job_specification_cannot_say_is_refused) {
  SimulationSettings settings = settings_of("easy");
  const Trace dependent = trace_of("job_id,submit_s,runtime_s,procs,depends_on\na,0,10,1,\nb,0,20,1,a\n");
  EXPECT_EQ(simulate_jobs(dependent, hosts(2), settings).error().id, "sim.driver");
  settings.faults.mtbf = std::chrono::seconds(100);
  EXPECT_EQ(simulate_jobs(jobs("a,0,1,,1\n"), hosts(1), settings).error().id, "sim.driver");
}

std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : fallback;
}

/// Everything by chance: the trace, the cluster, policies, preemption, faults.
TEST(Simulation, random_workloads_never_break_a_promise_and_repeat_themselves) {
  constexpr std::string_view kPolicies[] = {"strict_fifo",
                                            "fifo",
                                            "easy",
                                            "conservative",
                                            "reserve_k",
                                            "priority+easy",
                                            "drf+easy+best_fit",
                                            "fair_share+easy",
                                            "las+easy",
                                            "deadline+conservative"};
  const std::uint64_t first = number_from("TRAINYARD_SIM_SEED", 1);
  const std::uint64_t count = number_from("TRAINYARD_SIM_SEEDS", 60);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("TRAINYARD_SIM_SEED=" + std::to_string(seed));
    SeededRng rng(seed);
    const auto nodes = static_cast<std::int64_t>(1 + rng.below(12));
    const auto gpus = static_cast<std::int64_t>(rng.below(5));
    const Machine machine = equal_hosts(nodes, {.name = {}, .procs = 4, .gpus = gpus, .mem_mib = 0, .gpu_model = {}, .rack = {}}).value();
    const Trace trace = testing::random_trace(rng, 10 + rng.below(60), nodes * 4, nodes * std::max<std::int64_t>(gpus, 1));
    const std::string_view policy = kPolicies[rng.below(std::size(kPolicies))];
    SimulationSettings settings = settings_of(policy);
    settings.queue.preemption.enabled = rng.below(2) == 0;
    settings.priority_is_tier = rng.below(2) == 0;
    settings.estimate = static_cast<Estimate>(rng.below(3));
    settings.kill = rng.below(4) != 0;
    if (rng.below(2) == 0) settings.queues.kind = QueueMapping::Kind::kTrace;
    if (rng.below(2) == 0) settings.faults.mtbf = std::chrono::seconds(3000 + rng.below(20'000));
    if (rng.below(2) == 0) settings.faults.spot_mtbf = std::chrono::seconds(3000 + rng.below(20'000));
    settings.faults.seed = seed;
    settings.check = true;
    settings.events_max = 200'000;
    const Result<SimulationResult> result = simulate(trace, machine, settings);
    ASSERT_TRUE(result.ok()) << policy << ": " << result.error().describe();
    EXPECT_EQ(testing::flaw(trace, machine, settings, *result), "") << policy;
    const Result<SimulationResult> again = simulate(trace, machine, settings);
    EXPECT_EQ(schedule_csv(trace, machine, *again), schedule_csv(trace, machine, *result)) << policy;
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace trainyard::sim
