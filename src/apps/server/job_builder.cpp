#include "apps/server/job_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "adapters/kubernetes/job_manifest.h"
#include "apps/server/runners.h"
#include "base/check.h"

namespace trainyard::apps {

namespace kubernetes = adapters::kubernetes;

namespace {

/// Gangs on one host meet at a port of their own, away from the ephemeral range; the fence keeps attempts apart.
std::uint64_t master_port(const AttemptKey& attempt) { return 20'000 + (attempt.job.value * 31 + attempt.attempt.value) % 10'000; }

std::vector<std::string> command_line(const JobSpec& spec) {
  const RunnerKind* runner = find_runner(spec.kind);
  CHECK(runner != nullptr, "the resolver lets only known kinds pass");
  return runner->argv.empty() ? spec.command : runner->argv;
}

}  // namespace

Document JobBuilder::spec_document(const jobs::Job& job) const {
  Document spec = Document::object();
  spec.set("job_id", job.id.text());
  spec.set("attempt", static_cast<std::int64_t>(job.attempt.number.value));
  spec.set("kind", job.spec.kind);
  spec.set("name", job.spec.name);
  spec.set("config", job.spec.config.is_null() ? Document::object() : job.spec.config);
  spec.set("checkpoint_every", format_duration(job.spec.checkpoint_every));
  spec.set("grace", format_duration(job.spec.limits.grace));
  spec.set("object_root", settings_.object_root);
  spec.set("inputs", job.resolved["inputs"].is_null() ? Document::object() : job.resolved["inputs"]);
  spec.set("outputs", job.resolved["outputs"].is_null() ? Document::object() : job.resolved["outputs"]);
  return spec;
}

exec::RankLaunch JobBuilder::build_rank(const jobs::Job& job, const std::string& token, std::uint32_t rank) const {
  const std::size_t world = job.attempt.ranks.size();
  const auto on_same_node = [&job, rank](const jobs::RankStatus& other) { return other.node == job.attempt.ranks[rank].node; };
  const auto first = job.attempt.ranks.begin();
  const auto local_rank = std::count_if(first, first + rank, on_same_node);
  const auto local_world = std::count_if(first, job.attempt.ranks.end(), on_same_node);
  const Resources resources = jobs::task_resources(job);

  exec::RankLaunch launch;
  launch.rank = {{job.id, job.attempt.number}, rank};
  launch.argv = command_line(job.spec);
  launch.env = job.spec.env;
  launch.spec = spec_document(job);
  launch.token = token;
  launch.resources = resources;
  launch.grace = job.spec.limits.grace;

  const std::map<std::string, std::string> contract{
      {"TRAINYARD_JOB_ID", job.id.text()},
      {"TRAINYARD_ATTEMPT", job.attempt.number.text()},
      {"TRAINYARD_API_URL", settings_.api_url},
      {"TRAINYARD_CHECKPOINT_URI", fmt::format("file://{}/{}", settings_.checkpoint_root, job.id.value)},
      {"RANK", std::to_string(rank)},
      {"LOCAL_RANK", std::to_string(local_rank)},
      {"WORLD_SIZE", std::to_string(world)},
      {"LOCAL_WORLD_SIZE", std::to_string(local_world)},
      {"MASTER_ADDR", "127.0.0.1"},
      {"MASTER_PORT", std::to_string(master_port(launch.rank.attempt))},
      {"OMP_NUM_THREADS", std::to_string(std::max<std::int64_t>(1, resources.milli_cpu / 1000))},
      {"MLFLOW_TRACKING_URI", settings_.api_url},
      {"MLFLOW_RUN_ID", job.run.text},
      {"MLFLOW_TRACKING_TOKEN", token},
  };
  for (const auto& [name, value] : contract) launch.env[name] = value;
  return launch;
}

exec::GangLaunch JobBuilder::build(const jobs::Job& job) {
  exec::GangLaunch launch;
  launch.attempt = {job.id, job.attempt.number};
  const std::string token = issue_token_(job);
  for (std::uint32_t rank = 0; rank < job.attempt.ranks.size(); ++rank) {
    launch.nodes.push_back(job.attempt.ranks[rank].node);
    launch.ranks.push_back(build_rank(job, token, rank));
  }
  if (settings_.kubernetes_preview) {
    Document preview = Document::object();
    preview.set("name", kubernetes::manifest_name(launch.attempt));
    preview.set("manifest", kubernetes::manifest_text(kubernetes::attempt_manifests(launch, {})));
    launch.ranks.front().spec.set("kubernetes_preview", std::move(preview));
  }
  if (!settings_.api_url_is_public) {
    for (exec::RankLaunch& rank : launch.ranks) {
      rank.env.erase("TRAINYARD_API_URL");
      rank.env.erase("MLFLOW_TRACKING_URI");
    }
  }
  return launch;
}

}  // namespace trainyard::apps
