#pragma once
#include <string>
#include <vector>

#include "exec/execution_backend.h"

namespace trainyard::adapters::kubernetes {

/// How attempts look in a Kubernetes cluster.
struct ManifestSettings {
  std::string name_space = "trainyard";           ///< The Kubernetes namespace of jobs.
  std::string image = "trainyard/job:latest";     ///< Holds the programs of Trainyard in its PATH.
  std::string service_account = "trainyard-job";  ///< Of the pods; they get no token of it.
};

/// "trainyard-17-1": the attempt in a form that Kubernetes takes as a name. The same attempt always has the same name, so that applying it
/// twice makes one object.
std::string manifest_name(const AttemptKey& attempt);

/// What is applied for one attempt, in order: for a gang a headless Service that gives its ranks addresses, and the Job, one pod for each
/// rank. Kubernetes restarts nothing by itself: Trainyard counts attempts. Pods keep to the restricted pod security standard. The token and
/// the spec of the attempt come from a Secret of the same name, which no manifest shows.
std::vector<Document> attempt_manifests(const exec::GangLaunch& launch, const ManifestSettings& settings);

/// The manifests as one YAML text, documents parted by "---".
std::string manifest_text(const std::vector<Document>& manifests);

}  // namespace trainyard::adapters::kubernetes
