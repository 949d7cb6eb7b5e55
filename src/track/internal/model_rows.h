#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "store/database.h"
#include "track/model_registry.h"

namespace trainyard::track::internal {

/// Loads versions that are not deleted, with tags and aliases; `condition` is SQL behind AND. By model and version.
Result<std::vector<ModelVersion>> load_versions(store::Connection& sql, std::string_view condition,
                                                const std::vector<store::SqlValue>& parameters);
/// Errors: NOT_FOUND "registry.unknown_version".
Result<ModelVersion> load_version(store::Connection& sql, const ModelVersionName& name);

/// Loads models with tags, aliases and latest versions; `tail` is SQL behind FROM registered_model.
Result<std::vector<RegisteredModel>> load_models(store::Connection& sql, std::string_view tail,
                                                 const std::vector<store::SqlValue>& parameters);
/// Errors: NOT_FOUND "registry.unknown_model".
Result<RegisteredModel> load_model(store::Connection& sql, const std::string& name);

Result<void> insert_model(store::Connection& sql, const std::string& name, const std::string& description, std::int64_t now_ms);
Result<void> write_model_tag(store::Connection& sql, const std::string& name, const KeyValue& tag);
Result<void> write_version_tag(store::Connection& sql, const ModelVersionName& name, const KeyValue& tag);

/// Errors: INVALID_ARGUMENT "registry.name".
Result<void> check_model_name(std::string_view name);
Result<void> check_registry_tag(const KeyValue& tag);

/// The spelling of a stage that was given in any case. Errors: INVALID_ARGUMENT "registry.stage".
Result<std::string> stage_from(std::string_view text);

/// The highest version of each stage in `versions`, by stage.
std::vector<ModelVersion> highest_by_stage(const std::vector<ModelVersion>& versions);

}  // namespace trainyard::track::internal
