#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#include <filesystem>
#include <functional>

#include "apps/simulate/simulate_options.h"
#include "base/file.h"
#include "base/time.h"
#include "sim/jobs_driver.h"
#include "sim/policy_choice.h"
#include "sim/summary.h"
#include "sim/svg.h"

namespace trainyard::apps {
namespace {

constexpr auto kBetweenLines = std::chrono::milliseconds(200);

int exit_code_of(const Error& error) {
  if (error.id == "simulate.options" || error.id.starts_with("policy.") || error.id.starts_with("queue.") || error.id == "sim.fault" ||
      error.id == "sim.queue" || error.id == "sim.driver" || error.id == "cluster.hosts") {
    return 2;
  }
  return error.category == Category::kNotFound ? 3 : 1;
}

int fail(const Error& error) {
  fmt::print(stderr, "error: {}\n", error.describe());
  return exit_code_of(error);
}

void warn(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) fmt::print(stderr, "warning: {}\n", warning);
}

/// Regular files are replaced whole; "-", pipes and devices are written to.
Result<void> write_result(const std::string& path, const std::string& text) {
  if (path.empty()) return {};
  if (path == "-") return write_all(STDOUT_FILENO, text, "stdout");
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    ASSIGN_OR_RETURN(const UniqueFd fd, open_file(path, O_WRONLY));
    return write_all(fd.get(), text, path);
  }
  return write_file_atomically(path, text, 0644);
}

Result<sim::Machine> machine_of(const SimulateOptions& options) {
  if ((options.hosts != 0) == !options.cluster.empty()) {
    return invalid_argument("simulate.options", "a simulation needs a cluster; give either --hosts N or --cluster FILE.csv");
  }
  if (options.cluster.empty()) return sim::equal_hosts(options.hosts, options.shape, options.hosts_per_rack);
  if (!(options.shape == sim::MachineNode{}) || options.hosts_per_rack != 0) {
    return invalid_argument("simulate.options",
                            "--procs-per-host, --gpus-per-host and the like describe --hosts; --cluster says it in its file");
  }
  ASSIGN_OR_RETURN(sim::TextInput input, sim::TextInput::open(options.cluster));
  return sim::read_cluster_csv(input);
}

/// One line on the terminal that tells how far the run is.
class ProgressLine {
 public:
  explicit ProgressLine(const Clock& clock) : clock_(clock), shown_at_(clock.monotonic_now()), on_(::isatty(STDERR_FILENO) == 1) {}
  ~ProgressLine() {
    if (drawn_) fmt::print(stderr, "\r\033[K");
  }
  void show(const sim::SimulationProgress& progress) {
    const MonotonicPoint now = clock_.monotonic_now();
    if (!on_ || now - shown_at_ < kBetweenLines) return;
    shown_at_ = now;
    drawn_ = true;
    const double share = progress.jobs > 0 ? 100.0 * static_cast<double>(progress.ended) / static_cast<double>(progress.jobs) : 0;
    fmt::print(stderr, "\r\033[K{:5.1f} %  {} of {} jobs ended, day {:.1f}, {} events", share, progress.ended, progress.jobs,
               static_cast<double>(progress.now.count()) / 86400e6, progress.events);
    std::fflush(stderr);
  }

 private:
  const Clock& clock_;
  MonotonicPoint shown_at_;
  bool on_;
  bool drawn_ = false;
};

std::string workload_text(const std::string& path, const sim::Trace& trace, const sim::SimulationResult& result) {
  if (sim::format_of(path) == sim::TraceFormat::kCsv) return sim::trace_csv(trace);
  std::vector<sim::SwfOutcome> outcomes;
  for (const sim::JobOutcome& outcome : result.outcomes) {
    sim::SwfOutcome& swf = outcomes.emplace_back();
    if (outcome.fate == sim::Fate::kRejected || outcome.fate == sim::Fate::kUnfinished) continue;
    swf = {.start = outcome.first_start, .end = outcome.end, .succeeded = outcome.fate == sim::Fate::kSucceeded};
  }
  return sim::swf_text(trace, outcomes);
}

std::string policy_text(const sim::SimulationSettings& settings) {
  const sched::QueueSettings& queue = settings.queue;
  return fmt::format("order {}, backfill {}, placement {}, sharing {}", queue.order, queue.backfill, queue.placement,
                     settings.sharing.policy);
}

