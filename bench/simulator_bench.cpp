// How fast the simulator is: events (submits, starts, finishes) a second, peak memory, whole logs. Prints one JSON line per figure. Usage:
//   simulator_bench [smoke] [--rounds N] [--nasa FILE] [--philly FILE] [--philly-cluster FILE]
// The generated workload always runs. NASA is the log NASA-iPSC-1993-3.1-cln.swf of the Parallel Workloads Archive (Nitzberg, Feitelson),
// Philly a CSV `timestamp,duration,num_gpus,gpu_time,cluster` of the trace of Jeon et al., USENIX ATC 2019; both may be gzipped. They are
// no part of this repository; a log that is not given is said loudly. Without --philly-cluster the log runs on clusters of nodes of eight
// GPUs. Each round is timed twice over: the simulation alone, and with reading and checking the text of the workload before it.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "planner_workload.h"
#include "sim/fields.h"
#include "sim/policy_choice.h"
#include "sim/simulation.h"
#include "sim/summary.h"

namespace trainyard {
namespace {

constexpr std::uint64_t kSeed = 1;

struct Options {
  bool smoke = false;
  int rounds = 5;
  std::string nasa;
  std::string philly;
  std::string philly_cluster;
};

/// One figure: a workload, how it is read, where it runs.
struct Case {
  std::string workload;
  std::string policy;
  sim::Estimate estimate = sim::Estimate::kUser;
  std::function<Result<sim::Trace>()> read;
  sim::Machine machine;
  std::string target;  ///< JSON members, such as "\"target_s\": 1".
};

/// Jobs of one to sixteen processors, most of them small; run times spread evenly over the logarithm, from 10 s to 3 h; limits up to five
/// times as long. Arrivals by chance that ask for nine tenths of the processors on average, so that a line comes and goes.
sim::Trace generated(std::size_t count, std::int64_t procs) {
  SeededRng rng(kSeed);
  sim::Trace trace;
  double now = 0;
  double work = 0;
  const auto unit = [&rng] { return (static_cast<double>(rng.below(1'000'000)) + 0.5) / 1e6; };
  for (std::size_t i = 0; i < count; ++i) {
    sim::TraceJob& job = trace.jobs.emplace_back();
    job.id = std::to_string(i + 1);
    job.procs = std::int64_t{1} << rng.below(5);
    job.procs -= static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(job.procs) / 2 + 1));
    const double runtime = 10 * std::pow(1080, unit());
    job.runtime = Duration(std::llround(runtime) * 1'000'000);
    job.walltime = job.runtime * static_cast<std::int64_t>(1 + rng.below(5));
    job.user = trace.users.number_of(fmt::format("user{}", rng.below(20)));
    job.queue = trace.queues.number_of("default");
    job.submit = Duration(std::llround(now * 1e3) * 1000);
    work = static_cast<double>(job.procs) * runtime;
    now += -std::log(unit()) * work / (0.9 * static_cast<double>(procs));
  }
  return trace;
}

sim::Machine gpu_nodes(std::int64_t count) {
  Result<sim::Machine> machine = sim::equal_hosts(count, {.name = {}, .procs = 64, .gpus = 8, .mem_mib = 0, .gpu_model = {}, .rack = {}});
  CHECK(machine.ok(), "the shape is right");
  return std::move(machine).value();
}

