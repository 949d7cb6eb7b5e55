#include "api/platform/workflow_views.h"

namespace trainyard::api {

void WorkflowTaskView::describe(FieldVisitor& fields) {
  fields.field("name", name, "Name of the task.");
  fields.field("kind", kind, "What it does.");
  fields.field("state", state, "How it stands.");
  fields.field("reason", reason, "Why, in words.");
  fields.field("output", output, "What it said it made.");
  fields.field("started_at", started_at, "When it began.");
  fields.field("ended_at", ended_at, "When it ended.");
}

void WorkflowRunView::describe(FieldVisitor& fields) {
  fields.field("id", id, "Number of the run.");
  fields.field("workflow", workflow, "Name of the workflow.");
  fields.field("state", state, "How it stands.");
  fields.field("owner", owner, "Who started it.");
  fields.field("idempotency_key", idempotency_key, "The key it was started under.");
  fields.field("created_at", created_at, "When it was started.");
  fields.field("ended_at", ended_at, "When it ended.");
  fields.field("tasks", tasks, "In the order of the spec.");
  fields.field("spec", spec, "As it was submitted.");
}

void WorkflowRunList::describe(FieldVisitor& fields) { fields.field("workflows", workflows, "Newest first."); }

void TrialDecision::describe(FieldVisitor& fields) {
  fields.choice("decision", decision, {"continue", "stop", "pending"},
                "pending: a trial with a lower number has not reported yet; ask again.");
}

}  // namespace trainyard::api
