#include "api/platform/job_views.h"

namespace trainyard::api {

void MetricValue::describe(FieldVisitor& fields) {
  fields.field("value", value, "The value; NaN and infinities as text.");
  fields.field("step", step, "The step it was told for.");
  fields.field("time", time, "When it was told.");
}

void JobProgress::describe(FieldVisitor& fields) {
  fields.field("done", done, "How much is done, in units of the job.");
  fields.field("total", total, "How much there is to do; 0: not known.");
  fields.field("message", message, "What the job is at.");
  fields.field("time", time, "When it was told.");
}

void JobCheckpoint::describe(FieldVisitor& fields) {
  fields.field("step", step, "The step that it continues from.");
  fields.field("manifest", manifest, "Where the checkpoint is.");
}

void JobRetries::describe(FieldVisitor& fields) {
  fields.field("user", user, "Restarts after errors of the program.");
  fields.field("oom", oom, "Restarts for want of memory.");
  fields.field("node_lost", node_lost, "Restarts after a node was lost.");
  fields.field("infrastructure", infrastructure, "Restarts after failures of the platform.");
}

void JobRank::describe(FieldVisitor& fields) {
  fields.field("node", node, "Where it runs.");
  fields.choice("phase", phase, {"LAUNCHING", "RUNNING", "EXITED"}, "How far it is.");
  fields.field("limited_by", limited_by, "What holds it to its resources: cgroup2, cgroup1 or rlimit.");
  fields.field("exit", exit, "How it ended.");
}

void JobAttempt::describe(FieldVisitor& fields) {
  fields.field("number", number, "Number of the attempt, from 1.");
  fields.field("nodes", nodes, "The node of each rank.");
  fields.field("launched_at", launched_at, "When it was sent to its nodes.");
  fields.field("started_at", started_at, "When all its ranks ran.");
  fields.field("ended_at", ended_at, "When it ended; absent, as all that follows, while it goes on.");
  fields.field("exit_code", exit_code, "Of the rank that decided.");
  fields.field("cause", cause, "Which retry budget its end counts against.");
  fields.field("reason_code", reason_code, "Why it ended, out of a closed list.");
  fields.field("limited_by", limited_by, "What held its ranks to their resources, separated by commas when they differ.");
}

void JobUsageView::describe(FieldVisitor& fields) {
  fields.field("cpu_seconds", cpu_seconds, "Cores held, times seconds.");
  fields.field("gpu_seconds", gpu_seconds, "GPUs held, times seconds.");
  fields.field("memory_gib_seconds", memory_gib_seconds, "GiB held, times seconds.");
  fields.field("cpu_used_seconds", cpu_used_seconds, "CPU time that was really used.");
  fields.field("max_rss_bytes", max_rss_bytes, "The most memory that a rank had.");
}

void JobHold::describe(FieldVisitor& fields) {
  fields.field("by", by, "Who holds it.");
  fields.field("since", since, "Since when.");
}

void JobArrayView::describe(FieldVisitor& fields) {
  fields.field("count", count, "Elements of the array.");
  fields.field("max_running", max_running, "Elements that may be live at the same time; 0: any number.");
  fields.field("created", created, "Elements that have been made into jobs.");
  fields.field("started", started, "Elements that have run.");
  fields.field("succeeded", succeeded, "Elements that succeeded.");
  fields.field("failed", failed, "Elements that failed.");
  fields.field("cancelled", cancelled, "Elements that were cancelled.");
  fields.field("timed_out", timed_out, "Elements that took too long.");
  fields.field("not_succeeded", not_succeeded, "Indices of those that ended without success.");
}

void JobLinks::describe(FieldVisitor& fields) {
  fields.field("logs", logs, "Its output.");
  fields.field("events", events, "What happened to it.");
  fields.field("attempts", attempts, "Its attempts.");
  fields.field("checkpoints", checkpoints, "Its checkpoints, as events.");
  fields.field("run", run, "What it tracked.");
  fields.field("history", history, "The history of its metrics.");
}

void JobView::describe(FieldVisitor& fields) {
  fields.field("id", id, "Number of the job.");
  fields.field("name", name, "Name for people.");
  fields.field("namespace", name_space, "Whose it is.");
  fields.field("kind", kind, "Which program runs it.");
  fields.field("queue", queue, "Where it waits.");
  fields.field("priority", priority, "Higher first, within its queue.");
  fields.field("state", state, "QUEUED, STARTING, RUNNING, STOPPING, SUCCEEDED, FAILED, CANCELLED or TIMED_OUT.");
  fields.field("stop_intent", stop_intent, "Why it is being stopped.");
  fields.field("reason", reason, "Why it is in that state, in words.");
  fields.field("reason_code", reason_code, "Why it ended, out of a closed list.");
  fields.field("held", held, "Whether it waits to be released.");
  fields.field("attempt", attempt, "Number of the newest attempt; 0: it never started.");
  fields.field("run_id", run_id, "The tracked run.");
  fields.field("owner", owner, "Who submitted it.");
  fields.field("submitted_at", submitted_at, "When it was submitted.");
  fields.field("started_at", started_at, "When it first ran.");
  fields.field("ended_at", ended_at, "When it ended.");
  fields.field("hold", hold, "Who holds it.");
  fields.field("waits_for", waits_for, "Jobs that have to end first.");
  fields.field("array", array, "How its elements stand.");
  fields.field("array_parent", array_parent, "The array it is an element of.");
  fields.field("array_index", array_index, "Which element it is.");
  fields.field("retried_from", retried_from, "The job it repeats.");
  fields.field("memory_raised_to", memory_raised_to, "What it asks for since it ran out of memory.");
  fields.field("ranks", ranks, "The ranks of the newest attempt.");
  fields.field("attempts", attempts, "The newest attempts that ended.");
  fields.field("retries", retries, "How often it was started again, by cause.");
  fields.field("usage", usage, "What it has used.");
  fields.field("exit_code", exit_code, "How it ended.");
  fields.field("progress", progress, "How far it is.");
  fields.field("ready_url", ready_url, "Where a service answers.");
  fields.field("checkpoint", checkpoint, "The newest durable checkpoint.");
  fields.field("metrics", metrics, "The newest value of each metric.");
  fields.field("rungs", rungs, "Values at the rungs of a trial, by step.");
  fields.field("artifacts", artifacts, "What it stored.");
  fields.field("result", result, "What it said it found.");
  fields.field("synthetic", synthetic, "Whether made-up data went into it.");
  fields.field("spec", spec, "As it was submitted, with defaults.");
  fields.field("links", links, "Where more is.");
}

void JobPage::describe(FieldVisitor& fields) {
  fields.field("jobs", jobs, "Newest first.");
  fields.field("next_cursor", next_cursor, "Where the next page begins; absent: there is none.");
}

void EventView::describe(FieldVisitor& fields) {
  fields.field("number", number, "Grows by one with each event of the installation.");
  fields.field("job", job, "The job it happened to.");
  fields.field("time", time, "When.");
  fields.field("type", type, "What happened.");
  fields.field("values", values, "The new values.");
}

void JobPartPage::describe(FieldVisitor& fields) {
  fields.field("jobs", jobs, "Newest first, each with the chosen members that it has.");
  fields.field("next_cursor", next_cursor, "Where the next page begins; absent: there is none.");
}

void EventPage::describe(FieldVisitor& fields) {
  fields.field("events", events, "In order; ask again behind the last one.");
  fields.field("looked_at", looked_at, "Number of the last event that was looked at: the next page begins behind it.");
  fields.field("newest", newest, "Number of the newest event of the installation.");
}

void ShortNode::describe(FieldVisitor& fields) {
  fields.field("name", name, "Name of the node.");
  fields.field("slots", slots, "Ranks that would fit.");
  fields.field("lacks", lacks, "What it has too little of.");
  fields.field("shortfall", shortfall, "How much is missing.");
}

void ExplainFix::describe(FieldVisitor& fields) {
  fields.field("dimension", dimension, "What would have to change.");
  fields.field("text", text, "How, in words; \"none\" where nothing helps.");
  fields.field("from", from, "What it is.");
  fields.field("to", to, "What would do.");
  fields.field("unit", unit, "Of both numbers.");
}

void ExplanationView::describe(FieldVisitor& fields) {
  fields.field("id", id, "Number of the job.");
  fields.field("state", state, "Its state.");
  fields.field("code", code, "The binding reason, out of a closed list; for a job that does not wait its state.");
  fields.field("text", text, "The reason with its numbers.");
  fields.field("rank", rank, "Place of the reason in the list.");
  fields.field("queue", queue, "Where it waits.");
  fields.field("position", position, "How many wait before it, plus one.");
  fields.field("epoch", epoch, "The plan this comes from.");
  fields.field("promised_start", promised_start, "It starts no later.");
  fields.field("planned_start", planned_start, "When the plan has it.");
  fields.field("blocking", blocking, "Jobs it waits for.");
  fields.field("also", also, "Reasons that would bind next.");
  fields.field("shortfalls", shortfalls, "Nodes by what they lack.");
  fields.field("nodes", nodes, "The nodes that come closest.");
  fields.field("fix", fix, "Changes that alone would start it.");
  fields.field("fix_error", fix_error, "Why no changes are known.");
}

}  // namespace trainyard::api
