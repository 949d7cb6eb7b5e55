#pragma once
#include <cstdint>
#include <map>
#include <optional>
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
  std::string reason;  ///< Why it is in this state, for people.
  TimePoint submitted_at;
  TimePoint queued_at;    ///< Place in the queue; kept over requeues.
  TimePoint eligible_at;  ///< Not launched before: backoff.
  std::optional<TimePoint> started_at;
  std::optional<TimePoint> ended_at;
  Attempt attempt;
  RetryCounts retries;
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
constexpr std::string_view kRungMetric = "rung_accuracy";

/// Whether the job reads made-up data: results of it pass no gate and are not registered.
bool uses_synthetic_data(const Job& job);

/// The JSON form in the ledger.
std::string encode_job(const Job& job);
/// Errors: DATA_LOSS "ledger.corrupt".
Result<Job> decode_job(std::string_view text);

/// The JSON form that clients see.
Document job_view(const Job& job);

}  // namespace trainyard::jobs
