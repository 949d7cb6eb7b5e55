#pragma once
#include <string>
#include <utility>
#include <vector>

#include "jobs/job.h"
#include "jobs/transitions.h"

namespace trainyard::jobs::testing {

constexpr TimePoint kStart = time_from_micros(1'700'000'000'000'000);

/// A queued job of `tasks` ranks, submitted at kStart.
inline Job queued_job(std::int64_t tasks = 1) {
  Job job;
  job.id = JobId(7);
  job.spec.command = {"work"};
  job.spec.name = "work";
  job.spec.tasks = tasks;
  job.submitted_at = job.queued_at = job.eligible_at = kStart;
  return job;
}

inline std::vector<NodeName> nodes_for(const Job& job) {
  std::vector<NodeName> nodes;
  for (std::int64_t i = 0; i < job.spec.tasks; ++i) nodes.push_back({"node-" + std::to_string(i)});
  return nodes;
}

/// The same job launched at kStart, none of its ranks seen yet.
inline Job starting_job(std::int64_t tasks = 1) {
  Job job = queued_job(tasks);
  start(job, nodes_for(job), kStart);
  return job;
}

/// The same job with every rank running.
inline Job running_job(std::int64_t tasks = 1) {
  Job job = starting_job(tasks);
  for (std::int64_t i = 0; i < tasks; ++i) rank_running(job, static_cast<std::uint32_t>(i), kStart);
  return job;
}

inline exec::RankExit exit_with(int code, Duration after = Duration(0)) {
  exec::RankExit exit;
  exit.code = code;
  exit.ended_at = kStart + after;
  return exit;
}

inline exec::RankExit lost_exit() {
  exec::RankExit exit = exit_with(137);
  exit.lost = true;
  return exit;
}

inline exec::RankExit killed_exit() {
  exec::RankExit exit = exit_with(137);
  exit.signal = 9;
  return exit;
}

inline exec::RankExit out_of_memory_exit() {
  exec::RankExit exit = exit_with(137);
  exit.signal = 9;
  exit.oom = true;
  return exit;
}

inline exec::RankExit launch_failure(std::string why) {
  exec::RankExit exit = exit_with(127);
  exit.launch_error = std::move(why);
  return exit;
}

}  // namespace trainyard::jobs::testing
