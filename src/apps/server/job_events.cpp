#include "apps/server/job_events.h"

#include <memory>

#include "apps/server/job_runs.h"
#include "base/failpoint.h"

namespace trainyard::apps {
namespace {

std::vector<jobs::MetricPoint> metric_points(const std::vector<Document>& events, TimePoint now) {
  std::vector<jobs::MetricPoint> points;
  for (const Document& event : events) {
    if (event["event"].text() != "metric") continue;
    const Result<double> value = event.double_at("value");
    const Result<std::int64_t> step = event.int_or("step", 0);
    const Result<std::int64_t> time = event.int_or("time_us", micros(now));
    const std::string& key = event["key"].text();
    if (key.empty() || !value.ok() || !step.ok() || !time.ok()) continue;
    points.push_back({key, *value, *step, time_from_micros(*time)});
  }
  return points;
}

/// The run may be missing: it could not be opened when the job was launched, or that is still to come.
Result<void> record(jobs::AttemptSink& tracking, const jobs::RunStart& start, AttemptNumber attempt,
                    const std::vector<jobs::MetricPoint>& points) {
  Result<void> recorded = tracking.record_metrics(start.run, attempt, points);
  if (recorded.ok() || recorded.error().category != Category::kNotFound) return recorded;
  TRY(tracking.start_run(start));
  return tracking.record_metrics(start.run, attempt, points);
}

bool is_transient(const Error& error) {
  return error.category == Category::kUnavailable || error.category == Category::kResourceExhausted ||
         error.category == Category::kDeadlineExceeded;
}

}  // namespace

Result<std::uint64_t> JobEvents::taken(const RankKey& rank) {
  Result<std::uint64_t> taken = deps_.jobs.events_taken(rank);
  if (taken.ok()) return taken;
  const auto durable = std::make_shared<bool>(false);  // shared: with the barrier, which may come later
  deps_.jobs.barrier([durable] { *durable = true; });
  if (*durable) return taken;
  return unavailable("events.unsettled", "whether the attempt is still the current one is being written: ask again");
}

void JobEvents::append(const RankKey& rank, std::uint64_t first, std::vector<std::string> lines,
                       std::function<void(Result<std::uint64_t>)> done) {
  std::vector<Document> events;
  for (const std::string& line : lines) {
    // The warden lets only JSON pass; a damaged line still counts, or the numbers would shift.
    Result<Document> event = parse_json(line);
    events.push_back(event.ok() ? std::move(event).value() : Document());
  }
  const std::vector<jobs::MetricPoint> points = metric_points(events, SystemClock().now());
  const jobs::Job* const job = deps_.jobs.live_job(rank.attempt.job);
  if (deps_.tracking == nullptr || points.empty() || job == nullptr || !deps_.jobs.is_current(rank.attempt)) {
    return deps_.jobs.append_events(rank, first, events, std::move(done));
  }
  deps_.writes.post(
      [deps = deps_, rank, first, start = run_start_of(*job), points, events = std::move(events), done = std::move(done)]() mutable {
        Result<void> recorded = record(*deps.tracking, start, rank.attempt.attempt, points);
        if (recorded.ok()) recorded = hit_failpoint("events.after_metrics");
        deps.strand.post([deps, rank, first, events = std::move(events), recorded = std::move(recorded), done = std::move(done)]() mutable {
          // Only what may work later is tried again: a point that tracking will never take must not hold up the others.
          if (!recorded.ok() && is_transient(recorded.error())) return done(std::move(recorded).error());
          deps.jobs.append_events(rank, first, events, std::move(done));
        });
      });
}

}  // namespace trainyard::apps
