#include "apps/server/job_runs.h"

#include <set>

#include "base/failpoint.h"

namespace trainyard::apps {
namespace {

/// More events than the writes of one process can ever be behind: its queue holds as many.
constexpr std::uint64_t kEventsBehindMax = 4096;
constexpr std::int64_t kRunsPlacedAtOnce = 500;

std::string_view status_of(JobState state) {
  return state == JobState::kSucceeded ? "FINISHED" : state == JobState::kCancelled ? "KILLED" : "FAILED";
}

bool was_launched(const jobs::Job& job) { return job.attempt.number.value > 0; }

}  // namespace

jobs::RunStart run_start_of(const jobs::Job& job) {
  jobs::RunStart start{.run = job.run,
                       .job = job.id,
                       .name = job.spec.name,
                       .kind = job.spec.kind,
                       .dataset = {},
                       .synthetic = jobs::uses_synthetic_data(job),
                       .started_at = job.started_at.value_or(job.submitted_at),
                       .name_space = job.spec.name_space,
                       .owner = job.owner};
  if (!job.spec.inputs.empty()) start.dataset = job.spec.inputs.begin()->second;
  return start;
}

void JobRuns::warn(std::string_view event, JobId job, const Error& error) {
  deps_.log.write({LogLevel::kWarning, std::string(event), {{"job", job.text()}, {"error", error.describe()}}});
}

void JobRuns::open(const jobs::Job& job) {
  const auto open_run = [start = run_start_of(job)](jobs::AttemptSink& sink) -> Result<void> {
    if (!hit_failpoint("runs.before_open").ok()) return {};
    return sink.start_run(start);
  };
  add({open_run, "track.run_not_opened", job.id});
}

void JobRuns::close(const jobs::Job& job) {
  if (!was_launched(job)) return;
  const auto close_run = [run = job.run, status = status_of(job.state),
                          ended = job.ended_at.value_or(job.submitted_at)](jobs::AttemptSink& sink) -> Result<void> {
    if (!hit_failpoint("runs.before_close").ok()) return {};
    return sink.end_run(run, status, ended);
  };
  add({close_run, "track.run_not_closed", job.id});
}

void JobRuns::add(Write write) {
  {
    const std::lock_guard lock(mutex_);
    added_.push_back(std::move(write));
    if (added_.size() > 1) return;  // The task that takes them is posted.
  }
  deps_.writes.post([this] { write_added(); });
}

void JobRuns::write_added() {
  std::vector<Write> writes;
  {
    const std::lock_guard lock(mutex_);
    writes.swap(added_);
  }
  const auto write_all = [&writes](jobs::AttemptSink& sink) -> Result<void> {
    for (const Write& write : writes) TRY(write.apply(sink));
    return {};
  };
  if (writes.size() > 1 && deps_.sink.together(write_all).ok()) return;
  // One that cannot be written keeps none of the others back.
  for (const Write& write : writes) {
    if (const Result<void> written = write.apply(deps_.sink); !written.ok()) warn(write.warning, write.job, written.error());
  }
}

void JobRuns::repair(EventNumber last) {
  deps_.writes.post([this, last] {
    if (const Result<void> repaired = repair_newest(last); !repaired.ok()) warn("track.runs_not_repaired", JobId(), repaired.error());
    if (const Result<void> placed = place_old(); !placed.ok()) warn("track.runs_not_placed", JobId(), placed.error());
  });
}

Result<void> JobRuns::repair_newest(EventNumber last) {
  const EventNumber after(last.value > kEventsBehindMax ? last.value - kEventsBehindMax : 0);
  ASSIGN_OR_RETURN(const std::vector<store::EventRecord> events, deps_.ledger.events(after, JobId(), kEventsBehindMax));
  std::set<JobId> concerned;
  for (const store::EventRecord& event : events) concerned.insert(event.job);
  for (const JobId id : concerned) {
    ASSIGN_OR_RETURN(const store::JobRecord record, deps_.ledger.get(id));
    ASSIGN_OR_RETURN(const jobs::Job job, jobs::decode_job(record.body));
    if (const Result<void> repaired = repair_one(job); !repaired.ok()) warn("track.run_not_repaired", id, repaired.error());
  }
  return {};
}

Result<void> JobRuns::place_old() {
  RunId after;
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<track::UnplacedRun> old, deps_.runs.unplaced(after, kRunsPlacedAtOnce));
    if (old.empty()) return {};
    std::vector<track::RunPlace> places;
    for (const track::UnplacedRun& run : old) {
      Result<track::RunPlace> place = place_of(run);
      if (place.ok())
        places.push_back(std::move(place).value());
      else
        warn("track.run_not_placed", run.job, place.error());
    }
    TRY(deps_.runs.place(places));
    after = old.back().id;
  }
}

/// That of the job that the run names, if there is such a job. The tag alone makes no run that of a job.
Result<track::RunPlace> JobRuns::place_of(const track::UnplacedRun& run) {
  track::RunPlace place{run.id, std::string(kDefaultNamespace), JobId()};
  const Result<store::JobRecord> record = deps_.ledger.get(run.job);
  if (!record.ok() && record.error().category == Category::kNotFound) return place;
  if (!record.ok()) return record.error();
  ASSIGN_OR_RETURN(const jobs::Job job, jobs::decode_job(record->body));
  place.name_space = job.spec.name_space;
  if (job.run == run.id) place.job = run.job;
  return place;
}

/// Writes only what differs.
Result<void> JobRuns::repair_one(const jobs::Job& job) {
  if (!was_launched(job)) return {};
  const Result<track::Run> run = deps_.runs.get(job.run);
  if (!run.ok() && run.error().category != Category::kNotFound) return run.error();
  if (!run.ok()) TRY(deps_.sink.start_run(run_start_of(job)));
  const bool open = !run.ok() || run->info.status == track::RunStatus::kRunning;
  if (!open || !is_terminal(job.state)) return {};
  return deps_.sink.end_run(job.run, status_of(job.state), job.ended_at.value_or(job.submitted_at));
}

}  // namespace trainyard::apps
