#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "domain/ids.h"

namespace trainyard::track {

/// Decimal number, "0" is the experiment "Default"; never reused. Times are milliseconds since 1970 throughout, because they come from the
/// clocks of clients in that unit.
using ExperimentId = Name<struct ExperimentTag>;

enum class Lifecycle { kActive, kDeleted };
std::string_view name_of(Lifecycle lifecycle);  ///< "active", "deleted"

struct KeyValue {
  std::string key;
  std::string value;
  bool operator==(const KeyValue&) const = default;
};

struct Experiment {
  ExperimentId id;
  std::string name;
  std::string artifact_location;
  Lifecycle lifecycle = Lifecycle::kActive;
  std::int64_t created_ms = 0;
  std::int64_t updated_ms = 0;
  std::vector<KeyValue> tags;  ///< By key.
};

/// One value of a metric. NaN is a value; infinities are stored as the largest finite number.
struct MetricPoint {
  double value = 0;
  std::int64_t step = 0;
  std::int64_t timestamp_ms = 0;
  /// 0 for points of clients, which are kept as they are. Points of a job's attempt replace those of earlier attempts at the same step.
  std::uint32_t attempt = 0;
};

struct Metric {
  std::string key;
  MetricPoint point;
};

/// "RUNNING", "SCHEDULED", "FINISHED", "FAILED" or "KILLED".
enum class RunStatus { kRunning, kScheduled, kFinished, kFailed, kKilled };
std::string_view name_of(RunStatus status);
std::optional<RunStatus> run_status_from(std::string_view name);

struct RunInfo {
  RunId id;
  ExperimentId experiment;
  std::string name;
  std::string user;
  RunStatus status = RunStatus::kRunning;
  std::int64_t started_ms = 0;
  std::optional<std::int64_t> ended_ms;
  std::string artifact_uri;
  Lifecycle lifecycle = Lifecycle::kActive;
  std::string name_space;  ///< Empty while that of a run from before there were namespaces is not known.
  JobId job;               ///< The job whose run it is, or whose attempt made it; 0 for none.
};

struct Run {
  RunInfo info;
  std::vector<Metric> metrics;   ///< The latest of each key, by key.
  std::vector<KeyValue> params;  ///< By key.
  std::vector<KeyValue> tags;    ///< By key.
};

/// Which of active and deleted things a listing shows.
enum class ViewType { kActiveOnly, kDeletedOnly, kAll };

/// The tag that mirrors a run's name.
inline constexpr std::string_view kRunNameTag = "mlflow.runName";
/// The tag that names the job a run belongs to.
inline constexpr std::string_view kJobTag = "trainyard.job_id";
/// The tag that mirrors a run's namespace.
inline constexpr std::string_view kNamespaceTag = "trainyard.namespace";
/// The tag by which clients hang a run below another.
inline constexpr std::string_view kParentTag = "mlflow.parentRunId";

}  // namespace trainyard::track
