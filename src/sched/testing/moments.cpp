#include "sched/testing/moments.h"

#include <fmt/format.h>

#include <cstdlib>
#include <set>

namespace trainyard::sched::testing {
namespace {

using namespace std::chrono_literals;

std::string text_of(const Amounts& amounts) { return fmt::format("{}", fmt::join(amounts.of, ",")); }

std::string text_of(const Placement& nodes) {
  std::string text;
  for (const TaskPlace& place : nodes) text += fmt::format(" {}x{}/{}", place.node, place.tasks, place.devices);
  return text;
}

std::string text_of(const JobSnapshot& job) {
  std::string text =
      fmt::format("{} #{} queue={} user={} tier={} priority={} queued={} eligible={} demand={} tasks={}..{} limit={} skips={}",
                  job.id.text(), job.seq, job.queue, job.user, job.tier, job.priority, micros(job.queued_at), micros(job.eligible_at),
                  text_of(job.demand.amounts), job.tasks_min, job.tasks, job.walltime.count(), job.skips);
  if (job.reservation) text += fmt::format(" from {}{}", micros(job.reservation->start), text_of(job.reservation->nodes));
  if (job.claim) text += fmt::format(" claim {}{}", micros(job.claim->grace_ends), text_of(job.claim->nodes));
  return text + "\n";
}

}  // namespace

Moment moment_of(const Recipe& recipe, std::uint64_t seed) {
  Scenario scenario = build(recipe);
  if (seed % 3 > 0) scenario.run(at(1s));
  if (seed % 3 > 1) {
    const std::vector<JobId> running = scenario.running();
    for (std::size_t i = 0; i < running.size(); i += 3) scenario.end(running[i], at(2s));
  }
  return {std::move(scenario.state), at(2s)};
}

std::vector<JobId> left_waiting(const SchedulerState& state, const Decisions& decisions) {
  std::set<JobId> starts;
  for (const Start& start : decisions.starts) starts.insert(start.job);
  std::vector<JobId> waiting;
  for (const QueueState& queue : state.queue.queues()) {
    for (const PendingEntry& entry : queue.pending) {
      const JobId id = state.queue.job(entry).id;
      if (!starts.contains(id)) waiting.push_back(id);
    }
  }
  return waiting;
}

std::string fingerprint(const SchedulerState& state) {
  std::string text = fmt::format("epoch {} ended {} next {} used {}\n", state.queue.epoch, state.queue.ended_since_plan, state.next_seq(),
                                 text_of(state.cluster.used()));
  for (const NodeState& node : state.cluster.nodes()) {
    text += fmt::format("{} {} free {} devices {} {} {} {}\n", node.info->name.text, text_of(node.info->capacity),
                        text_of(node.free.amounts), fmt::join(node.free.device_milli, ","), node.ready, node.drained, node.gone);
  }
  for (const QueueState& queue : state.queue.queues()) {
    const std::string nominal = queue.settings.nominal ? text_of(*queue.settings.nominal) : "-";
    text += fmt::format("{} {} {} usage {} jobs {}\n", queue.settings.name, queue.settings.backfill, nominal, text_of(queue.usage),
                        queue.running_jobs);
    for (const PendingEntry& entry : queue.pending) text += text_of(state.queue.job(entry));
  }
  state.cluster.each_by_end([&text](const RunningJob& running) {
    text += fmt::format("until {} {}{} {}", running.limit_end == kNever ? -1 : micros(running.limit_end), running.stopping,
                        text_of(running.nodes), text_of(running.job));
    return true;
  });
  return text;
}

std::uint64_t number_from_environment(const char* variable, std::uint64_t fallback) {
  const char* text = std::getenv(variable);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

}  // namespace trainyard::sched::testing
