#include "sim/summary.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/job_request.h"

namespace trainyard::sim {
namespace {

double seconds(Duration time) { return static_cast<double>(time.count()) / 1e6; }

/// Sums over jobs. Times are summed as integers, so that the order does not matter.
struct Sums {
  __extension__ using Wide = __int128;
  std::uint64_t ended = 0;
  Wide wait = 0;
  Wide turnaround = 0;
  double weighted_turnaround = 0;
  double weight = 0;
  double slowdown = 0;
};

void count_fate(Fate fate, Summary& summary) {
  switch (fate) {
    case Fate::kSucceeded:
      ++summary.succeeded;
      return;
    case Fate::kTimedOut:
      ++summary.timed_out;
      return;
    case Fate::kFailed:
      ++summary.failed;
      return;
    case Fate::kRejected:
      ++summary.rejected;
      return;
    case Fate::kUnfinished:
      ++summary.unfinished;
      return;
  }
}

void add_job(const TraceJob& job, const JobOutcome& outcome, Sums& sums, Summary& summary) {
  constexpr double kShortest = 10;
  const Duration wait = outcome.first_start - job.submit;
  const Duration turnaround = outcome.end - job.submit;
  ++sums.ended;
  sums.wait += wait.count();
  sums.turnaround += turnaround.count();
  sums.weighted_turnaround += job.weight * seconds(turnaround);
  sums.weight += job.weight;
  sums.slowdown += std::max(1.0, seconds(turnaround) / std::max(seconds(outcome.ran), kShortest));
  summary.max_wait_s = std::max(summary.max_wait_s, seconds(wait));
  summary.makespan_s = std::max(summary.makespan_s, seconds(outcome.end));
  if (wait > Duration(0)) ++summary.jobs_that_waited;
}

void add_use(const Trace& trace, const Machine& machine, const SimulationResult& result, Summary& summary) {
  double procs = 0;
  double gpus = 0;
  RequestMaker requests(trace, machine);
  for (const Segment& segment : result.segments) {
    const JobRequest made = requests.request(trace.jobs[segment.job]);
    const double time = seconds(segment.end - segment.start) * segment.tasks / 1000;
    procs += static_cast<double>(made.demand.amounts[sched::kCpu]) * time;
    gpus += static_cast<double>(made.demand.amounts[sched::kGpu]) * time;
  }
  if (summary.makespan_s <= 0) return;
  summary.utilisation = procs / (static_cast<double>(machine.procs()) * summary.makespan_s);
  if (machine.has_gpus()) summary.gpu_utilisation = gpus / (static_cast<double>(machine.gpus()) * summary.makespan_s);
}

}  // namespace

Summary summarise(const Trace& trace, const Machine& machine, const SimulationResult& result) {
  Summary summary;
  summary.jobs = trace.jobs.size();
  summary.skipped_records = trace.skipped;
  Sums sums;
  std::uint64_t missed = 0;
  bool deadlines = false;
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    const JobOutcome& outcome = result.outcomes[i];
    const bool ran = outcome.fate != Fate::kRejected && outcome.fate != Fate::kUnfinished;
    count_fate(outcome.fate, summary);
    if (ran) add_job(trace.jobs[i], outcome, sums, summary);
    if (trace.jobs[i].deadline == kUnbounded) continue;
    deadlines = true;
    if (outcome.fate != Fate::kSucceeded || outcome.end > trace.jobs[i].deadline) ++missed;
  }
  if (deadlines) summary.deadlines_missed = missed;
  if (sums.ended > 0) {
    const auto count = static_cast<double>(sums.ended);
    summary.mean_wait_s = static_cast<double>(sums.wait) / 1e6 / count;
    summary.mean_turnaround_s = static_cast<double>(sums.turnaround) / 1e6 / count;
    summary.mean_bounded_slowdown = sums.slowdown / count;
    if (sums.weight > 0) summary.weighted_mean_turnaround_s = sums.weighted_turnaround / sums.weight;
  }
  add_use(trace, machine, result, summary);
  summary.fairness = result.fairness;
  summary.preemptions = result.preemptions;
  summary.node_losses = result.node_losses;
  summary.interrupted = result.interrupted;
  summary.lost_gpu_seconds = result.lost_gpu_seconds;
  summary.lost_cpu_seconds = result.lost_cpu_seconds;
  summary.events = result.events;
  summary.plans = result.plans;
  return summary;
}

