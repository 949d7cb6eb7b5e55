#include "api/platform/tracking_views.h"

namespace trainyard::api {

void RunLinks::describe(FieldVisitor& fields) { fields.field("job", job, "The job whose run it is, or which made it."); }

void RunView::describe(FieldVisitor& fields) {
  fields.field("id", id, "32 hex digits.");
  fields.field("experiment", experiment, "The experiment it belongs to.");
  fields.field("name", name, "Name for people.");
  fields.field("namespace", name_space, "Whose it is, for permissions: that of its job, or where its maker made it.");
  fields.field("user", user, "Who started it: the owner of its job.");
  fields.field("status", status, "RUNNING, SCHEDULED, FINISHED, FAILED or KILLED.");
  fields.field("started_at", started_at, "When it began.");
  fields.field("ended_at", ended_at, "When it ended.");
  fields.field("artifact_uri", artifact_uri, "Where its artifacts are.");
  fields.field("lifecycle", lifecycle, "active or deleted.");
  fields.field("metrics", metrics, "The newest value of each metric.");
  fields.field("params", params, "What it was started with.");
  fields.field("tags", tags, "Free labels.");
  fields.field("links", links, "Where more is.");
}

void RunPage::describe(FieldVisitor& fields) {
  fields.field("runs", runs, "In the order that was asked for, newest first by default.");
  fields.field("next_cursor", next_cursor, "Where the next page begins; absent: there is none.");
}

void MetricHistory::describe(FieldVisitor& fields) {
  fields.field("key", key, "Name of the metric; empty when none was asked for.");
  fields.field("points", points, "By step.");
  fields.field("histories", histories, "When no metric was asked for: where the history of each is, by its name.");
}

void ModelLineage::describe(FieldVisitor& fields) {
  fields.field("run", run, "The run that made it.");
  fields.field("dataset", dataset, "The dataset version it was trained on.");
}

void ModelVersionView::describe(FieldVisitor& fields) {
  fields.field("model", model, "Name of the model.");
  fields.field("version", version, {.min = 1}, "Number of the version, from 1.");
  fields.field("created_at", created_at, "When it was registered.");
  fields.field("source", source, "Where its bytes are.");
  fields.field("stage", stage, "The stage of older MLflow clients.");
  fields.field("description", description, "For people.");
  fields.field("user", user, "Who registered it.");
  fields.field("aliases", aliases, "The aliases that name it.");
  fields.field("tags", tags, "Free labels.");
  fields.field("lineage", lineage, "What it was made from.");
}

void ModelView::describe(FieldVisitor& fields) {
  fields.field("name", name, "Name of the model.");
  fields.field("description", description, "For people.");
  fields.field("created_at", created_at, "When its first version was registered.");
  fields.field("updated_at", updated_at, "When something about it changed last.");
  fields.field("latest_version", latest_version, {.min = 0}, "Number of the newest version; 0: it has none.");
  fields.field("aliases", aliases, "The version that each alias names.");
  fields.field("tags", tags, "Free labels.");
  fields.field("versions", versions, "All versions, newest first; when one model is asked for.");
}

void ModelList::describe(FieldVisitor& fields) {
  fields.field("models", models, "By name.");
  fields.field("next_cursor", next_cursor, "Where the next page begins; absent: there is none.");
}

}  // namespace trainyard::api
