#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/describe.h"

// What the routes of workflows and trials answer. A run itself is written by workflow::to_document.
namespace trainyard::api {

struct WorkflowTaskView {
  std::string name;
  std::string kind;
  std::string state;
  std::string reason;
  Document output;
  std::optional<TimePoint> started_at;
  std::optional<TimePoint> ended_at;
  void describe(FieldVisitor& fields);
};

struct WorkflowRunView {
  static constexpr std::string_view kSchemaName = "WorkflowRun";
  std::string id;
  std::string workflow;
  std::string state;
  std::string owner;
  std::optional<std::string> idempotency_key;
  TimePoint created_at;
  std::optional<TimePoint> ended_at;
  std::vector<WorkflowTaskView> tasks;
  Document spec;
  void describe(FieldVisitor& fields);
};

struct WorkflowRunList {
  static constexpr std::string_view kSchemaName = "WorkflowRunList";
  std::vector<WorkflowRunView> workflows;
  void describe(FieldVisitor& fields);
};

struct TrialDecision {
  static constexpr std::string_view kSchemaName = "TrialDecision";
  std::string decision = "pending";
  void describe(FieldVisitor& fields);
};

}  // namespace trainyard::api
