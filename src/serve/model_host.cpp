#include "serve/model_host.h"

#include <fmt/format.h>

#include <algorithm>

#include "serve/signature.h"

namespace trainyard::serve {
namespace {

Result<void> warm_up(Servable& servable, std::size_t rows_max) {
  std::vector<std::int64_t> row_counts{1};
  if (servable.signature().batchable() && rows_max > 1) row_counts.push_back(static_cast<std::int64_t>(rows_max));
  for (std::size_t instance = 0; instance < servable.instances(); ++instance) {
    for (const std::int64_t rows : row_counts) TRY(servable.infer(instance, zero_inputs(servable.signature(), rows)));
  }
  return {};
}

}  // namespace

std::string_view name_of(VersionState state) {
  switch (state) {
    case VersionState::kLoading:
      return "LOADING";
    case VersionState::kReady:
      return "READY";
    case VersionState::kUnavailable:
      return "UNAVAILABLE";
  }
  return "UNAVAILABLE";
}

ServedVersion::ServedVersion(std::string model, std::int64_t version, std::unique_ptr<Servable> servable, BatchQueueSettings batching,
                             const Clock& clock)
    : model_(std::move(model)),
      version_(version),
      servable_(std::move(servable)),
      batcher_(std::make_unique<Batcher>(*servable_, batching, clock)) {}

Result<ServedVersionPtr> ModelHost::load_and_warm(const std::string& model, std::int64_t version, const ModelSource& source) {
  ASSIGN_OR_RETURN(std::unique_ptr<Servable> servable, loader_.load(source));
  if (const Result<void> warmed = warm_up(*servable, settings_.batching.rows_max); !warmed.ok()) {
    return Error(warmed.error()).with_context(fmt::format("warming up model {} version {}", model, version));
  }
  return ServedVersionPtr(new ServedVersion(model, version, std::move(servable), settings_.batching, clock_));
}

Result<void> ModelHost::load(const std::string& model, std::int64_t version, const ModelSource& source) {
  {
    const std::lock_guard lock(mutex_);
    Slot& slot = models_[model][version];
    if (!slot.served) slot.state = VersionState::kLoading;
  }
  Result<ServedVersionPtr> loaded = load_and_warm(model, version, source);
  ServedVersionPtr replaced;  // freed after the lock: its destructor waits for requests
  const std::lock_guard lock(mutex_);
  Slot& slot = models_[model][version];
  if (!loaded.ok()) {
    slot.reason = loaded.error().describe();
    if (!slot.served) slot.state = VersionState::kUnavailable;
    return std::move(loaded).error();
  }
  replaced = std::exchange(slot.served, std::move(loaded).value());
  slot.state = VersionState::kReady;
  slot.reason.clear();
  return {};
}

void ModelHost::unload(std::string_view model, std::int64_t version) {
  ServedVersionPtr removed;  // freed after the lock: its destructor waits for requests
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(model);
  if (found == models_.end()) return;
  const auto slot = found->second.find(version);
  if (slot == found->second.end()) return;
  removed = std::move(slot->second.served);
  slot->second = Slot{VersionState::kUnavailable, "unloaded", nullptr};
}

Result<ServedVersionPtr> ModelHost::find(std::string_view model, std::optional<std::int64_t> version) const {
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(model);
  if (found == models_.end()) return not_found("serve.unknown_model", fmt::format("Model is not served here: {}", model));
  const Versions& versions = found->second;
  if (version) {
    const auto slot = versions.find(*version);
    if (slot == versions.end()) {
      return not_found("serve.unknown_version", fmt::format("Version is not served here: {} version {}", model, *version));
    }
    if (slot->second.served) return slot->second.served;
    return unavailable("serve.not_ready", fmt::format("Model is not ready: {} version {}: {}", model, *version, slot->second.reason));
  }
  for (auto slot = versions.rbegin(); slot != versions.rend(); ++slot) {
    if (slot->second.served) return slot->second.served;
  }
  return unavailable("serve.not_ready", fmt::format("Model has no version that is ready: {}", model));
}

std::vector<VersionStatus> ModelHost::statuses() const {
  const std::lock_guard lock(mutex_);
  std::vector<VersionStatus> all;
  for (const auto& [model, versions] : models_) {
    for (const auto& [version, slot] : versions) all.push_back({model, version, slot.state, slot.reason});
  }
  return all;
}

bool ModelHost::ready() const {
  const std::lock_guard lock(mutex_);
  return !models_.empty() && std::all_of(models_.begin(), models_.end(), [](const auto& model) {
    return std::any_of(model.second.begin(), model.second.end(), [](const auto& slot) { return slot.second.served != nullptr; });
  });
}

}  // namespace trainyard::serve
