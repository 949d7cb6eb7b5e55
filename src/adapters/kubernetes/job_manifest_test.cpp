#include "adapters/kubernetes/job_manifest.h"

#include <gtest/gtest.h>

namespace trainyard::adapters::kubernetes {
namespace {

exec::GangLaunch launch_of(std::uint32_t ranks) {
  exec::GangLaunch launch;
  launch.attempt = {JobId(17), AttemptNumber(2)};
  for (std::uint32_t rank = 0; rank < ranks; ++rank) {
    exec::RankLaunch one;
    one.rank = {launch.attempt, rank};
    one.argv = {"trainyard-train", "--verbose"};
    one.env = {{"RANK", std::to_string(rank)}, {"MASTER_PORT", "20100"}, {"MODE", "yes"}, {"MLFLOW_TRACKING_TOKEN", "secret-token"}};
    one.token = "secret-token";
    one.resources = {900, std::int64_t{512} << 20, 1500};
    launch.ranks.push_back(std::move(one));
  }
  return launch;
}

const Document& container_of(const Document& job) { return job["spec"]["template"]["spec"]["containers"].items().front(); }

std::string variable_of(const Document& job, std::string_view name) {
  for (const Document& variable : container_of(job)["env"].items()) {
    if (variable["name"].text() == name) return variable["value"].text();
  }
  return "";
}

TEST(JobManifest, single_rank_needs_no_service) {
  const std::vector<Document> manifests = attempt_manifests(launch_of(1), {});
  ASSERT_EQ(manifests.size(), 1U);
  EXPECT_EQ(manifests[0]["kind"].text(), "Job");
  EXPECT_EQ(manifests[0]["metadata"]["name"].text(), "trainyard-17-2");
  EXPECT_EQ(variable_of(manifests[0], "MASTER_ADDR"), "127.0.0.1");
}

TEST(JobManifest, gang_has_a_pod_for_each_rank_and_one_address) {
  const std::vector<Document> manifests = attempt_manifests(launch_of(4), {});
  ASSERT_EQ(manifests.size(), 2U);
  EXPECT_EQ(manifests[0]["kind"].text(), "Service");
  const Document& job = manifests[1];
  EXPECT_EQ(job["spec"]["completions"].as_int().value_or(0), 4);
  EXPECT_EQ(job["spec"]["parallelism"].as_int().value_or(0), 4);
  EXPECT_EQ(variable_of(job, "WORLD_SIZE"), "4");
  EXPECT_EQ(variable_of(job, "MASTER_ADDR"), "trainyard-17-2-0.trainyard-17-2");
  EXPECT_EQ(job["spec"]["template"]["spec"]["subdomain"].text(), manifests[0]["metadata"]["name"].text());
}

TEST(JobManifest, pod_never_restarts_and_holds_no_privilege) {
  const Document job = attempt_manifests(launch_of(1), {}).back();
  const Document& pod = job["spec"]["template"]["spec"];
  EXPECT_EQ(job["spec"]["backoffLimit"].as_int().value_or(-1), 0);
  EXPECT_EQ(pod["restartPolicy"].text(), "Never");
  EXPECT_TRUE(pod["securityContext"]["runAsNonRoot"].as_bool().value_or(false));
  EXPECT_FALSE(container_of(job)["securityContext"]["allowPrivilegeEscalation"].as_bool().value_or(true));
  EXPECT_FALSE(pod["automountServiceAccountToken"].as_bool().value_or(true));
}

TEST(JobManifest, devices_are_rounded_up_to_whole_ones) {
  const Document job = attempt_manifests(launch_of(1), {}).back();
  EXPECT_EQ(container_of(job)["resources"]["limits"]["nvidia.com/gpu"].text(), "2");
  EXPECT_EQ(container_of(job)["resources"]["requests"]["cpu"].text(), "900m");
}

TEST(JobManifest, token_is_in_no_text) {
  EXPECT_EQ(manifest_text(attempt_manifests(launch_of(2), {})).find("secret-token"), std::string::npos);
}

TEST(JobManifest, text_reads_back_as_what_was_written) {
  const std::vector<Document> manifests = attempt_manifests(launch_of(1), {});
  const Result<Document> read = parse_yaml(manifest_text(manifests), "manifest.yaml");
  ASSERT_TRUE(read.ok()) << read.error().describe();
  EXPECT_EQ(to_json(*read), to_json(manifests[0]));
  EXPECT_EQ(variable_of(*read, "MODE"), "yes");
}

}  // namespace
}  // namespace trainyard::adapters::kubernetes
