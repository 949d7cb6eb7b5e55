#include "sched/scheduler_spec.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "sched/policy.h"

namespace trainyard::sched {
namespace {

Result<void> set_amount(Amounts& amounts, const QuotaSpec& spec) {
  if (!spec.cpu.empty()) {
    ASSIGN_OR_RETURN(const MilliCpu cpu, parse_milli_cpu(spec.cpu));
    amounts[kCpu] = cpu.milli;
  }
  if (!spec.memory.empty()) {
    ASSIGN_OR_RETURN(const ByteSize memory, parse_byte_size(spec.memory));
    amounts[kMemory] = memory.bytes;
  }
  if (!spec.gpu.empty()) {
    ASSIGN_OR_RETURN(const MilliCpu gpu, parse_milli_cpu(spec.gpu));
    amounts[kGpu] = gpu.milli;
  }
  return {};
}

Result<double> parameter_value(const std::string& name, const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && std::isfinite(value)) return value;
  return invalid_argument("queue.bad_parameter", fmt::format("a parameter is a number: {} is \"{}\"", name, text));
}

Result<QueueSettings> settings_of(const QueueSpec& spec) {
  QueueSettings settings;
  settings.name = spec.name;
  settings.parent = spec.parent;
  settings.weight_milli = std::llround(spec.weight * 1000);
  if (spec.owns_quota) {
    settings.nominal = Amounts::unlimited();
    TRY(set_amount(*settings.nominal, spec.quota));
  }
  TRY(set_amount(settings.borrow_limit, spec.borrow));
  TRY(set_amount(settings.lend_limit, spec.lend));
  settings.order = spec.order;
  settings.backfill = spec.backfill;
  settings.placement = spec.placement;
  for (const auto& [name, text] : spec.parameters) {
    ASSIGN_OR_RETURN(settings.parameters[name], parameter_value(name, text));
  }
  if (spec.max_running_jobs > 0) settings.running_jobs_max = spec.max_running_jobs;
  if (spec.max_running_jobs_per_user > 0) settings.running_jobs_per_user_max = spec.max_running_jobs_per_user;
  if (spec.state == "stopped") settings.state = QueueSettings::State::kStopped;
  if (spec.state == "draining") settings.state = QueueSettings::State::kDraining;
  settings.preemption = {.enabled = spec.preemption.enabled,
                         .grace = spec.preemption.grace,
                         .minimum_run_time = spec.preemption.minimum_run_time,
                         .evictions_per_job_max = static_cast<std::int32_t>(spec.preemption.evictions_per_job),
                         .evictions_per_minute_max = static_cast<std::int32_t>(spec.preemption.evictions_per_minute)};
  return settings;
}

/// The error with the place of the value in the file, when it has none of its own.
Error placed(Error error, const Document& document, const std::string& pointer) {
  if (error.where.empty()) error.where = place_of(document, pointer);
  return error;
}

}  // namespace

void QuotaSpec::describe(FieldVisitor& fields) {
  fields.field("cpu", cpu, "Cores, as \"16\" or \"500m\"; empty: no limit.");
  fields.field("memory", memory, "Memory, as \"64GiB\"; empty: no limit.");
  fields.field("gpu", gpu, "GPU devices, as \"8\" or \"0.5\"; empty: no limit.");
}

void PreemptionSpec::describe(FieldVisitor& fields) {
  fields.field("enabled", enabled, "Whether jobs of this queue may take the room of others.");
  fields.field("grace", grace, "Time that a victim has to write a checkpoint and leave.");
  fields.field("minimum_run_time", minimum_run_time, "A job that has run for less is no victim.");
  fields.field("evictions_per_job", evictions_per_job, {.min = 0, .max = 1'000'000}, "A job that gave way so often is no victim any more.");
  fields.field("evictions_per_minute", evictions_per_minute, {.min = 0, .max = 1'000'000}, "Evictions of the whole cluster in a minute.");
}

void QueueSpec::describe(FieldVisitor& fields) {
  constexpr double kWeightMax = 1e6;
  constexpr double kJobsMax = 1e9;
  fields.field("name", name, "What jobs call it.");
  fields.required();
  fields.field("parent", parent, "The queue above it, listed before; empty: the root.");
  fields.field("weight", weight, {.min = 0, .max = kWeightMax}, "Its share beside its siblings.");
  fields.field("owns_quota", owns_quota, "Whether it has a quota of its own; without one it borrows all that it uses, without limit.");
  fields.field("quota", quota, "What is its own; counts when owns_quota is true.");
  fields.field("borrow", borrow, "The most it may use beyond its quota.");
  fields.field("lend", lend, "The most of its quota that others may use.");
  fields.field("order", order, "Order among its jobs.");
  fields.field("backfill", backfill, "What happens behind a job that does not fit.");
  fields.field("placement", placement, "Which of the nodes that fit is taken.");
  fields.field("parameters", parameters, "Parameters of these policies.");
  fields.field("max_running_jobs", max_running_jobs, {.min = 0, .max = kJobsMax}, "Jobs that run at a time; 0: no limit.");
  fields.field("max_running_jobs_per_user", max_running_jobs_per_user, {.min = 0, .max = kJobsMax}, "The same for one user; 0: no limit.");
  fields.choice("state", state, {"open", "stopped", "draining"}, "Stopped: nothing starts. Draining: takes no new jobs.");
  fields.field("preemption", preemption, "How its jobs take the room of others.");
}

void SchedulerSpec::describe(FieldVisitor& fields) {
  fields.field("sharing", sharing, "How queues share the pool: order, drf, hdrf or fair_share.");
  fields.field("half_life", half_life, "Of used shares, for fair_share; 0s: only what is in use now counts.");
  fields.field("queues", queues, "The tree of queues, parents before children.");
}

SchedulerSettings SchedulerSettings::standard() {
  QueueSettings queue;
  queue.name = "default";
  queue.order = "priority";
  queue.backfill = "easy";
  queue.placement = "best_fit";
  queue.parameters = {{"protect_after", 20}};
  SchedulerSettings settings;
  settings.queues.push_back(std::move(queue));
  return settings;
}

Result<SchedulerSettings> scheduler_settings_from(const Document& document) {
  ASSIGN_OR_RETURN(const SchedulerSpec spec, decode<SchedulerSpec>(document));
  if (spec.queues.empty()) return SchedulerSettings::standard();
  SchedulerSettings settings;
  settings.sharing.policy = spec.sharing;
  settings.sharing.half_life = spec.half_life;
  if (Result<const SharePolicy*> sharing = find_share_policy(spec.sharing); !sharing.ok()) {
    return placed(std::move(sharing).error(), document, "/sharing");
  }
  QueueSnapshot tried;
  for (std::size_t i = 0; i < spec.queues.size(); ++i) {
    Result<QueueSettings> one = settings_of(spec.queues[i]);
    Result<QueueIndex> added = one.ok() ? tried.add_queue(*one) : Result<QueueIndex>(one.error());
    if (!added.ok()) {
      Error error = placed(std::move(added).error(), document, fmt::format("/queues/{}", i));
      return std::move(error).with_context("reading queue \"" + spec.queues[i].name + "\"");
    }
    settings.queues.push_back(std::move(one).value());
  }
  return settings;
}

Result<void> apply_settings(QueueSnapshot& queue, const SchedulerSettings& settings) {
  TRY(find_share_policy(settings.sharing.policy));
  queue.sharing = settings.sharing;
  for (const QueueSettings& one : settings.queues) TRY(queue.add_queue(one));
  return {};
}

}  // namespace trainyard::sched
