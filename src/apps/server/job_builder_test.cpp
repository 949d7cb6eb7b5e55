#include "apps/server/job_builder.h"

#include <gtest/gtest.h>

#include "jobs/testing/job_examples.h"
#include "jobs/transitions.h"

namespace trainyard::apps {
namespace {

class JobBuilderTest : public ::testing::Test {
 protected:
  /// A gang whose ranks lie on these nodes, in its first attempt.
  static jobs::Job gang_on(const std::vector<std::string>& nodes) {
    jobs::Job job = jobs::testing::queued_job(static_cast<std::int64_t>(nodes.size()));
    job.run.text = "0123456789abcdef0123456789abcdef";
    std::vector<NodeName> names;
    for (const std::string& node : nodes) names.push_back({node});
    jobs::start(job, names, jobs::testing::kStart);
    return job;
  }
  static std::string env(const exec::GangLaunch& launch, std::size_t rank, const std::string& name) {
    const auto found = launch.ranks.at(rank).env.find(name);
    return found == launch.ranks.at(rank).env.end() ? "(none)" : found->second;
  }
  static std::string text_of(const exec::GangLaunch& launch) {
    std::string text;
    for (const exec::RankLaunch& rank : launch.ranks) text += to_json(exec::to_document(rank)) + "\n";
    return text;
  }

