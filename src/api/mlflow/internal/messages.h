#pragma once
#include "base/document.h"
#include "track/tracking.h"

namespace trainyard::api::mlflow::internal {

/// MLflow's objects as JSON trees: 64-bit integers as numbers, unset optionals and empty lists left out.
Document experiment_message(const track::Experiment& experiment);
Document run_info_message(const track::RunInfo& info);
Document run_message(const track::Run& run);
Document metric_message(const std::string& key, const track::MetricPoint& point);
Document model_version_message(const track::ModelVersion& version);
Document registered_model_message(const track::RegisteredModel& model);
/// `path` is the entry's path as the caller is to see it.
Document file_message(const track::ArtifactEntry& entry, const std::string& path);

/// Sets `key` unless the list is empty.
void set_list(std::string_view key, Document list, Document& object);

}  // namespace trainyard::api::mlflow::internal
