#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "domain/ids.h"

namespace trainyard::jobs {

/// One point of a metric as an attempt reported it.
struct MetricPoint {
  std::string key;
  double value = 0;
  std::int64_t step = 0;
  TimePoint time;
};

/// What a run needs to know of the job that makes it.
struct RunStart {
  RunId run;
  JobId job;
  std::string name;
  std::string kind;
  std::string dataset;     ///< The dataset version it reads, "name@3/curated"; empty when it reads none.
  bool synthetic = false;  ///< That dataset is made up.
  TimePoint started_at;
  std::string name_space;  ///< That of the job.
  std::string owner;       ///< Who submitted the job.
};

/// Where the metrics and ends of attempts go: tracking. Methods block and are called from a pool, one at a time for one run. Every call may
/// be repeated with the same values: points are keyed (run, key, step) and a later attempt replaces an earlier one.
class AttemptSink {
 public:
  virtual ~AttemptSink() = default;
  virtual Result<void> start_run(const RunStart& start) = 0;
  virtual Result<void> record_metrics(const RunId& run, AttemptNumber attempt, const std::vector<MetricPoint>& points) = 0;
  /// `status` is "FINISHED", "FAILED" or "KILLED".
  virtual Result<void> end_run(const RunId& run, std::string_view status, TimePoint ended_at) = 0;
  /// Runs `work` with a sink whose writes become durable together when `work` succeeds; after an error none of them counts. For many small
  /// writes. A sink that cannot do so writes them one by one.
  virtual Result<void> together(const std::function<Result<void>(AttemptSink&)>& work) { return work(*this); }
};

}  // namespace trainyard::jobs
