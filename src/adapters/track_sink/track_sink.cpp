#include "adapters/track_sink/track_sink.h"

#include <algorithm>

#include "track/validation.h"

namespace trainyard::adapters::track_sink {
namespace {

std::int64_t millis(TimePoint time) { return micros(time) / 1000; }

std::string storable_key(const std::string& key) {
  if (track::check_key(key, "name", "Metric name").ok()) return key;
  std::string cleaned = key.empty() ? "_" : key.substr(0, track::kKeyMax);
  std::replace_if(
      cleaned.begin(), cleaned.end(), [](char c) { return !track::check_key(std::string(1, c), "name", "Metric name").ok(); }, '_');
  return cleaned;
}

class TrackSink final : public jobs::AttemptSink {
 public:
  explicit TrackSink(track::Tracking& tracking) : tracking_(tracking) {}

  Result<void> start_run(const jobs::RunStart& start) override {
    track::NewRun run;
    run.id = start.run;
    run.experiment = {"0"};
    run.name = start.name;
    run.started_ms = millis(start.started_at);
    run.tags = {{"trainyard.job_id", start.job.text()}, {"trainyard.kind", start.kind}};
    const Result<track::Run> created = tracking_.runs().create(run);
    if (created.ok()) return {};
    if (created.error().category != Category::kAlreadyExists) return created.error();
    return unless_deleted(tracking_.runs().update(start.run, {track::RunStatus::kRunning, std::nullopt, std::nullopt}));
  }

  Result<void> record_metrics(const RunId& run, AttemptNumber attempt, const std::vector<jobs::MetricPoint>& points) override {
    track::RunBatch batch;
    for (const jobs::MetricPoint& point : points) {
      batch.metrics.push_back({storable_key(point.key), {point.value, point.step, millis(point.time), attempt.value}});
    }
    return unless_deleted(tracking_.runs().log(run, batch));
  }

  Result<void> end_run(const RunId& run, std::string_view status, TimePoint ended_at) override {
    const std::optional<track::RunStatus> parsed = track::run_status_from(status);
    CHECK(parsed.has_value(), "the end of a run is FINISHED, FAILED or KILLED");
    return unless_deleted(tracking_.runs().update(run, {*parsed, millis(ended_at), std::nullopt}));
  }

 private:
  /// A deleted run takes no writes; nobody waits for them.
  template <typename T>
  static Result<void> unless_deleted(const Result<T>& result) {
    if (result.ok() || result.error().id == "track.lifecycle") return {};
    return result.error();
  }

  track::Tracking& tracking_;
};

}  // namespace

std::unique_ptr<jobs::AttemptSink> make_track_sink(track::Tracking& tracking) { return std::make_unique<TrackSink>(tracking); }

}  // namespace trainyard::adapters::track_sink
