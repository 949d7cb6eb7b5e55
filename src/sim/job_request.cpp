#include "sim/job_request.h"

#include <algorithm>
#include <numeric>

#include "sched/plan.h"

namespace trainyard::sim {
namespace {

std::int64_t divided(std::int64_t total, std::int64_t members) { return (total + members - 1) / members; }

std::int64_t members_of(const TraceJob& job, std::int64_t gpus) {
  if (job.nodes > 0) return job.nodes;
  return gpus > 0 ? std::gcd(job.procs, gpus) : job.procs;
}

}  // namespace

RequestMaker::RequestMaker(const Trace& trace, const Machine& machine)
    : trace_(trace), gpus_(!machine.processors_alone), memory_(machine.limits_memory()), constraints_(trace.gpu_models.size()) {}

JobRequest RequestMaker::request(const TraceJob& job) {
  const std::int64_t gpus = gpus_ ? job.gpus : 0;
  const std::int64_t members = members_of(job, gpus);
  JobRequest made;
  made.demand.amounts[sched::kCpu] = divided(job.procs * 1000, members);
  if (memory_) made.demand.amounts[sched::kMemory] = divided(job.mem_mib << 20, members);
  if (gpus > 0) made.demand.ask_gpus(static_cast<std::int32_t>(gpus / members), job.gpu_milli);
  if (gpus > 0 && job.gpu_models != 0) {
    std::shared_ptr<const sched::Constraints>& shared = constraints_[job.gpu_models];  // shared: see the header
    if (shared == nullptr) {
      sched::Constraints constraints;
      std::string_view rest = trace_.gpu_models.name(job.gpu_models);
      while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('|'), rest.size());
        if (end > 0) constraints.gpu_models.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
      shared = std::make_shared<const sched::Constraints>(std::move(constraints));
    }
    made.constraints = shared;
  }
  made.tasks = made.tasks_max = static_cast<std::int32_t>(members);
  if (job.procs_min == 0 && job.procs_max == 0) return made;
  const std::int64_t unit = std::max<std::int64_t>(job.procs / members, 1);
  made.tasks_min = static_cast<std::int32_t>(job.procs_min > 0 ? divided(job.procs_min, unit) : members);
  if (job.procs_max > 0) made.tasks_max = static_cast<std::int32_t>(std::max(job.procs_max / unit, members));
  return made;
}

bool FitMemory::could_ever_fit(const sched::ClusterSnapshot& cluster, const sched::JobSnapshot& job) {
  const auto same = [&job](const Known& known) { return known.constraints == job.constraints.get() && known.demand == job.demand; };
  if (last_ >= known_.size() || !same(known_[last_])) {
    last_ = static_cast<std::size_t>(std::find_if(known_.begin(), known_.end(), same) - known_.begin());
    if (last_ == kKindsMax) return sched::could_ever_fit(cluster, job);
    if (last_ == known_.size()) known_.push_back({job.demand, job.constraints.get()});
  }
  Known& known = known_[last_];
  const std::int64_t needed = job.tasks_min > 0 ? job.tasks_min : job.tasks;
  if (needed <= known.fits) return true;
  if (needed >= known.too_many) return false;
  const bool fits = sched::could_ever_fit(cluster, job);
  (fits ? known.fits : known.too_many) = needed;
  return fits;
}

}  // namespace trainyard::sim