Document to_document(const Summary& summary) {
  Document document = Document::object();
  document.set("jobs", summary.jobs);
  document.set("rejected", summary.rejected);
  document.set("succeeded", summary.succeeded);
  document.set("timed_out", summary.timed_out);
  document.set("failed", summary.failed);
  document.set("unfinished", summary.unfinished);
  document.set("skipped_records", summary.skipped_records);
  document.set("mean_wait_s", summary.mean_wait_s);
  document.set("max_wait_s", summary.max_wait_s);
  document.set("jobs_that_waited", summary.jobs_that_waited);
  document.set("mean_turnaround_s", summary.mean_turnaround_s);
  document.set("weighted_mean_turnaround_s", summary.weighted_mean_turnaround_s);
  document.set("makespan_s", summary.makespan_s);
  document.set("mean_bounded_slowdown", summary.mean_bounded_slowdown);
  document.set("utilisation", summary.utilisation);
  if (summary.gpu_utilisation) document.set("gpu_utilisation", *summary.gpu_utilisation);
  document.set("fairness", summary.fairness);
  document.set("preemptions", summary.preemptions);
  document.set("node_losses", summary.node_losses);
  document.set("interrupted", summary.interrupted);
  document.set("lost_gpu_seconds", summary.lost_gpu_seconds);
  document.set("lost_cpu_seconds", summary.lost_cpu_seconds);
  if (summary.deadlines_missed) document.set("deadlines_missed", *summary.deadlines_missed);
  document.set("events", summary.events);
  document.set("plans", summary.plans);
  return document;
}

std::string summary_text(const Summary& summary) {
  std::string out;
  const auto line = [&out](std::string_view name, const std::string& value) { out += fmt::format("  {:<24}{}\n", name, value); };
  line("jobs", fmt::format("{}: {} succeeded, {} timed out, {} failed, {} rejected, {} unfinished", summary.jobs, summary.succeeded,
                           summary.timed_out, summary.failed, summary.rejected, summary.unfinished));
  if (summary.skipped_records > 0) line("skipped records", std::to_string(summary.skipped_records));
  line("wait",
       fmt::format("mean {:.3f} s, longest {:.3f} s, {} jobs waited", summary.mean_wait_s, summary.max_wait_s, summary.jobs_that_waited));
  line("turnaround", fmt::format("mean {:.3f} s, bounded slowdown {:.3f}", summary.mean_turnaround_s, summary.mean_bounded_slowdown));
  line("makespan", fmt::format("{:.3f} s", summary.makespan_s));
  line("utilisation", fmt::format("{:.1f} % of processors", summary.utilisation * 100) +
                          (summary.gpu_utilisation ? fmt::format(", {:.1f} % of GPUs", *summary.gpu_utilisation * 100) : ""));
  line("fairness", fmt::format("{:.4f} (Jain)", summary.fairness));
  if (summary.preemptions + summary.node_losses > 0) {
    line("interruptions", fmt::format("{} preemptions, {} nodes lost, {} attempts lost with them", summary.preemptions, summary.node_losses,
                                      summary.interrupted));
    line("lost work", fmt::format("{:.0f} GPU s, {:.0f} CPU s", summary.lost_gpu_seconds, summary.lost_cpu_seconds));
  }
  if (summary.deadlines_missed) line("deadlines missed", std::to_string(*summary.deadlines_missed));
  return out;
}

}  // namespace trainyard::sim
