#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/platform/job_views.h"
#include "base/describe.h"

// What the routes of runs and models answer.
namespace trainyard::api {

struct RunLinks {
  std::string job;
  void describe(FieldVisitor& fields);
};

struct RunView {
  static constexpr std::string_view kSchemaName = "Run";
  std::string id;
  std::string experiment;
  std::string name;
  std::string name_space;
  std::string user;
  std::string status;
  TimePoint started_at;
  std::optional<TimePoint> ended_at;
  std::string artifact_uri;
  std::string lifecycle;
  std::map<std::string, MetricValue> metrics;
  std::map<std::string, std::string> params;
  std::map<std::string, std::string> tags;
  std::optional<RunLinks> links;
  void describe(FieldVisitor& fields);
};

struct RunPage {
  static constexpr std::string_view kSchemaName = "RunPage";
  std::vector<RunView> runs;
  std::optional<std::string> next_cursor;
  void describe(FieldVisitor& fields);
};

struct MetricHistory {
  static constexpr std::string_view kSchemaName = "MetricHistory";
  std::string key;
  std::vector<MetricValue> points;
  std::map<std::string, std::string> histories;
  void describe(FieldVisitor& fields);
};

struct ModelLineage {
  std::optional<std::string> run;
  std::optional<std::string> dataset;
  void describe(FieldVisitor& fields);
};

struct ModelVersionView {
  static constexpr std::string_view kSchemaName = "ModelVersion";
  std::string model;
  std::int64_t version = 1;
  TimePoint created_at;
  std::string source;
  std::string stage;
  std::string description;
  std::string user;
  std::vector<std::string> aliases;
  std::map<std::string, std::string> tags;
  ModelLineage lineage;
  void describe(FieldVisitor& fields);
};

struct ModelView {
  static constexpr std::string_view kSchemaName = "Model";
  std::string name;
  std::string description;
  TimePoint created_at;
  TimePoint updated_at;
  std::int64_t latest_version = 0;
  std::map<std::string, std::int64_t> aliases;
  std::map<std::string, std::string> tags;
  std::optional<std::vector<ModelVersionView>> versions;  ///< With one model only.
  void describe(FieldVisitor& fields);
};

struct ModelList {
  static constexpr std::string_view kSchemaName = "ModelList";
  std::vector<ModelView> models;
  std::optional<std::string> next_cursor;
  void describe(FieldVisitor& fields);
};

}  // namespace trainyard::api