Result<sim::Trace> trace_of(const SimulateOptions& options) {
  if (options.trace.empty()) return invalid_argument("simulate.options", "a simulation needs a workload; give --trace FILE");
  if (options.policy.empty() && options.order.empty() && options.backfill.empty()) {
    return invalid_argument("simulate.options", "a simulation needs a policy; give --policy NAME, one of --list-policies");
  }
  const sim::TraceFormat format = options.format.empty()    ? sim::format_of(options.trace)
                                  : options.format == "swf" ? sim::TraceFormat::kSwf
                                                            : sim::TraceFormat::kCsv;
  return sim::read_trace(options.trace, format, {.limits = {}, .sort = options.sort});
}

Result<void> write_results(const SimulateOptions& options, const sim::Trace& trace, const sim::Machine& machine,
                           const sim::SimulationResult& result, const sim::SimulationSettings& settings) {
  const sim::Summary summary = sim::summarise(trace, machine, result);
  if (!options.schedule_out.empty()) TRY(write_result(options.schedule_out, sim::schedule_csv(trace, machine, result)));
  TRY(write_result(options.summary_out, to_pretty_json(sim::to_document(summary)) + "\n"));
  if (!options.trace_out.empty()) TRY(write_result(options.trace_out, workload_text(options.trace_out, trace, result)));
  if (options.svg.empty() && options.svg_utilisation.empty()) return {};
  sim::PictureSettings picture{
      .title = std::filesystem::path(options.trace).filename().string(),
      .subtitle = fmt::format("{} jobs on {} nodes; {}; mean wait {:.1f} s, utilisation {:.1f} %", summary.jobs, machine.nodes.size(),
                              policy_text(settings), summary.mean_wait_s, 100 * summary.gpu_utilisation.value_or(summary.utilisation))};
  if (!options.svg.empty()) TRY(write_result(options.svg, sim::schedule_svg(trace, machine, result, picture)));
  picture.gantt = false;
  if (options.svg_utilisation.empty()) return {};
  return write_result(options.svg_utilisation, sim::schedule_svg(trace, machine, result, picture));
}

bool writes_to_stdout(const SimulateOptions& options) {
  return options.schedule_out == "-" || options.summary_out == "-" || options.trace_out == "-" || options.svg == "-" ||
         options.svg_utilisation == "-";
}

Result<void> simulate(const SimulateOptions& options) {
  const SystemClock clock;
  ASSIGN_OR_RETURN(const sim::SimulationSettings settings, simulation_settings(options));
  ASSIGN_OR_RETURN(const sim::Machine machine, machine_of(options));
  ASSIGN_OR_RETURN(const sim::Trace trace, trace_of(options));
  warn(machine.warnings);
  warn(trace.warnings);
  const MonotonicPoint begun = clock.monotonic_now();
  Result<sim::SimulationResult> result = [&] {
    ProgressLine line(clock);
    const auto run = options.driver == "jobs" ? sim::simulate_jobs : sim::simulate;
    return run(trace, machine, settings, [&line](const sim::SimulationProgress& progress) {
      line.show(progress);
      return true;
    });
  }();
  if (!result.ok()) return std::move(result).error();
  const double took = static_cast<double>((clock.monotonic_now() - begun).count()) / 1e6;
  if (result->gpus_ignored > 0) {
    fmt::print(stderr,
               "warning: --hosts are processors alone, so the GPUs of {} jobs are not modelled; --gpus-per-host or --cluster says where "
               "GPUs are\n",
               result->gpus_ignored);
  }
  TRY(write_results(options, trace, machine, *result, settings));
  if (writes_to_stdout(options)) return {};
  fmt::print("{}\n{}", policy_text(settings), sim::summary_text(sim::summarise(trace, machine, *result)));
  fmt::print("  {:<24}{} in {:.3f} s, {:.0f} a second\n", "events", result->events, took,
             static_cast<double>(result->events) / std::max(took, 1e-6));
  return {};
}

}  // namespace

int run_simulate(const SimulateOptions& options) {
  if (options.list_policies) {
    fmt::print("{}", sim::list_policies());
    return 0;
  }
  const Result<void> done = simulate(options);
  return done.ok() ? 0 : fail(done.error());
}

}  // namespace trainyard::apps
