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
  observation.ranks.push_back({key(1, 1, 1), RankObservation::Phase::kExited, 124, time_from_micros(6), exit});
  const Result<NodeObservation> read = node_observation_from(reparsed(to_document(observation)));
  ASSERT_TRUE(read.ok()) << read.error().describe();
  EXPECT_EQ(read->node, observation.node);
  EXPECT_EQ(read->boot_id, "boot");
  EXPECT_EQ(read->host_boot, "kernel");
  EXPECT_EQ(read->stamp, 99u);
  EXPECT_EQ(read->capacity, observation.capacity);
  ASSERT_EQ(read->ranks.size(), 2u);
  EXPECT_EQ(read->ranks[0].phase, RankObservation::Phase::kRunning);
  EXPECT_EQ(read->ranks[0].pid, 123);
  ASSERT_TRUE(read->ranks[1].exit.has_value());
  EXPECT_EQ(to_json(to_document(*read->ranks[1].exit)), to_json(to_document(exit)));
}

TEST(AttemptDocuments, desired_state_survives_the_wire) {
  DesiredState desired{1'700'000'000'000'001, {}, "life"};
  desired.ranks.push_back({.launch = example_launch(), .stop = true, .checkpoint = true, .checkpoint_number = 4, .given_up = true});
  const Result<DesiredState> read = desired_state_from(reparsed(to_document(desired)));
  ASSERT_TRUE(read.ok()) << read.error().describe();
  EXPECT_EQ(read->version, desired.version);
  ASSERT_EQ(read->ranks.size(), 1u);
  EXPECT_EQ(read->epoch, "life");
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
