#include "adapters/kubernetes/job_manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/check.h"

namespace trainyard::adapters::kubernetes {
namespace {

constexpr const char* kSecretDirectory = "/var/run/trainyard";
constexpr const char* kWorkDirectory = "/work";
constexpr int kUser = 65'532;  // Not root; what images call "nonroot".
constexpr std::int64_t kCheckpointedExit = 75;

using Members = std::vector<std::pair<std::string, Document>>;

Document object(Members members) {
  Document out = Document::object();
  for (auto& [key, value] : members) out.set(key, std::move(value));
  return out;
}

Document labels_of(const AttemptKey& attempt) {
  return object({{"app.kubernetes.io/name", "trainyard"},
                 {"app.kubernetes.io/component", "job"},
                 {"trainyard/job", attempt.job.text()},
                 {"trainyard/attempt", attempt.attempt.text()}});
}

Document metadata(const std::string& name, const AttemptKey& attempt, const ManifestSettings& settings) {
  return object({{"name", name}, {"namespace", settings.name_space}, {"labels", labels_of(attempt)}});
}

Document variable(const std::string& name, const std::string& value) { return object({{"name", name}, {"value", value}}); }

/// The environment of every rank: what differs between ranks comes from the pod itself, and secrets from files.
Document environment(const exec::GangLaunch& launch, const std::string& name) {
  static const std::set<std::string> of_the_pod{
      "RANK",           "LOCAL_RANK",           "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "MLFLOW_TRACKING_TOKEN",
      "TRAINYARD_SPEC", "TRAINYARD_TOKEN_FILE", "TRAINYARD_WORKDIR"};
  const exec::RankLaunch& first = launch.ranks.front();
  Document out = Document::array();
  for (const auto& [key, value] : first.env) {
    if (!of_the_pod.contains(key)) out.push(variable(key, value));
  }
  const std::size_t world = launch.ranks.size();
  Document index = object({{"fieldPath", "metadata.annotations['batch.kubernetes.io/job-completion-index']"}});
  out.push(object({{"name", "RANK"}, {"valueFrom", object({{"fieldRef", std::move(index)}})}}));
  out.push(variable("LOCAL_RANK", "0"));
  out.push(variable("LOCAL_WORLD_SIZE", "1"));
  out.push(variable("WORLD_SIZE", std::to_string(world)));
  out.push(variable("MASTER_ADDR", world == 1 ? "127.0.0.1" : fmt::format("{0}-0.{0}", name)));
  const auto port = first.env.find("MASTER_PORT");
  if (port != first.env.end()) out.push(variable("MASTER_PORT", port->second));
  out.push(variable("TRAINYARD_SPEC", fmt::format("{}/spec.json", kSecretDirectory)));
  out.push(variable("TRAINYARD_TOKEN_FILE", fmt::format("{}/token", kSecretDirectory)));
  out.push(variable("TRAINYARD_WORKDIR", kWorkDirectory));
  return out;
}

/// Requests and limits alike, so that the pod keeps what it was placed with.
Document resources_of(const Resources& resources) {
  Document amounts = Document::object();
  amounts.set("cpu", fmt::format("{}m", resources.milli_cpu));
  amounts.set("memory", std::to_string(resources.memory_bytes));
  // Kubernetes knows whole devices only.
  if (resources.milli_gpu > 0) amounts.set("nvidia.com/gpu", std::to_string((resources.milli_gpu + 999) / 1000));
  return object({{"requests", amounts}, {"limits", amounts}});
}

Document container(const exec::GangLaunch& launch, const std::string& name, const ManifestSettings& settings) {
  Document command = Document::array();
  for (const std::string& word : launch.ranks.front().argv) command.push(word);
  Document dropped = Document::array();
  dropped.push("ALL");
  Document mounts = Document::array();
  mounts.push(object({{"name", "attempt"}, {"mountPath", kSecretDirectory}, {"readOnly", true}}));
  mounts.push(object({{"name", "work"}, {"mountPath", kWorkDirectory}}));
  mounts.push(object({{"name", "tmp"}, {"mountPath", "/tmp"}}));
  return object({{"name", "rank"},
                 {"image", settings.image},
                 {"command", std::move(command)},
                 {"workingDir", kWorkDirectory},
                 {"env", environment(launch, name)},
                 {"resources", resources_of(launch.ranks.front().resources)},
                 {"volumeMounts", std::move(mounts)},
                 {"securityContext", object({{"allowPrivilegeEscalation", false},
                                             {"readOnlyRootFilesystem", true},
                                             {"capabilities", object({{"drop", std::move(dropped)}})}})}});
}

Document volumes(const std::string& name) {
  Document out = Document::array();
  out.push(object({{"name", "attempt"}, {"secret", object({{"secretName", name}, {"defaultMode", 0440}})}}));
  out.push(object({{"name", "work"}, {"emptyDir", Document::object()}}));
  out.push(object({{"name", "tmp"}, {"emptyDir", Document::object()}}));
  return out;
}

Document pod_template(const exec::GangLaunch& launch, const std::string& name, const ManifestSettings& settings) {
  const std::int64_t grace_seconds = std::max<std::int64_t>(1, launch.ranks.front().grace.count() / 1'000'000);
  Document containers = Document::array();
  containers.push(container(launch, name, settings));
  Document spec = object(
      {{"restartPolicy", "Never"},
       {"serviceAccountName", settings.service_account},
       {"automountServiceAccountToken", false},
       {"terminationGracePeriodSeconds", grace_seconds},
       {"securityContext",
        object(
            {{"runAsNonRoot", true}, {"runAsUser", kUser}, {"fsGroup", kUser}, {"seccompProfile", object({{"type", "RuntimeDefault"}})}})},
       {"containers", std::move(containers)},
       {"volumes", volumes(name)}});
  if (launch.ranks.size() > 1) spec.set("subdomain", name);
  return object({{"metadata", object({{"labels", labels_of(launch.attempt)}})}, {"spec", std::move(spec)}});
}

/// A disruption, and a stop with a checkpoint, end the whole attempt: Trainyard starts the next one. Replacing one pod would leave its gang
/// behind.
Document failure_policy() {
  Document disrupted = Document::array();
  disrupted.push(object({{"type", "DisruptionTarget"}, {"status", "True"}}));
  Document codes = Document::array();
  codes.push(kCheckpointedExit);
  Document rules = Document::array();
  rules.push(object({{"action", "FailJob"}, {"onPodConditions", std::move(disrupted)}}));
  rules.push(object(
      {{"action", "FailJob"}, {"onExitCodes", object({{"containerName", "rank"}, {"operator", "In"}, {"values", std::move(codes)}})}}));
  return object({{"rules", std::move(rules)}});
}

Document gang_service(const exec::GangLaunch& launch, const std::string& name, const ManifestSettings& settings) {
  return object({{"apiVersion", "v1"},
                 {"kind", "Service"},
                 {"metadata", metadata(name, launch.attempt, settings)},
                 {"spec", object({{"clusterIP", "None"},
                                  {"publishNotReadyAddresses", true},
                                  {"selector", object({{"trainyard/job", launch.attempt.job.text()},
                                                       {"trainyard/attempt", launch.attempt.attempt.text()}})}})}});
}

}  // namespace

std::string manifest_name(const AttemptKey& attempt) { return fmt::format("trainyard-{}-{}", attempt.job.value, attempt.attempt.value); }

std::vector<Document> attempt_manifests(const exec::GangLaunch& launch, const ManifestSettings& settings) {
  CHECK(!launch.ranks.empty(), "an attempt has at least one rank");
  const std::string name = manifest_name(launch.attempt);
  const auto ranks = static_cast<std::int64_t>(launch.ranks.size());
  std::vector<Document> manifests;
  if (ranks > 1) manifests.push_back(gang_service(launch, name, settings));
  manifests.push_back(object({{"apiVersion", "batch/v1"},
                              {"kind", "Job"},
                              {"metadata", metadata(name, launch.attempt, settings)},
                              {"spec", object({{"completions", ranks},
                                               {"parallelism", ranks},
                                               {"completionMode", "Indexed"},
                                               {"backoffLimit", 0},
                                               {"podFailurePolicy", failure_policy()},
                                               {"template", pod_template(launch, name, settings)}})}}));
  return manifests;
}

std::string manifest_text(const std::vector<Document>& manifests) {
  std::string text;
  for (const Document& manifest : manifests) text += (text.empty() ? "" : "---\n") + to_yaml(manifest);
  return text;
}

}  // namespace trainyard::adapters::kubernetes
