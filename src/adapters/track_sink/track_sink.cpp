#include "adapters/track_sink/track_sink.h"

#include <algorithm>

#include "track/validation.h"

namespace trainyard::adapters::track_sink {
namespace {

std::int64_t millis(TimePoint time) { return micros(time) / 1000; }

bool is_good_key(const std::string& key) { return track::check_key(key, "name", "Metric name").ok(); }

std::string storable_key(const std::string& key) {
  if (is_good_key(key)) return key;
  std::string cleaned = key.empty() ? "_" : key.substr(0, track::kKeyMax);
  // A lone '/' or '.' is no key, so what could make a path of another name goes too.
  std::replace_if(
      cleaned.begin(), cleaned.end(), [](char c) { return !is_good_key(std::string(1, c)); }, '_');
  return cleaned;
}

/// A deleted run takes no writes; nobody waits for them.
template <typename T>
Result<void> unless_deleted(const Result<T>& result) {
  if (result.ok() || result.error().id == "track.lifecycle") return {};
  return result.error();
}

}  // namespace

Result<void> TrackSink::start_run(const jobs::RunStart& start) {
  track::NewRun run;
  run.id = start.run;
  run.experiment = {"0"};
  run.name = start.name;
  run.user = start.owner;
  run.started_ms = millis(start.started_at);
  run.name_space = start.name_space;
  run.job = start.job;
  run.tags = {{std::string(track::kJobTag), start.job.text()}, {"trainyard.kind", start.kind}};
  if (!start.dataset.empty()) run.tags.push_back({std::string(track::kDatasetTag), start.dataset});
  if (start.synthetic) run.tags.push_back({std::string(track::kSyntheticTag), "true"});
  const Result<track::Run> created = tracking_.runs().create(run);
  if (created.ok()) return {};
  if (created.error().category != Category::kAlreadyExists) return created.error();
  return unless_deleted(tracking_.runs().update(start.run, {track::RunStatus::kRunning, std::nullopt, std::nullopt}));
}

Result<void> TrackSink::record_metrics(const RunId& run, AttemptNumber attempt, const std::vector<jobs::MetricPoint>& points) {
  track::RunBatch batch;
  for (const jobs::MetricPoint& point : points) {
    batch.metrics.push_back({storable_key(point.key), {point.value, point.step, millis(point.time), attempt.value}});
  }
  return unless_deleted(tracking_.runs().log(run, batch));
}

Result<void> TrackSink::end_run(const RunId& run, std::string_view status, TimePoint ended_at) {
  const std::optional<track::RunStatus> parsed = track::run_status_from(status);
  CHECK(parsed.has_value(), "the end of a run is FINISHED, FAILED or KILLED");
  return unless_deleted(tracking_.runs().update(run, {*parsed, millis(ended_at), std::nullopt}));
}

Result<void> TrackSink::together(const std::function<Result<void>(jobs::AttemptSink&)>& work) {
  return tracking_.together([&work](track::Tracking& inside) {
    TrackSink sink(inside);
    return work(sink);
  });
}

}  // namespace trainyard::adapters::track_sink
