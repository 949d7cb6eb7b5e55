#pragma once
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "track/run_caller.h"
#include "track/tracking.h"

namespace trainyard::track {

// Tracking as one caller may use it. A run that the caller does not see is like one that is not there, in the very words; one that it sees
// and may not change is PERMISSION_DENIED "auth.forbidden". Everything else, errors and threads included, is as in what is guarded.

/// RunRepository for one caller.
class GuardedRuns {
 public:
  /// Both outlive it.
  GuardedRuns(RunRepository& runs, const RunCaller& caller) : runs_(runs), caller_(caller) {}

  /// The run of an attempt belongs to its job. The namespace: that of the tag "trainyard.namespace", else that of the parent run, else
  /// "default", else the first by name in which the caller may write; the first of these that it may write in, but a tag it must.
  Result<Run> create(NewRun run);
  Result<Run> get(const RunId& id);
  Result<RunInfo> update(const RunId& id, const RunUpdate& update);
  Result<void> set_lifecycle(const RunId& id, Lifecycle lifecycle);
  /// Errors: also INVALID_ARGUMENT "track.reserved_tag": a run stays in its namespace.
  Result<void> log(const RunId& id, const RunBatch& batch);
  Result<void> delete_tag(const RunId& id, const std::string& key);
  Result<std::vector<MetricPoint>> history(const RunId& id, const std::string& key);
  /// Only what the caller sees.
  Result<RunPage> search(RunSearch search);

 private:
  Result<std::optional<RunInfo>> head(const RunId& id);
  Result<void> check_writable(const RunId& id);
  Result<std::string> namespace_for(const NewRun& run);

  RunRepository& runs_;
  const RunCaller& caller_;
};

/// ModelRegistry for one caller. Models belong to everybody; only what a run gives to them is asked for.
class GuardedModels : private ModelRegistry {
 public:
  /// What is referred to outlives it.
  GuardedModels(const ModelRegistry& models, RunRepository& runs, const RunCaller& caller)
      : ModelRegistry(models), runs_(runs), caller_(caller) {}

  using ModelRegistry::create_model;
  using ModelRegistry::delete_alias;
  using ModelRegistry::delete_model;
  using ModelRegistry::delete_model_tag;
  using ModelRegistry::delete_version;
  using ModelRegistry::delete_version_tag;
  using ModelRegistry::describe_model;
  using ModelRegistry::describe_version;
  using ModelRegistry::get_model;
  using ModelRegistry::get_version;
  using ModelRegistry::latest_versions;
  using ModelRegistry::rename_model;
  using ModelRegistry::search_models;
  using ModelRegistry::search_versions;
  using ModelRegistry::set_alias;
  using ModelRegistry::set_model_tag;
  using ModelRegistry::set_stage;
  using ModelRegistry::set_version_tag;
  using ModelRegistry::version_of_alias;

  /// Registering shows the files below the source to everybody, so it takes that the caller may write in the namespace of the run.
  Result<ModelVersion> create_version(const NewModelVersion& version);
  /// Where the files of a version are: its source, "runs:/ID/path" as a location below the artifacts of the run.
  Result<std::string> location_of(const ModelVersion& version);

 private:
  RunRepository& runs_;
  const RunCaller& caller_;
};

/// ArtifactRepository for one caller. A path belongs to the runs whose artifacts lie there, above it or below it; the caller must be
/// allowed what it does for each of them. What belongs to no run is for those who may do so in all namespaces. The files of registered
/// model versions are read by everybody.
class GuardedArtifacts {
 public:
  struct Deps {
    ArtifactRepository& artifacts;
    RunRepository& runs;
    ModelRegistry& models;
    const RunCaller& caller;
  };
  explicit GuardedArtifacts(Deps deps) : deps_(deps) {}

  Result<void> put(const std::string& path, std::span<const std::byte> bytes);
  Result<store::ObjectInfo> find(const std::string& path);
  Result<std::string> read(const store::ObjectInfo& object, std::uint64_t offset, std::size_t size);
  Result<std::vector<ArtifactEntry>> list(const std::string& directory);
  Result<void> remove(const std::string& path);

 private:
  struct Rights {
    bool visible = true;
    bool writable = true;
  };
  Result<Rights> rights(const std::string& path);
  Result<bool> is_published(const RunInfo& run, const std::string& root, const std::string& path);
  Result<void> check_writable(const std::string& path);

  Deps deps_;
};

/// All parts for one caller: what handlers of requests get instead of Tracking.
class GuardedTracking {
 public:
  /// `tracking` outlives it.
  GuardedTracking(Tracking& tracking, RunCaller caller)
      : caller_(std::move(caller)),
        experiments_(tracking.experiments()),
        runs_(tracking.runs(), caller_),
        models_(tracking.models(), tracking.runs(), caller_),
        artifacts_({tracking.artifacts(), tracking.runs(), tracking.models(), caller_}) {}
  GuardedTracking(const GuardedTracking&) = delete;
  GuardedTracking& operator=(const GuardedTracking&) = delete;

  ExperimentRepository& experiments() { return experiments_; }
  GuardedRuns& runs() { return runs_; }
  GuardedModels& models() { return models_; }
  GuardedArtifacts& artifacts() { return artifacts_; }

 private:
  RunCaller caller_;
  ExperimentRepository& experiments_;
  GuardedRuns runs_;
  GuardedModels models_;
  GuardedArtifacts artifacts_;
};

}  // namespace trainyard::track
