#include "sched/fix.h"

#include <fmt/format.h>

#include <algorithm>

#include "sched/internal/fix_search.h"
#include "sched/internal/least_node.h"
#include "sched/internal/least_priority.h"
#include "sched/internal/least_quota.h"

namespace trainyard::sched {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::int64_t kSecond = 1'000'000;

Fix none(std::string dimension) {
  Fix fix;
  fix.dimension = std::move(dimension);
  fix.text = "none";
  return fix;
}

/// Thousandths as people write them: "2", "0.25", "64.5".
std::string thousandths(std::int64_t milli) {
  std::string text = fmt::format("{}.{:03}", milli / 1000, milli % 1000);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

/// How one dimension of a request gets smaller.
struct Request {
  std::string dimension;
  std::string unit;
  std::int64_t from = 0;
  RequestRange range;
  std::function<std::string(std::int64_t)> text;  ///< Of a new value, with what it was.
};

AlterJob alter(const JobSnapshot& job) { return {.job = job.id, .demand = {}, .tasks = {}, .walltime = {}, .priority = {}}; }

Request cpu_request(const JobSnapshot& job) {
  const std::int64_t from = job.demand.amounts[kCpu];
  const auto change = [job](std::int64_t milli) {
    AlterJob less = alter(job);
    less.demand = job.demand;
    less.demand->amounts[kCpu] = milli;
    return less;
  };
  return {"cpu", "milli-cpu", from, {1, from - 1, change}, [from](std::int64_t to) {
            return fmt::format("{} -> {} cpu", thousandths(from), thousandths(to));
          }};
}

/// Whole MiB less than the job asks.
Request memory_request(const JobSnapshot& job) {
  const std::int64_t bytes = job.demand.amounts[kMemory];
  const std::int64_t from = bytes / kMiB;
  const auto change = [=](std::int64_t mib) {
    AlterJob less = alter(job);
    less.demand = job.demand;
    less.demand->amounts[kMemory] = bytes - (from - mib) * kMiB;
    return less;
  };
  const std::int64_t least = bytes % kMiB == 0 ? 1 : 0;
  return {"memory", "MiB", from, {least, from - 1, change}, [from](std::int64_t to) { return fmt::format("{} -> {} MiB", from, to); }};
}

AlterJob with_gpus(const JobSnapshot& job, std::int64_t devices, std::int64_t milli) {
  AlterJob less = alter(job);
  less.demand = job.demand;
  less.demand->ask_gpus(static_cast<std::int32_t>(devices), static_cast<std::int32_t>(milli));
  return less;
}

Request devices_request(const JobSnapshot& job) {
  const std::int64_t from = job.demand.gpus;
  return {
      "gpu", "gpus", from, {1, from - 1, [job](std::int64_t devices) { return with_gpus(job, devices, 1000); }}, [from](std::int64_t to) {
        return fmt::format("{} -> {} gpus", from, to);
      }};
}

/// A share of one device.
Request gpu_share_request(const JobSnapshot& job) {
  const std::int64_t from = std::int64_t{job.demand.gpus} * job.demand.gpu_milli;
  const std::int64_t most = std::min<std::int64_t>(from, 1000) - 1;
  return {"gpu", "milli-gpu", from, {1, most, [job](std::int64_t milli) { return with_gpus(job, 1, milli); }}, [from](std::int64_t to) {
            return fmt::format("{} -> {} gpu", thousandths(from), thousandths(to));
          }};
}

Request tasks_request(const JobSnapshot& job) {
  const auto change = [job](std::int64_t tasks) {
    AlterJob less = alter(job);
    less.tasks = static_cast<std::int32_t>(tasks);
    return less;
  };
  return {"tasks", "tasks", job.tasks, {1, job.tasks - 1, change}, [from = job.tasks](std::int64_t to) {
            return fmt::format("{} -> {} tasks", from, to);
          }};
}

/// Whole seconds less; a job without a limit gets one.
Request walltime_request(const JobSnapshot& job) {
  const bool limited = job.walltime != kForever;
  const std::int64_t micros = job.walltime.count();
  const std::int64_t rest = limited ? micros % kSecond : 0;
  const auto length = [rest](std::int64_t seconds) { return Duration(seconds * kSecond + rest); };
  const auto change = [job, length](std::int64_t seconds) {
    AlterJob less = alter(job);
    less.walltime = length(seconds);
    return less;
  };
  const std::int64_t most = limited ? micros / kSecond - 1 : micros / kSecond;
  const auto text = [limited, length, walltime = job.walltime](std::int64_t to) {
    constexpr std::int64_t kTenYears = std::int64_t{10} * 366 * 24 * 3600;
    if (!limited && to > kTenYears) return std::string("no limit -> any limit");
    return fmt::format("{} -> {}", limited ? format_duration(walltime) : "no limit", format_duration(length(to)));
  };
  return {"walltime", "s", limited ? micros / kSecond : kUnlimited, {rest > 0 ? 0 : 1, most, change}, text};
}

Fix fix_of(const Request& request, std::int64_t to) {
  Fix fix;
  fix.dimension = request.dimension;
  fix.unit = request.unit;
  fix.from = request.from;
  fix.to = to;
  fix.text = request.text(to);
  fix.change = request.range.change(to);
  return fix;
}

/// cpu, memory, gpu, tasks and walltime.
void add_request_fixes(FixSearch& search, const JobSnapshot& job, std::vector<Fix>& fixes) {
  const std::vector<Request> requests{cpu_request(job),       memory_request(job), devices_request(job),
                                      gpu_share_request(job), tasks_request(job),  walltime_request(job)};
  std::vector<RequestRange> ranges;
  for (const Request& request : requests) ranges.push_back(request.range);
  const std::vector<std::optional<std::int64_t>> found = search.largest(ranges);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    // Fewer whole devices come first; a share of one is the answer when none of them will do.
    const bool second = i > 0 && requests[i].dimension == requests[i - 1].dimension;
    if (second && fixes.back().change) continue;
    if (second) fixes.pop_back();
    fixes.push_back(found[i] ? fix_of(requests[i], *found[i]) : none(requests[i].dimension));
  }
}

/// An amount of quota in its unit.
struct QuotaUnit {
  std::string name;
  std::int64_t size = 1;
};

QuotaUnit quota_unit(const ClusterSnapshot& cluster, std::size_t kind) {
  if (kind == kCpu) return {"milli-cpu", 1};
  if (kind == kMemory) return {"MiB", kMiB};
  if (kind == kGpu) return {"milli-gpu", 1};
  return {cluster.kind_name(kind), 1};
}

std::string quota_text(const ClusterSnapshot& cluster, std::size_t kind, std::int64_t from, std::int64_t to) {
  if (kind == kCpu || kind == kGpu) return fmt::format("{} -> {} {}", thousandths(from), thousandths(to), cluster.kind_name(kind));
  const QuotaUnit unit = quota_unit(cluster, kind);
  return fmt::format("{} -> {} {}", from / unit.size, to / unit.size, unit.name);
}

Fix quota_fix(const SchedulerState& state, const JobSnapshot& job, TimePoint now, std::size_t tries) {
  const std::optional<SetQuota> change = least_quota(state, job, now, tries);
  if (!change) return none("quota");
  const Amounts& before = *state.queue.queue(*state.queue.find_queue(change->queue)).settings.nominal;
  Fix fix;
  fix.dimension = "quota";
  fix.change = *change;
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    if ((*change->nominal)[kind] == before[kind]) continue;
    const QuotaUnit unit = quota_unit(state.cluster, kind);
    fix.text += fix.text.empty() ? fmt::format("queue \"{}\": ", change->queue) : ", ";
    fix.text += quota_text(state.cluster, kind, before[kind], (*change->nominal)[kind]);
    if (!fix.unit.empty()) continue;
    fix.unit = unit.name;
    fix.from = before[kind] / unit.size;
    fix.to = (*change->nominal)[kind] / unit.size;
  }
  return fix;
}

