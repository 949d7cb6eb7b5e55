#include "apps/simulate/simulate_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>

#include "sim/policy_choice.h"

namespace trainyard::apps {
namespace {

Error bad_option(std::string message) { return invalid_argument("simulate.options", std::move(message)); }

Result<Duration> seconds(std::string_view option, double value) {
  if (std::isfinite(value) && value >= 0 && value <= 1e10) return Duration(static_cast<std::int64_t>(std::llround(value * 1e6)));
  return bad_option(fmt::format("a time lies between 0 and 10000000000 seconds: {} {}", option, value));
}

/// "a=2,b=0.5".
Result<std::vector<std::pair<std::string, std::int64_t>>> parse_weights(std::string_view option, std::string_view text) {
  std::vector<std::pair<std::string, std::int64_t>> weights;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(item.size() + 1, text.size()));
    const std::size_t equals = item.rfind('=');
    double weight = 0;
    const char* begin = equals == std::string_view::npos ? item.data() + item.size() : item.data() + equals + 1;
    const char* end = item.data() + item.size();
    const auto parsed = std::from_chars(begin, end, weight);
    if (equals == 0 || parsed.ec != std::errc() || parsed.ptr != end || !(weight >= 0.001 && weight <= 1e6)) {
      return bad_option(fmt::format("{} takes NAME=WEIGHT,NAME=WEIGHT with weights from 0.001 to 1000000: \"{}\"", option, item));
    }
    weights.emplace_back(item.substr(0, equals), static_cast<std::int64_t>(std::llround(weight * 1000)));
  }
  return weights;
}

Result<sim::Estimate> parse_estimate(const std::string& text) {
  if (text == "user") return sim::Estimate::kUser;
  if (text == "exact") return sim::Estimate::kExact;
  if (text == "predicted") return sim::Estimate::kPredicted;
  return bad_option(fmt::format("--estimate is user, exact or predicted: \"{}\"", text));
}

Result<sim::PolicyChoice> policies(const SimulateOptions& options) {
  sim::PolicyChoice choice;
  if (!options.policy.empty()) {
    ASSIGN_OR_RETURN(choice, sim::parse_policy(options.policy));
  }
  const auto set = [](std::string& chosen, const std::string& option) {
    if (!option.empty()) chosen = option;
  };
  set(choice.order, options.order);
  set(choice.sharing, options.sharing);
  set(choice.backfill, options.backfill);
  set(choice.placement, options.placement);
  return choice;
}

Result<sim::FaultSettings> faults(const SimulateOptions& options) {
  sim::FaultSettings settings;
  for (const std::string& text : options.losses) {
    ASSIGN_OR_RETURN(const sim::Fault fault, sim::parse_loss(text));
    settings.planned.push_back(fault);
  }
  for (const std::string& text : options.spots) {
    ASSIGN_OR_RETURN(const sim::Fault fault, sim::parse_spot(text));
    settings.planned.push_back(fault);
  }
  ASSIGN_OR_RETURN(settings.mtbf, seconds("--mtbf", options.mtbf_s));
  ASSIGN_OR_RETURN(settings.repair, seconds("--repair", options.repair_s));
  ASSIGN_OR_RETURN(settings.spot_mtbf, seconds("--spot-mtbf", options.spot_mtbf_s));
  ASSIGN_OR_RETURN(settings.spot_notice, seconds("--spot-notice", options.spot_notice_s));
  if (settings.repair == Duration(0)) return bad_option("--repair is more than 0: a node that never comes back is --lose NODE@SECONDS");
  if (settings.spot_notice == Duration(0)) return bad_option("--spot-notice is more than 0: a loss without notice is --mtbf or --lose");
  settings.losses_max = options.losses_per_job;
  settings.seed = options.seed;
  return settings;
}

