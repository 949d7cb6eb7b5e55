#include "sim/jobs_driver.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/internal/jobs_simulator.h"

namespace trainyard::sim {
namespace {

Error unsupported(std::string_view what) {
  return invalid_argument("sim.driver",
                          fmt::format("jobs cannot be run by the driver of jobs, because a job specification cannot say this; leave it "
                                      "out, or simulate the scheduler alone: {}",
                                      what));
}

Result<void> check_settings(const SimulationSettings& settings) {
  const FaultSettings& faults = settings.faults;
  if (settings.priority_is_tier) return unsupported("priorities that are tiers");
  if (!settings.user_weights_milli.empty()) return unsupported("weights of users");
  if (!settings.kill) return unsupported("jobs that run on past their limits");
  if (settings.estimate == Estimate::kPredicted) return unsupported("estimates by prediction");
  if (settings.estimate == Estimate::kExact && settings.queue.preemption.enabled) return unsupported("exact estimates with preemption");
  if (!faults.planned.empty() || faults.mtbf > Duration(0) || faults.spot_mtbf > Duration(0)) return unsupported("faults");
  if (settings.check) return unsupported("a check of the books after every step");
  return {};
}

Result<void> check_trace(const Trace& trace, const Machine& machine, const SimulationSettings& settings) {
  RequestMaker requests(trace, machine);
  const auto refuse = [](const TraceJob& job, std::string_view what) { return unsupported(fmt::format("{} (job {})", what, job.id)); };
  for (const TraceJob& job : trace.jobs) {
    const JobRequest made = requests.request(job);
    if (!job.depends_on.empty()) return refuse(job, "dependencies");
    if (made.tasks_min > 0 || made.tasks_max != made.tasks) return refuse(job, "elastic gangs");
    if (made.constraints != nullptr) return refuse(job, "GPU models");
    if (made.demand.gpus > 1 && made.demand.gpu_milli != 1000) return refuse(job, "shares of several GPUs");
    if (job.deadline != kUnbounded && settings.queue.order == "deadline") return refuse(job, "deadlines");
  }
  return {};
}

}  // namespace

Result<SimulationResult> simulate_jobs(const Trace& trace, const Machine& machine, const SimulationSettings& settings,
                                       const std::function<bool(const SimulationProgress&)>& watch) {
  TRY(check_settings(settings));
  TRY(check_trace(trace, machine, settings));
  return JobsSimulator(trace, machine, settings, watch).run();
}

}  // namespace trainyard::sim
