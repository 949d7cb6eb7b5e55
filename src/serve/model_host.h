#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/batcher.h"
#include "serve/servable.h"

namespace trainyard::serve {

/// One version of a model that answers requests. Destroying it waits until every admitted request was answered.
class ServedVersion {
 public:
  ServedVersion(std::string model, std::int64_t version, std::unique_ptr<Servable> servable, BatchQueueSettings batching,
                const Clock& clock);

  const std::string& model() const { return model_; }
  std::int64_t version() const { return version_; }
  const Signature& signature() const { return servable_->signature(); }
  Batcher& batcher() const { return *batcher_; }

 private:
  std::string model_;
  std::int64_t version_;
  std::unique_ptr<Servable> servable_;
  std::unique_ptr<Batcher> batcher_;  // after servable_, which it uses
};

using ServedVersionPtr = std::shared_ptr<const ServedVersion>;  // shared: the host and whoever is submitting to it

enum class VersionState { kLoading, kReady, kUnavailable };
/// "LOADING", "READY", "UNAVAILABLE"
std::string_view name_of(VersionState state);

struct VersionStatus {
  std::string model;
  std::int64_t version = 0;
  VersionState state = VersionState::kLoading;
  std::string reason;  ///< Why it is not ready.
};

/// The models this process serves, by name and version. A version becomes visible whole, after it was loaded and warmed, and is swapped in
/// one step: every request sees exactly one version. A failed load leaves what was served before. Thread-safe.
class ModelHost {
 public:
  struct Settings {
    BatchQueueSettings batching;
  };
  ModelHost(Settings settings, ModelLoader& loader, const Clock& clock) : settings_(settings), loader_(loader), clock_(clock) {}

  /// Loads `source`, runs it once with one row and once with the largest batch on every instance, then serves it as `model`, `version`.
  /// Blocks. Errors: the loader's, and the servable's from the warm-up.
  Result<void> load(const std::string& model, std::int64_t version, const ModelSource& source);
  /// Stops offering the version and waits until its admitted requests were answered. Absent is no error.
  void unload(std::string_view model, std::int64_t version);

  /// The version called, or the highest that is ready. Errors: NOT_FOUND "serve.unknown_model" or "serve.unknown_version",
  /// UNAVAILABLE "serve.not_ready".
  Result<ServedVersionPtr> find(std::string_view model, std::optional<std::int64_t> version) const;
  /// Every version ever asked for, by model and version.
  std::vector<VersionStatus> statuses() const;
  /// True when there is a model and every model has a version that is ready.
  bool ready() const;

 private:
  struct Slot {
    VersionState state = VersionState::kLoading;
    std::string reason;
    ServedVersionPtr served;
  };
  using Versions = std::map<std::int64_t, Slot>;

  Result<ServedVersionPtr> load_and_warm(const std::string& model, std::int64_t version, const ModelSource& source);

  const Settings settings_;
  ModelLoader& loader_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Versions, std::less<>> models_;  // guarded by mutex_
};

}  // namespace trainyard::serve