void add_input_options(CLI::App& app, SimulateOptions& options) {
  app.add_flag("--list-policies", options.list_policies, "Print all policies with their parameters and promises, and stop");
  app.add_option("--trace", options.trace, "Workload: trace CSV or SWF, .gz as it is")->group("Workload");
  app.add_option("--format", options.format, "Format of the trace; default: by its name")
      ->check(CLI::IsMember({"csv", "swf"}))
      ->group("Workload");
  app.add_flag("--sort", options.sort, "Sort the trace by submit time instead of refusing an unsorted one")->group("Workload");
  app.add_option("--hosts", options.hosts, "So many equal hosts, of one processor each unless said otherwise")->group("Cluster");
  app.add_option("--cluster", options.cluster, "Nodes: CSV with node_id,procs,gpus,mem_mb,gpu_model,rack")->group("Cluster");
  app.add_option("--procs-per-host", options.shape.procs, "Processors of each of the --hosts")->group("Cluster");
  app.add_option("--gpus-per-host", options.shape.gpus, "GPUs of each")->group("Cluster");
  app.add_option("--mem-mb-per-host", options.shape.mem_mib, "MiB of each; 0: memory is not modelled")->group("Cluster");
  app.add_option("--gpu-model", options.shape.gpu_model, "Model of their GPUs")->group("Cluster");
  app.add_option("--hosts-per-rack", options.hosts_per_rack, "Neighbouring hosts that share a rack; 0: none do")->group("Cluster");
}

void add_policy_options(CLI::App& app, SimulateOptions& options) {
  const std::string group = "Policies";
  app.add_option("--policy", options.policy, "A policy, or several of different kinds: easy, priority, drf+easy+best_fit")->group(group);
  app.add_option("--order", options.order, "Order within a queue; default fifo")->group(group);
  app.add_option("--sharing", options.sharing, "How queues share the cluster; default order")->group(group);
  app.add_option("--backfill", options.backfill, "What happens behind a job that does not fit; default fifo")->group(group);
  app.add_option("--placement", options.placement, "Which nodes a job gets; default first_fit")->group(group);
  app.add_option("--param", options.parameters, "Parameter of a chosen policy, as k=4; may be repeated")->group(group);
  app.add_option("--queues", options.queues, "none: one line (default); trace: the trace's queues; or NAME=WEIGHT,*=WEIGHT")->group(group);
  app.add_option("--users", options.users, "Weights of users, as NAME=WEIGHT,NAME=WEIGHT")->group(group);
  app.add_option("--half-life", options.half_life_s, "Half-life of past usage in seconds; 0: only current use counts")->group(group);
  app.add_option("--driver", options.driver, "scheduler (default), or jobs: each job through the server's job service; far slower")
      ->check(CLI::IsMember({"scheduler", "jobs"}))
      ->group(group);
  app.add_option("--seed", options.seed, "For chance: faults and seeded policies")->group(group);
  app.add_option("--estimate", options.estimate, "What the planner knows of run times: user (limits), exact, predicted")->group(group);
  app.add_flag("--no-kill", options.no_kill, "Jobs run on past their limits")->group(group);
  app.add_flag("--tiers", options.tiers, "The trace's priority is a tier, and --preempt works between tiers")->group(group);
  app.add_flag("--preempt", options.preempt, "Jobs may evict others as the rules allow")->group(group);
  app.add_option("--grace", options.grace_s, "Seconds that an evicted job has to checkpoint")->group(group);
  app.add_option("--min-run", options.minimum_run_s, "Seconds that a job runs before it can be evicted")->group(group);
  app.add_option("--evictions-per-job", options.evictions_per_job, "Most evictions of one job")
      ->check(CLI::NonNegativeNumber)
      ->group(group);
  app.add_option("--evictions-per-minute", options.evictions_per_minute, "Most evictions in a minute")
      ->check(CLI::NonNegativeNumber)
      ->group(group);
}

void add_fault_options(CLI::App& app, SimulateOptions& options) {
  const std::string group = "Faults";
  app.add_option("--lose", options.losses, "A node is lost: NODE@SECONDS, or NODE@SECONDS+DOWN to have it back; may be repeated")
      ->group(group);
  app.add_option("--spot", options.spots, "A node is lost after a notice: NODE@SECONDS/NOTICE[+DOWN]; may be repeated")->group(group);
  app.add_option("--mtbf", options.mtbf_s, "Mean seconds between losses of one node, by chance; 0: none")->group(group);
  app.add_option("--repair", options.repair_s, "Seconds until a node lost by chance is back")->group(group);
  app.add_option("--spot-mtbf", options.spot_mtbf_s, "Mean seconds between spot notices of one node, by chance; 0: none")->group(group);
  app.add_option("--spot-notice", options.spot_notice_s, "Seconds from such a notice to the loss")->group(group);
  app.add_option("--losses-per-job", options.losses_per_job, "Lost attempts after which the next one fails the job")
      ->check(CLI::NonNegativeNumber)
      ->group(group);
}

