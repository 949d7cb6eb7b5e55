#include "adapters/track_sink/track_sink.h"

namespace trainyard::adapters::track_sink {
namespace {

std::int64_t millis(TimePoint time) { return micros(time) / 1000; }

}  // namespace

Result<void> TrackSink::start_run(const jobs::RunStart& start) {
  track::NewRun run;
  run.id = start.run;
  run.experiment.text = "0";
  run.name = start.name;
  run.user = "trainyard";
  run.started_ms = millis(start.started_at);
  run.tags = {{"trainyard.job_id", start.job.text()}, {"trainyard.kind", start.kind}};
  if (!start.dataset.empty()) run.tags.push_back({std::string(track::kDatasetTag), start.dataset});
  if (Result<track::Run> created = tracking_.runs.create(run); !created.ok() && created.error().category != Category::kAlreadyExists) {
    return std::move(created).error();
  }
  return {};
}

Result<void> TrackSink::record_metrics(const RunId& run, AttemptNumber attempt, const std::vector<jobs::MetricPoint>& points) {
  track::RunBatch batch;
  for (const jobs::MetricPoint& point : points) {
    batch.metrics.push_back({point.key, {point.value, point.step, millis(point.time), attempt.value}});
  }
  return tracking_.runs.log(run, batch);
}

Result<void> TrackSink::end_run(const RunId& run, std::string_view status, TimePoint ended_at) {
  track::RunUpdate update;
  update.status = track::run_status_from(status);
  update.ended_ms = millis(ended_at);
  TRY(tracking_.runs.update(run, update));
  return {};
}

}  // namespace trainyard::adapters::track_sink