Fix priority_fix(FixSearch& search, const SchedulerState& state, const JobSnapshot& job, TimePoint now) {
  const std::optional<std::int64_t> to = least_priority(search, state, job, now);
  if (!to) return none("priority");
  Fix fix;
  fix.dimension = fix.unit = "priority";
  fix.from = job.priority;
  fix.to = *to;
  fix.text = fmt::format("{} -> {}", job.priority, *to);
  AlterJob change = alter(job);
  change.priority = *to;
  fix.change = change;
  return fix;
}

Fix node_fix(const SchedulerState& state, const JobSnapshot& job, TimePoint now) {
  const std::optional<NodeLike> more = node_that_helps(state, job, now);
  if (!more) return none("node");
  Fix fix;
  fix.dimension = "node";
  fix.unit = "nodes";
  fix.to = 1;
  fix.text = fmt::format("one more node like {}", more->like);
  fix.change = more->change;
  return fix;
}

}  // namespace

const std::vector<std::string>& fix_dimensions() {
  static const std::vector<std::string> kDimensions{"cpu", "memory", "gpu", "tasks", "walltime", "quota", "priority", "node"};
  return kDimensions;
}

Result<std::vector<Fix>> fixes_of(const SchedulerState& state, JobId id, TimePoint now) {
  const JobSnapshot* waiting = state.queue.find(id);
  if (waiting == nullptr) return not_found("job.not_waiting", fmt::format("only a waiting job can be helped to start: {}", id.text()));
  const JobSnapshot job = *waiting;
  std::vector<Fix> fixes;
  if (starts_in_plan(state.cluster, state.queue, id, now)) {
    for (const std::string& dimension : fix_dimensions()) fixes.push_back(none(dimension));
    return fixes;
  }
  FixSearch search(state, job, now);
  add_request_fixes(search, job, fixes);
  fixes.push_back(quota_fix(state, job, now, search.tries()));
  fixes.push_back(priority_fix(search, state, job, now));
  fixes.push_back(node_fix(state, job, now));
  return fixes;
}

}  // namespace trainyard::sched