void add_output_options(CLI::App& app, SimulateOptions& options) {
  const std::string group = "Results (- is stdout)";
  app.add_option("--schedule-out", options.schedule_out, "Where the schedule goes, as CSV")->group(group);
  app.add_option("--summary-out", options.summary_out, "Where the summary goes, as JSON")->group(group);
  app.add_option("--trace-out", options.trace_out, "Where the workload goes: SWF with what became of it when named .swf, else trace CSV")
      ->group(group);
  app.add_option("--svg", options.svg, "Where a picture of the schedule goes: who ran where and when, what was in use, what waited")
      ->group(group);
  app.add_option("--svg-utilisation", options.svg_utilisation, "Where a small picture goes: what was in use and what waited")->group(group);
  app.add_option("--max-events", options.max_events, "Stop with an error after so many events; 0: no bound")->group(group);
  app.add_flag("--check", options.check, "Check the books of the cluster after every step (slow)")->group(group);
}

}  // namespace

void add_options(CLI::App& app, SimulateOptions& options) {
  add_input_options(app, options);
  add_policy_options(app, options);
  add_fault_options(app, options);
  add_output_options(app, options);
  app.footer(
      "Examples:\n  trainyard simulate --trace jobs.csv --hosts 32 --policy easy --schedule-out schedule.csv --summary-out summary.json\n"
      "  trainyard simulate --trace log.swf.gz --hosts 128 --policy conservative --svg schedule.svg\n"
      "  trainyard simulate --trace jobs.csv --cluster nodes.csv --policy fair_share+easy --queues trace --estimate exact\n\n"
      "Exit codes: 0 ok, 1 failed, 2 usage, 3 not found.");
}

Result<sim::QueueMapping> parse_queues(const std::string& text) {
  using Kind = sim::QueueMapping::Kind;
  if (text.empty() || text == "none") return sim::QueueMapping{};
  if (text == "trace") return sim::QueueMapping{Kind::kTrace, {}};
  ASSIGN_OR_RETURN(auto weights, parse_weights("--queues", text));
  return sim::QueueMapping{Kind::kListed, std::move(weights)};
}

Result<sim::SimulationSettings> simulation_settings(const SimulateOptions& options) {
  sim::SimulationSettings settings;
  ASSIGN_OR_RETURN(const sim::PolicyChoice choice, policies(options));
  TRY(sim::choose_policies(choice, options.parameters, settings.queue, settings.sharing));
  ASSIGN_OR_RETURN(settings.queues, parse_queues(options.queues));
  ASSIGN_OR_RETURN(settings.user_weights_milli, parse_weights("--users", options.users));
  ASSIGN_OR_RETURN(settings.sharing.half_life, seconds("--half-life", options.half_life_s));
  ASSIGN_OR_RETURN(settings.estimate, parse_estimate(options.estimate));
  ASSIGN_OR_RETURN(settings.faults, faults(options));
  settings.sharing.seed = options.seed;
  settings.kill = !options.no_kill;
  settings.priority_is_tier = options.tiers;
  settings.queue.preemption.enabled = options.preempt;
  ASSIGN_OR_RETURN(settings.queue.preemption.grace, seconds("--grace", options.grace_s));
  ASSIGN_OR_RETURN(settings.queue.preemption.minimum_run_time, seconds("--min-run", options.minimum_run_s));
  settings.queue.preemption.evictions_per_job_max = options.evictions_per_job;
  settings.queue.preemption.evictions_per_minute_max = options.evictions_per_minute;
  settings.events_max = options.max_events;
  settings.check = options.check;
  return settings;
}

}  // namespace trainyard::apps
