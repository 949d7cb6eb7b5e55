#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/describe.h"
#include "domain/job_spec.h"

// What the routes of jobs, events and nodes answer. A job itself is written by jobs::job_view; JobView says what that is, and the tests of
// the routes hold the two together.
namespace trainyard::api {

struct MetricValue {
  static constexpr std::string_view kSchemaName = "MetricValue";
  double value = 0;
  std::int64_t step = 0;
  TimePoint time;
  void describe(FieldVisitor& fields);
};

struct JobProgress {
  static constexpr std::string_view kSchemaName = "JobProgress";
  double done = 0;
  double total = 0;
  std::string message;
  TimePoint time;
  void describe(FieldVisitor& fields);
};

struct JobCheckpoint {
  std::int64_t step = 0;
  std::string manifest;
  void describe(FieldVisitor& fields);
};

struct JobRetries {
  std::int64_t user = 0;
  std::int64_t oom = 0;
  std::int64_t node_lost = 0;
  std::int64_t infrastructure = 0;
  void describe(FieldVisitor& fields);
};

struct JobRank {
  std::string node;
  std::string phase;
  std::optional<std::string> limited_by;
  Document exit;
  void describe(FieldVisitor& fields);
};

struct JobAttempt {
  static constexpr std::string_view kSchemaName = "JobAttempt";
  std::int64_t number = 1;
  std::vector<std::string> nodes;
  TimePoint launched_at;
  std::optional<TimePoint> started_at;
  std::optional<TimePoint> ended_at;
  std::optional<std::int64_t> exit_code;
  std::optional<std::string> cause;
  std::optional<std::string> reason_code;
  std::optional<std::string> limited_by;
  void describe(FieldVisitor& fields);
};

struct JobUsageView {
  static constexpr std::string_view kSchemaName = "JobUsage";
  double cpu_seconds = 0;
  double gpu_seconds = 0;
  double memory_gib_seconds = 0;
  std::optional<double> cpu_used_seconds;
  std::optional<std::int64_t> max_rss_bytes;
  void describe(FieldVisitor& fields);
};

struct JobHold {
  std::string by;
  TimePoint since;
  void describe(FieldVisitor& fields);
};

struct JobArrayView {
  static constexpr std::string_view kSchemaName = "JobArray";
  std::int64_t count = 1;
  std::int64_t max_running = 0;
  std::int64_t created = 0;
  std::int64_t started = 0;
  std::int64_t succeeded = 0;
  std::int64_t failed = 0;
  std::int64_t cancelled = 0;
  std::int64_t timed_out = 0;
  std::vector<std::int64_t> not_succeeded;
  void describe(FieldVisitor& fields);
};

struct JobLinks {
  std::string logs;
  std::string events;
  std::string attempts;
  std::string checkpoints;
  std::optional<std::string> run;
  std::optional<std::string> history;
  void describe(FieldVisitor& fields);
};

struct JobView {
  static constexpr std::string_view kSchemaName = "Job";
  std::string id, name, name_space, kind, queue, state, reason, run_id, owner;
  std::int64_t priority = 0, attempt = 0;
  bool held = false;
  std::optional<std::string> stop_intent, reason_code;
  TimePoint submitted_at;
  std::optional<TimePoint> started_at, ended_at;
  std::optional<JobHold> hold;
  std::optional<std::vector<JobDependency>> waits_for;
  std::optional<JobArrayView> array;
  std::optional<std::string> array_parent;
  std::optional<std::int64_t> array_index;
  std::optional<std::string> retried_from, memory_raised_to;
  std::vector<JobRank> ranks;
  std::vector<JobAttempt> attempts;
  JobRetries retries;
  JobUsageView usage;
  std::optional<std::int64_t> exit_code;
  std::optional<JobProgress> progress;
  std::optional<std::string> ready_url;
  std::optional<JobCheckpoint> checkpoint;
  std::optional<std::map<std::string, MetricValue>> metrics;
  std::optional<std::map<std::string, double>> rungs;
  Document artifacts, result;
  std::optional<bool> synthetic;
  JobSpec spec;
  JobLinks links;
  void describe(FieldVisitor& fields);
};

struct JobPage {
  static constexpr std::string_view kSchemaName = "JobPage";
  std::vector<JobView> jobs;
  std::optional<std::string> next_cursor;
  void describe(FieldVisitor& fields);
};

/// Jobs of which the caller has chosen the members.
struct JobPartPage {
  static constexpr std::string_view kSchemaName = "JobPartPage";
  std::vector<Document> jobs;
  std::optional<std::string> next_cursor;
  void describe(FieldVisitor& fields);
};

struct EventView {
  static constexpr std::string_view kSchemaName = "Event";
  std::string number;
  std::string job;
  TimePoint time;
  std::string type;
  Document values;
  void describe(FieldVisitor& fields);
};

struct EventPage {
  static constexpr std::string_view kSchemaName = "EventPage";
  std::vector<EventView> events;
  std::string looked_at;
  std::string newest;
  void describe(FieldVisitor& fields);
};

/// Why a job is where it is; what is optional is there while it waits.
struct ShortNode {
  std::string name;
  std::int64_t slots = 0;
  std::string lacks;
  std::int64_t shortfall = 0;
  void describe(FieldVisitor& fields);
};

struct ExplainFix {
  std::string dimension;
  std::string text;
  std::optional<std::int64_t> from;
  std::optional<std::int64_t> to;
  std::optional<std::string> unit;
  void describe(FieldVisitor& fields);
};

struct ExplanationView {
  static constexpr std::string_view kSchemaName = "Explanation";
  std::string id;
  std::string state;
  std::string code;
  std::string text;
  std::optional<std::int64_t> rank;
  std::optional<std::string> queue;
  std::optional<std::int64_t> position;
  std::optional<std::int64_t> epoch;
  std::optional<TimePoint> promised_start;
  std::optional<TimePoint> planned_start;
  std::optional<std::vector<std::string>> blocking;
  std::optional<std::vector<std::string>> also;
  std::optional<std::map<std::string, std::int64_t>> shortfalls;
  std::optional<std::vector<ShortNode>> nodes;
  std::optional<std::vector<ExplainFix>> fix;
  std::optional<std::string> fix_error;
  void describe(FieldVisitor& fields);
};

}  // namespace trainyard::api
