#include "exec/attempt.h"

#include <gtest/gtest.h>

namespace trainyard::exec {
namespace {

RankKey key(std::uint64_t job, std::uint32_t attempt, std::uint32_t rank) { return {{JobId(job), AttemptNumber(attempt)}, rank}; }

RankLaunch example_launch() {
  RankLaunch launch;
  launch.rank = key(17, 2, 1);
  launch.argv = {"trainyard-train", "--flag", "two words"};
  launch.env = {{"RANK", "1"}, {"WORLD_SIZE", "2"}};
  launch.spec = Document::object({{"config", Document::object({{"epochs", 3}})}});
  launch.token = "secret";
  launch.workdir = "/somewhere";
  launch.resources = {1500, 1 << 30, 0};
  launch.grace = Duration(5'000'000);
  launch.devices = {0, 3};
  return launch;
}

/// Through text, as on the wire.
Document reparsed(const Document& document) { return parse_json(to_json(document)).value(); }

TEST(AttemptDocuments, launch_survives_the_wire) {
  const RankLaunch launch = example_launch();
  const Result<RankLaunch> read = rank_launch_from(reparsed(to_document(launch)));
  ASSERT_TRUE(read.ok()) << read.error().describe();
  EXPECT_EQ(read->rank, launch.rank);
  EXPECT_EQ(read->argv, launch.argv);
  EXPECT_EQ(read->env, launch.env);
  EXPECT_EQ(read->spec, launch.spec);
  EXPECT_EQ(read->token, launch.token);
  EXPECT_EQ(read->workdir, launch.workdir);
  EXPECT_EQ(read->resources, launch.resources);
  EXPECT_EQ(read->grace, launch.grace);
  EXPECT_EQ(read->devices, launch.devices);
}

TEST(AttemptDocuments, job_ids_beyond_what_a_double_holds_survive_the_wire) {
  const RankKey large = key(0xffff'ffff'ffff'fff1, 0xffff'ffff, 7);
  EXPECT_EQ(rank_key_from(reparsed(to_document(large))).value(), large);
  EXPECT_EQ(text_of(key(17, 2, 0)), "17/2/0");
}

TEST(AttemptDocuments, observation_with_running_and_ended_ranks_survives_the_wire) {
  NodeObservation observation{NodeName{"n1"}, "boot", {4000, 1 << 30, 0}, {}, "kernel", 99};
  observation.ranks.push_back({key(1, 1, 0), RankObservation::Phase::kRunning, 123, time_from_micros(5), {}});
  RankExit exit{.code = 137, .signal = 9, .oom = true, .stop_requested = true, .lost = true, .launch_error = "why"};
  exit.ended_at = time_from_micros(9);
  exit.usage = RankUsage{.cpu_us = 1'234'567, .max_rss_bytes = 5LL << 30};
  observation.ranks.push_back({key(1, 1, 1), RankObservation::Phase::kExited, 124, time_from_micros(6), exit});
  RankObservation prepared{key(2, 1, 0), RankObservation::Phase::kPrepared, 0, {}, {}};
  prepared.limited_by = "cgroup2";
  prepared.devices = {1};
  prepared.port = 20'017;
  prepared.output_held = true;
  observation.ranks.push_back(prepared);
  const Result<NodeObservation> read = node_observation_from(reparsed(to_document(observation)));
  ASSERT_TRUE(read.ok()) << read.error().describe();
  EXPECT_EQ(read->node, observation.node);
  EXPECT_EQ(read->boot_id, "boot");
  EXPECT_EQ(read->host_boot, "kernel");
  EXPECT_EQ(read->stamp, 99u);
  EXPECT_EQ(read->capacity, observation.capacity);
  ASSERT_EQ(read->ranks.size(), 3u);
  EXPECT_EQ(read->ranks[0].phase, RankObservation::Phase::kRunning);
  EXPECT_EQ(read->ranks[0].pid, 123);
  ASSERT_TRUE(read->ranks[1].exit.has_value());
  EXPECT_EQ(to_json(to_document(*read->ranks[1].exit)), to_json(to_document(exit)));
  EXPECT_EQ(read->ranks[1].exit->usage, exit.usage);
  EXPECT_EQ(read->ranks[2].phase, RankObservation::Phase::kPrepared);
  EXPECT_EQ(read->ranks[2].limited_by, "cgroup2");
  EXPECT_EQ(read->ranks[2].devices, prepared.devices);
  EXPECT_EQ(read->ranks[2].port, 20'017);
  EXPECT_TRUE(read->ranks[2].output_held);
}

TEST(AttemptDocuments, facts_of_a_node_survive_the_wire) {
  NodeObservation observation{NodeName{"n1"}, "boot", {4000, 1 << 30, 2000}, {}, "kernel", 99};
  observation.facts.labels = {{"arch", "x86_64"}, {"rack", "r1"}};
  observation.facts.gpus = {{0, "GPU-1", "NVIDIA H200", 139LL << 30}, {3, "", "older", 1}};
  observation.facts.pool = "gpu";
  observation.facts.agent_version = "0.5";
  observation.facts.address = "10.0.0.7";
  observation.installation = "f00";
  observation.leaving = true;
  const Result<NodeObservation> read = node_observation_from(reparsed(to_document(observation)));
  ASSERT_TRUE(read.ok()) << read.error().describe();
  EXPECT_EQ(read->facts, observation.facts);
  EXPECT_EQ(read->installation, "f00");
  EXPECT_TRUE(read->leaving);
}

TEST(AttemptDocuments, report_of_an_agent_that_tells_no_facts_is_read) {
  const Document old = Document::object({{"node", "n1"}, {"boot_id", "b"}, {"capacity", Document::object()}, {"stamp", 1}});
  const Result<NodeObservation> read = node_observation_from(reparsed(old));
  ASSERT_TRUE(read.ok()) << read.error().describe();
  EXPECT_EQ(read->facts, NodeFacts{});
  EXPECT_TRUE(read->installation.empty());
}

TEST(AttemptDocuments, desired_state_survives_the_wire) {
  DesiredState desired{1'700'000'000'000'001, {}, "life"};
  desired.ranks.push_back({.launch = example_launch(), .stop = true, .checkpoint = true, .checkpoint_number = 4, .given_up = true});
  desired.ranks.push_back({.launch = {}, .released = false, .known = true});
  const Result<DesiredState> read = desired_state_from(reparsed(to_document(desired)));
  ASSERT_TRUE(read.ok()) << read.error().describe();
  EXPECT_EQ(read->version, desired.version);
  ASSERT_EQ(read->ranks.size(), 2u);
  EXPECT_EQ(read->epoch, "life");
  EXPECT_TRUE(read->ranks[0].released);
  EXPECT_FALSE(read->ranks[0].known);
  EXPECT_FALSE(read->ranks[1].released);
  EXPECT_TRUE(read->ranks[1].known);
  EXPECT_TRUE(read->ranks[0].stop);
  EXPECT_TRUE(read->ranks[0].given_up);
  EXPECT_EQ(read->ranks[0].checkpoint_number, 4u);
}

TEST(AttemptDocuments, damaged_documents_are_refused) {
  Document launch = to_document(example_launch());
  launch.set("argv", Document::array({Document(1)}));
  EXPECT_EQ(rank_launch_from(launch).error().category, Category::kInvalidArgument);
  EXPECT_FALSE(rank_key_from(Document::object({{"job", "x"}, {"attempt", 1}, {"rank", 0}})).ok());
  EXPECT_FALSE(rank_key_from(Document::object({{"job", "1"}, {"attempt", -1}, {"rank", 0}})).ok());
  EXPECT_FALSE(rank_key_from(Document::object({{"job", "1"}, {"attempt", 1}, {"rank", 4'294'967'296}})).ok());
  const Document rank = to_document(key(1, 1, 0));
  EXPECT_FALSE(rank_observation_from(Document::object({{"rank", rank}, {"phase", "dancing"}})).ok());
  EXPECT_FALSE(rank_observation_from(Document::object({{"rank", rank}, {"phase", "exited"}})).ok()) << "an end without a record";
}

}  // namespace
}  // namespace trainyard::exec
