#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "sim/simulation.h"

namespace CLI {
class App;
}

namespace trainyard::apps {

/// The command line of `trainyard simulate`, as written.
struct SimulateOptions {
  bool list_policies = false;

  std::string trace;
  std::string format;  ///< "", "csv" or "swf".
  bool sort = false;

  std::int64_t hosts = 0;
  std::string cluster;
  sim::MachineNode shape;
  std::int64_t hosts_per_rack = 0;

  std::string policy;
  std::string order;
  std::string sharing;
  std::string backfill;
  std::string placement;
  std::vector<std::string> parameters;
  std::string queues;
  std::string users;
  double half_life_s = 7 * 86400;
  std::uint64_t seed = 1;

  std::string driver = "scheduler";  ///< "scheduler" or "jobs".
  std::string estimate = "user";
  bool no_kill = false;
  bool tiers = false;
  bool preempt = false;
  double grace_s = 30;
  double minimum_run_s = 0;
  std::int32_t evictions_per_job = 3;
  std::int32_t evictions_per_minute = 60;

  std::vector<std::string> losses;
  std::vector<std::string> spots;
  double mtbf_s = 0;
  double repair_s = 600;
  double spot_mtbf_s = 0;
  double spot_notice_s = 120;
  std::int32_t losses_per_job = 5;

  std::string schedule_out;
  std::string summary_out;
  std::string trace_out;
  std::string svg;
  std::string svg_utilisation;
  std::uint64_t max_events = 0;
  bool check = false;
};

void add_options(CLI::App& app, SimulateOptions& options);

/// Errors: INVALID_ARGUMENT "simulate.options" for what contradicts itself or lies out of range, and those of the parsers of names.
Result<sim::SimulationSettings> simulation_settings(const SimulateOptions& options);

/// "none", "trace" or "NAME=WEIGHT,NAME=WEIGHT,*=WEIGHT". Errors: INVALID_ARGUMENT "simulate.options".
Result<sim::QueueMapping> parse_queues(const std::string& text);

/// Runs what the options say; results go to the files named, a report for people to stdout. Returns the exit code: 0 fine, 1 failed,
/// 2 a mistake on the command line, 3 a file that is not there.
int run_simulate(const SimulateOptions& options);

}  // namespace trainyard::apps