/// Seconds of a "2017-10-09 07:01:55" since an arbitrary day; days by the civil calendar (H. Hinnant, "chrono-compatible low-level date
/// algorithms"). The trace is in one time zone.
Result<std::int64_t> seconds_of_timestamp(std::string_view text, const sim::Place& place) {
  constexpr std::string_view kShape = "dddd-dd-dd dd:dd:dd";
  bool fits = text.size() == kShape.size();
  for (std::size_t i = 0; fits && i < kShape.size(); ++i) {
    fits = kShape[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == kShape[i];
  }
  if (!fits) return sim::field_error(place, "bench.philly", "timestamp", text, "it must read YYYY-MM-DD HH:MM:SS");
  const auto number = [text](std::size_t from, std::size_t length) {
    int value = 0;
    std::from_chars(text.data() + from, text.data() + from + length, value);
    return value;
  };
  const std::chrono::year_month_day date{std::chrono::year(number(0, 4)), std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                         std::chrono::day(static_cast<unsigned>(number(8, 2)))};
  if (!date.ok()) return sim::field_error(place, "bench.philly", "timestamp", text, "there is no such day");
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return days * 86400 + number(11, 2) * 3600 + number(14, 2) * 60 + number(17, 2);
}

/// The log as a trace: in the order of its timestamps, from the first on; one processor for each GPU, no limits, one queue per cluster.
Result<sim::Trace> read_philly(const std::string& path) {
  ASSIGN_OR_RETURN(sim::TextInput input, sim::TextInput::open(path));
  sim::RecordReader records(input, sim::RecordReader::Quotes::kRfc4180, {});
  sim::Trace trace;
  sim::JobLinks links;
  std::vector<std::string_view> fields;
  std::string unescaped;
  std::string_view record;
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, records.next(record));
    if (!more) break;
    if (record.empty()) continue;
    if (records.place().line == 1) {
      if (record == "timestamp,duration,num_gpus,gpu_time,cluster") continue;
      return sim::record_error(records.place(), "bench.philly", "the log does not start with timestamp,duration,num_gpus,gpu_time,cluster");
    }
    const std::string_view wrong = sim::split_csv(record, fields, unescaped);
    if (!wrong.empty() || fields.size() != 5) return sim::record_error(records.place(), "bench.philly", "a record has not five fields");
    sim::TraceJob& job = trace.jobs.emplace_back();
    ASSIGN_OR_RETURN(const std::int64_t submit, seconds_of_timestamp(fields[0], records.place()));
    std::int64_t runtime = 0;
    if (const std::string_view bad = sim::parse_seconds(fields[1], runtime); !bad.empty()) {
      return sim::field_error(records.place(), "bench.philly", "duration", fields[1], bad);
    }
    if (const std::string_view bad = sim::parse_whole(fields[2], 1, sim::kProcsMax, job.gpus); !bad.empty()) {
      return sim::field_error(records.place(), "bench.philly", "num_gpus", fields[2], bad);
    }
    job.id = std::to_string(trace.jobs.size());
    job.submit = std::chrono::seconds(submit);
    job.runtime = Duration(runtime);
    job.procs = job.gpus;
    job.user = trace.users.number_of(fields[4]);
    job.queue = trace.queues.number_of(fields[4]);
    links.lines.push_back(records.place().line);
  }
  TRY(sim::finish_trace(trace, links, path, {.limits = {}, .sort = true}));
  const Duration first = trace.jobs.front().submit;
  for (sim::TraceJob& job : trace.jobs) job.submit -= first;
  return trace;
}

sim::SimulationSettings settings_of(const Case& what) {
  sim::SimulationSettings settings;
  const Result<sim::PolicyChoice> choice = sim::parse_policy(what.policy);
  CHECK(choice.ok() && sim::choose_policies(*choice, {}, settings.queue, settings.sharing).ok(), "the policy exists");
  settings.estimate = what.estimate;
  return settings;
}

/// Runs the case `rounds` times and prints its line. False: it could not run.
bool measure(const Case& what, int rounds) {
  const sim::SimulationSettings settings = settings_of(what);
  std::vector<double> alone;
  std::vector<double> whole;
  std::optional<sim::Summary> summary;
  for (int round = 0; round < rounds; ++round) {
    Result<sim::Trace> trace = Error{};
    const double reading = bench::seconds_of([&] { trace = what.read(); });
    if (!trace.ok()) {
      fmt::print(stderr, "error: {}\n", trace.error().describe());
      return false;
    }
    Result<sim::SimulationResult> result = Error{};
    alone.push_back(bench::seconds_of([&] { result = sim::simulate(*trace, what.machine, settings); }));
    whole.push_back(alone.back() + reading);
    if (!result.ok()) {
      fmt::print(stderr, "error: {}\n", result.error().describe());
      return false;
    }
    summary = sim::summarise(*trace, what.machine, *result);
  }
  const double median = bench::percentile(alone, 50);
  const double median_whole = bench::percentile(whole, 50);
  const auto events = static_cast<double>(summary->events);
  fmt::print(
      R"({{"benchmark": "simulator", "workload": "{}", "policy": "{}", "estimate": "{}", "jobs": {}, "nodes": {}, )"
      R"("procs": {}, "gpus": {}, )"
      R"("events": {}, "median_s": {:.4f}, "max_s": {:.4f}, "events_per_s": {:.0f}, "with_reading_median_s": {:.4f}, )"
      R"("with_reading_events_per_s": {:.0f}, {}"rounds": {}, "jobs_that_waited": {}, "mean_wait_s": {:.3f}, "rejected": {}, "seed": {}, )"
      R"("rss_mib": {:.0f}}})"
      "\n",
      what.workload, what.policy, what.estimate == sim::Estimate::kExact ? "exact" : "user", summary->jobs, what.machine.nodes.size(),
      what.machine.procs(), what.machine.gpus(), summary->events, median, bench::percentile(alone, 100), events / median, median_whole,
      events / median_whole, what.target.empty() ? "" : what.target + ", ", rounds, summary->jobs_that_waited, summary->mean_wait_s,
      summary->rejected, kSeed, bench::peak_rss_mib());
  std::fflush(stdout);
  return true;
}

