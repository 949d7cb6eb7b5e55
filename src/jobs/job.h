#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/document.h"
#include "base/time.h"
#include "domain/ids.h"
#include "domain/job_spec.h"
#include "domain/job_state.h"
#include "exec/attempt.h"

namespace trainyard::jobs {

/// One rank of the current attempt.
struct RankStatus {
  enum class Phase { kLaunching, kRunning, kExited };
  NodeName node;
  Phase phase = Phase::kLaunching;
  TimePoint started_at;
  std::optional<exec::RankExit> exit;
  std::uint64_t events_taken = 0;  ///< Event lines that are durable here.
  std::string limited_by;          ///< What holds it to its resources: "cgroup2", "cgroup1", "rlimit"; empty: nobody said.
};

/// The current attempt, or the last one. `number` 0: never launched.
struct Attempt {
  AttemptNumber number;
  TimePoint launched_at;
  std::vector<RankStatus> ranks;
};

struct LatestMetric {
  double value = 0;
  std::int64_t step = 0;
  TimePoint time;
};

struct Progress {
  double done = 0;
  double total = 0;
  std::string message;
  TimePoint time;
};

/// The newest checkpoint that an attempt announced; the manifest itself is the truth.
struct CheckpointMark {
  std::int64_t step = 0;
  std::string manifest;
};

/// What ended an attempt, as far as restarts are concerned.
enum class ExitCause { kSucceeded, kCheckpointed, kUserError, kUserFailure, kOutOfMemory, kNodeLost, kInfrastructure };
/// "succeeded", "user_error", "out_of_memory" ...
std::string_view name_of(ExitCause cause);
std::optional<ExitCause> exit_cause_from(std::string_view name);

/// An attempt that is over.
struct EndedAttempt {
  AttemptNumber number;
  std::vector<NodeName> nodes;  ///< Each once, in the order of ranks, at most kAttemptNodesMax.
  TimePoint launched_at;
  std::optional<TimePoint> started_at;  ///< When its first rank was running.
  TimePoint ended_at;
  int exit_code = 0;
  ExitCause cause = ExitCause::kSucceeded;
  ReasonCode reason_code = ReasonCode::kNone;
  std::string limited_by;  ///< What held its ranks to their resources, each kind once, separated by commas; empty: nobody said.
};

/// What a job has had of the nodes, over all attempts: from the launch of an attempt to the end of each rank. Saturates.
struct JobUsage {
  std::int64_t cpu_us = 0;         ///< Core-microseconds that were its own, used or not.
  std::int64_t gpu_us = 0;         ///< The same of GPUs.
  std::int64_t memory_mib_ms = 0;  ///< MiB times milliseconds.
  std::int64_t cpu_used_us = 0;    ///< Processor time that its processes took, as far as anybody saw their ends.
  std::int64_t max_rss_bytes = 0;  ///< Of its largest process.
  auto operator<=>(const JobUsage&) const = default;
};

/// How far an array is. Created, started and ended count elements.
struct ArrayProgress {
  std::int64_t created = 0;  ///< Elements that have become jobs; the index of the next one.
  std::int64_t started = 0;  ///< Those that have been launched at least once.
  std::int64_t succeeded = 0;
  std::int64_t failed = 0;
  std::int64_t cancelled = 0;
  std::int64_t timed_out = 0;
  std::vector<std::int64_t> not_succeeded;  ///< Indices of the first that ended otherwise, at most kArrayIndicesMax.
  /// First and last indices of elements that were cancelled before they were made: ascending, apart, from `created` on.
  std::vector<std::pair<std::int64_t, std::int64_t>> withdrawn;

  std::int64_t ended() const { return succeeded + failed + cancelled + timed_out; }
};

/// Who holds a job back.
struct Hold {
  std::string by;
  TimePoint since;
};

/// Restarts already charged, by cause.
struct RetryCounts {
  std::int64_t user = 0;
  std::int64_t oom = 0;
  std::int64_t node_lost = 0;
  std::int64_t infrastructure = 0;
};

/// Everything durable about one job. A plain value; transitions.h changes it.
struct Job {
  JobId id;
  JobSpec spec;
  Document resolved;  ///< Inputs and outputs as pinned at submit; goes into the spec file.
  RunId run;
  std::string owner;
  JobState state = JobState::kQueued;
  StopIntent intent = StopIntent::kNone;
  std::string reason;                          ///< Why it is in this state, for people.
  ReasonCode reason_code = ReasonCode::kNone;  ///< The same for programs.
  TimePoint submitted_at;
  TimePoint queued_at;                       ///< Place in the queue; kept over requeues.
  TimePoint eligible_at;                     ///< Not launched before: backoff.
  std::optional<TimePoint> waits_since;      ///< When the last hold or dependency went away; none: it has waited since it was submitted.
  std::optional<Hold> hold;                  ///< It is not launched until it is released.
  std::vector<JobDependency> waits_for;      ///< Dependencies that are not met yet.
  std::optional<std::int64_t> priority;      ///< In place of that of the spec.
  std::optional<std::int64_t> memory_bytes;  ///< Of one task, in place of that of the spec: raised after it did not suffice.
  JobId retried_from;                        ///< The ended job that this one repeats.
  JobId array_parent;                        ///< The array that this is an element of.
  std::int64_t array_index = 0;
  ArrayProgress array;  ///< Of an array.
  std::optional<TimePoint> started_at;
  std::optional<TimePoint> ended_at;
  Attempt attempt;
  std::vector<EndedAttempt> history;  ///< The newest kAttemptsKept, oldest first.
  RetryCounts retries;
  JobUsage usage;
  std::optional<int> exit_code;
  std::optional<Progress> progress;
  std::string ready_url;
  std::optional<CheckpointMark> checkpoint;
  std::map<std::string, LatestMetric> metrics;
  std::map<std::int64_t, double> rungs;  ///< Values of the metric `rung_accuracy` by step: what a trial had at each rung.
  Document artifacts = Document::array();
  Document result;
};

/// Metric keys and artifacts kept on the job itself; more of them go to tracking only.
constexpr std::size_t kJobMetricsMax = 256;
constexpr std::size_t kJobArtifactsMax = 256;
constexpr std::size_t kJobRungsMax = 64;
constexpr std::size_t kAttemptsKept = 16;
constexpr std::size_t kAttemptNodesMax = 64;
constexpr std::size_t kArrayIndicesMax = 100;
constexpr std::string_view kRungMetric = "rung_accuracy";

/// Whether the job reads made-up data: results of it pass no gate and are not registered.
bool uses_synthetic_data(const Job& job);
/// Whether it stands for many: it holds no room itself, its elements do.
inline bool is_array(const Job& job) { return job.spec.array.has_value(); }
inline std::int64_t priority_of(const Job& job) { return job.priority.value_or(job.spec.priority); }
/// What one task of the next attempt asks for.
Resources task_resources(const Job& job);

/// The JSON form in the ledger (docs/formats/job.md). What has its default value is left out.
std::string encode_job(const Job& job);
/// The part of it that is settled when the job is submitted, so that a service need write it only once.
std::string encode_settled_part(const Job& job);
/// The whole out of a settled part.
std::string encode_job(const Job& job, std::string_view settled_part);
/// Errors: DATA_LOSS "ledger.corrupt".
Result<Job> decode_job(std::string_view text);

/// The JSON form that clients see.
Document job_view(const Job& job);
/// Its attempts that are over, oldest first, at most 16, and then the one that goes on.
Document attempts_view(const Job& job);
/// Some of its top-level members.
Document job_view(const Job& job, const std::set<std::string>& members);

}  // namespace trainyard::jobs
