#pragma once
#include "jobs/attempt_sink.h"
#include "track/tracking.h"

namespace trainyard::adapters::track_sink {

/// Tracking as the place where the runs of jobs are kept: experiment "Default", the run id that the job was given at submit, its namespace,
/// its owner as the user, and the tags "trainyard.job_id", "trainyard.kind" and "trainyard.dataset". A metric key that tracking does not
/// take is stored with '_' in place of what is wrong with it; what comes for a run that somebody deleted is dropped. Errors: those of the
/// database.
class TrackSink final : public jobs::AttemptSink {
 public:
  explicit TrackSink(track::Tracking& tracking) : tracking_(tracking) {}

  /// A run that is there already is no error: the job was launched again.
  Result<void> start_run(const jobs::RunStart& start) override;
  Result<void> record_metrics(const RunId& run, AttemptNumber attempt, const std::vector<jobs::MetricPoint>& points) override;
  Result<void> end_run(const RunId& run, std::string_view status, TimePoint ended_at) override;
  Result<void> together(const std::function<Result<void>(jobs::AttemptSink&)>& work) override;

 private:
  track::Tracking& tracking_;
};

}  // namespace trainyard::adapters::track_sink