void not_run(std::string_view workload, std::string_view option) {
  fmt::print(stderr, "not run: {}: give the log with {} FILE\n", workload, option);
  fmt::print(R"({{"benchmark": "simulator", "workload": "{}", "not_run": "{} was not given"}})"
             "\n",
             workload, option);
}

bool generated_cases(const Options& options) {
  Result<sim::Machine> machine = sim::equal_hosts(64, {.name = {}, .procs = 16, .gpus = 0, .mem_mib = 0, .gpu_model = {}, .rack = {}});
  CHECK(machine.ok(), "the shape is right");
  const std::string text = sim::trace_csv(generated(options.smoke ? 2'000 : 300'000, machine->procs()));
  const auto read = [&text] {
    sim::TextInput input = sim::TextInput::over("generated", text);
    return sim::read_trace_csv(input);
  };
  bool ran = true;
  for (const std::string_view policy : {"strict_fifo", "fifo"}) {
    ran = measure({"generated", std::string(policy), sim::Estimate::kUser, read, *machine, R"("target_events_per_s": 1000000)"},
                  options.rounds) &&
          ran;
  }
  return measure({"generated", "easy", sim::Estimate::kUser, read, *machine, R"("target_events_per_s": 300000)"}, options.rounds) && ran;
}

bool nasa_cases(const Options& options) {
  if (options.nasa.empty()) {
    not_run("nasa", "--nasa");
    return true;
  }
  Result<sim::Machine> machine = sim::equal_hosts(128);
  CHECK(machine.ok(), "the shape is right");
  const auto read = [&options] { return sim::read_trace(options.nasa, sim::TraceFormat::kSwf); };
  bool ran = true;
  for (const std::string_view policy : {"strict_fifo", "easy"}) {
    ran = measure({"nasa", std::string(policy), sim::Estimate::kUser, read, *machine, {}}, options.rounds) && ran;
  }
  return ran;
}

bool philly_cases(const Options& options) {
  if (options.philly.empty()) {
    not_run("philly", "--philly");
    return true;
  }
  const auto read = [&options] { return read_philly(options.philly); };
  const std::string target = R"("target_s": 1)";
  if (!options.philly_cluster.empty()) {
    const auto machine = [&options]() -> Result<sim::Machine> {
      ASSIGN_OR_RETURN(sim::TextInput input, sim::TextInput::open(options.philly_cluster));
      return sim::read_cluster_csv(input);
    }();
    if (!machine.ok()) {
      fmt::print(stderr, "error: {}\n", machine.error().describe());
      return false;
    }
    return measure({"philly", "easy", sim::Estimate::kUser, read, *machine, target}, options.rounds);
  }
  bool ran = true;
  // The log asks for up to 1,243 GPUs at once. On 140 nodes a few jobs wait, on 120 thousands, on 90 a third of all.
  for (const std::int64_t nodes : {140, 120, 90}) {
    for (const sim::Estimate estimate : {sim::Estimate::kUser, sim::Estimate::kExact}) {
      ran = measure({"philly", "easy", estimate, read, gpu_nodes(nodes), nodes >= 120 ? target : ""}, options.rounds) && ran;
    }
  }
  return ran;
}

bool read_options(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "smoke") {
      options.smoke = true;
      options.rounds = 1;
      continue;
    }
    if (++i == argc) return false;
    const std::string value = argv[i];
    if (word == "--nasa") {
      options.nasa = value;
    } else if (word == "--philly") {
      options.philly = value;
    } else if (word == "--philly-cluster") {
      options.philly_cluster = value;
    } else if (word == "--rounds") {
      options.rounds = std::atoi(value.c_str());
    } else {
      return false;
    }
  }
  return options.rounds > 0;
}

}  // namespace
}  // namespace trainyard

int main(int argc, char** argv) {
  using namespace trainyard;
  Options options;
  if (!read_options(argc, argv, options)) {
    fmt::print(stderr, "usage: simulator_bench [smoke] [--rounds N] [--nasa FILE] [--philly FILE] [--philly-cluster FILE]\n");
    return 2;
  }
  bool ran = generated_cases(options);
  ran = nasa_cases(options) && ran;
  ran = philly_cases(options) && ran;
  const double rss = bench::peak_rss_mib();
  fmt::print(R"({{"benchmark": "simulator_memory", "rss_mib": {:.0f}, "target_rss_mib": 300, "seed": {}}})"
             "\n",
             rss, kSeed);
  return ran ? 0 : 1;
}