  std::vector<AttemptKey> tokens;
  JobBuilder builder{{.api_url = "http://127.0.0.1:8470", .object_root = "/data/objects", .checkpoint_root = "/data/checkpoints"},
                     [this](const jobs::Job& job) {
                       const AttemptKey attempt{job.id, job.attempt.number};
                       tokens.push_back(attempt);
                       return "token-" + attempt.job.text() + "-" + attempt.attempt.text();
                     }};
};

TEST_F(JobBuilderTest, every_rank_knows_its_place_in_the_gang_and_on_its_node) {
  const exec::GangLaunch launch = builder.build(gang_on({"a", "b", "a", "b", "b"}));
  ASSERT_EQ(launch.ranks.size(), 5u);
  const char* local[] = {"0", "0", "1", "1", "2"};
  const char* world[] = {"2", "3", "2", "3", "3"};
  for (std::size_t rank = 0; rank < 5; ++rank) {
    EXPECT_EQ(launch.ranks[rank].rank.rank, rank);
    EXPECT_EQ(env(launch, rank, "RANK"), std::to_string(rank));
    EXPECT_EQ(env(launch, rank, "WORLD_SIZE"), "5");
    EXPECT_EQ(env(launch, rank, "LOCAL_RANK"), local[rank]);
    EXPECT_EQ(env(launch, rank, "LOCAL_WORLD_SIZE"), world[rank]);
    EXPECT_EQ(env(launch, rank, "MASTER_PORT"), env(launch, 0, "MASTER_PORT"));
  }
  EXPECT_EQ(launch.nodes[1].text, "b");
}

TEST_F(JobBuilderTest, url_that_is_not_public_is_left_to_the_agents) {
  JobBuilder local{{.api_url = "http://127.0.0.1:8470", .api_url_is_public = false}, [](const jobs::Job&) { return "token"; }};
  jobs::Job job = gang_on({"a", "b"});
  job.spec.env["TRAINYARD_API_URL"] = "http://elsewhere.example";
  const exec::GangLaunch launch = local.build(job);
  for (std::size_t rank : {0u, 1u}) {
    EXPECT_EQ(env(launch, rank, "TRAINYARD_API_URL"), "(none)") << "what the job says of it counts nowhere";
    EXPECT_EQ(env(launch, rank, "MLFLOW_TRACKING_URI"), "(none)");
  }
}

TEST_F(JobBuilderTest, contract_is_complete_and_the_token_is_of_this_attempt) {
  const exec::GangLaunch launch = builder.build(gang_on({"a", "a"}));
  EXPECT_EQ(env(launch, 0, "TRAINYARD_JOB_ID"), "7");
  EXPECT_EQ(env(launch, 0, "TRAINYARD_ATTEMPT"), "1");
  EXPECT_EQ(env(launch, 0, "TRAINYARD_API_URL"), "http://127.0.0.1:8470");
  EXPECT_EQ(env(launch, 0, "TRAINYARD_CHECKPOINT_URI"), "file:///data/checkpoints/7");
  EXPECT_EQ(env(launch, 0, "MASTER_ADDR"), "127.0.0.1");
  EXPECT_EQ(env(launch, 0, "MLFLOW_TRACKING_URI"), "http://127.0.0.1:8470");
  EXPECT_EQ(env(launch, 0, "MLFLOW_RUN_ID"), "0123456789abcdef0123456789abcdef");
  EXPECT_EQ(env(launch, 1, "MLFLOW_TRACKING_TOKEN"), "token-7-1");
  EXPECT_EQ(launch.ranks[1].token, "token-7-1");
  EXPECT_EQ(tokens, (std::vector<AttemptKey>{{JobId(7), AttemptNumber(1)}}));
}

TEST_F(JobBuilderTest, environment_of_the_job_is_added_and_cannot_replace_the_contract) {
  jobs::Job job = gang_on({"a"});
  job.spec.env = {{"MINE", "yes"}, {"RANK", "9"}, {"TRAINYARD_ATTEMPT", "9"}, {"MLFLOW_TRACKING_TOKEN", "stolen"}};
  const exec::GangLaunch launch = builder.build(job);
  EXPECT_EQ(env(launch, 0, "MINE"), "yes");
  EXPECT_EQ(env(launch, 0, "RANK"), "0");
  EXPECT_EQ(env(launch, 0, "TRAINYARD_ATTEMPT"), "1");
  EXPECT_EQ(env(launch, 0, "MLFLOW_TRACKING_TOKEN"), "token-7-1");
}

TEST_F(JobBuilderTest, equal_jobs_give_equal_launches) {
  const jobs::Job job = gang_on({"a", "b"});
  EXPECT_EQ(text_of(builder.build(job)), text_of(builder.build(jobs::decode_job(jobs::encode_job(job)).value())));
}

TEST_F(JobBuilderTest, attempts_meet_at_ports_of_their_own_away_from_the_ephemeral_range) {
  jobs::Job job = gang_on({"a"});
  const std::string first = env(builder.build(job), 0, "MASTER_PORT");
  job.attempt.number = AttemptNumber(2);
  const std::string second = env(builder.build(job), 0, "MASTER_PORT");
  EXPECT_NE(first, second);
  for (const std::string& port : {first, second}) {
    EXPECT_GE(std::stoi(port), 20'000);
    EXPECT_LT(std::stoi(port), 32'768);
  }
}

TEST_F(JobBuilderTest, threads_are_the_whole_cores_of_a_task_and_at_least_one) {
  jobs::Job job = gang_on({"a"});
  for (const auto& [milli, threads] : {std::pair(100, "1"), std::pair(900, "1"), std::pair(1000, "1"), std::pair(3500, "3")}) {
    job.spec.resources.cpu.milli = milli;
    EXPECT_EQ(env(builder.build(job), 0, "OMP_NUM_THREADS"), threads) << milli;
  }
}

TEST_F(JobBuilderTest, command_is_run_as_it_is_and_a_kind_by_its_program) {
  jobs::Job job = gang_on({"a"});
  EXPECT_EQ(builder.build(job).ranks[0].argv, (std::vector<std::string>{"work"}));
  job.spec.kind = "ingest";
  EXPECT_EQ(builder.build(job).ranks[0].argv, (std::vector<std::string>{"trainyard-etl", "ingest"}));
}

TEST_F(JobBuilderTest, spec_file_holds_the_job_and_what_was_pinned) {
  jobs::Job job = gang_on({"a"});
  job.spec.config = parse_json(R"({"epochs":3})").value();
  job.spec.limits.grace = std::chrono::seconds(5);
  job.resolved = parse_json(R"({"inputs":{"data":{"ref":"fashion@3/curated"}},"outputs":{"out":{"name":"x","layer":"raw"}}})").value();
  const Document spec = builder.build(job).ranks[0].spec;
  EXPECT_EQ(to_json(spec),
            R"({"job_id":"7","attempt":1,"kind":"command","name":"work","config":{"epochs":3},"checkpoint_every":"1m","grace":"5s",)"
            R"("object_root":"/data/objects","inputs":{"data":{"ref":"fashion@3/curated"}},"outputs":{"out":{"name":"x","layer":"raw"}}})");
  const Document bare = builder.build(gang_on({"a"})).ranks[0].spec;
  EXPECT_TRUE(bare["config"].is_object() && bare["inputs"].is_object() && bare["outputs"].is_object());
}

}  // namespace
}  // namespace trainyard::apps
