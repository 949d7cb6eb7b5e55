#include <fmt/format.h>

#include "jobs/job_service.h"
#include "jobs/waiting.h"
#include "jobs/what_if.h"

// What JobService says to questions about what is not so.

namespace trainyard::jobs {
namespace {

/// Longer plans are not made thirty times to find what would start one job.
constexpr Duration kSlowPlan = std::chrono::milliseconds(10);
/// A copy that took longer is followed by a rest, several times as long.
constexpr Duration kQuickCopy = std::chrono::milliseconds(1);
constexpr int kRests = 4;
/// No node is called this, since names have no spaces.
constexpr const char* kAddedNode = "new node";

}  // namespace

std::optional<JobService::Label> JobService::label_of(JobId id) const {
  const Live* live = find(id);
  return live == nullptr ? std::nullopt : std::optional(Label{live->job.spec.name, live->job.spec.name_space});
}

Trial JobService::empty_trial() {
  if (!planning_.nodes_seen) book_.set_nodes(deps_.backend.nodes());
  planning_.nodes_seen = true;
  const MonotonicPoint begun = deps_.clock.monotonic_now();
  Trial trial;
  trial.state = book_.state();
  trial.now = now();
  const MonotonicPoint ended = deps_.clock.monotonic_now();
  next_trial_ = ended - begun > kQuickCopy ? ended + (ended - begun) * kRests : ended;
  trial.with_fixes = planning_.took <= kSlowPlan;
  return trial;
}

Result<Trial> JobService::try_submit(Submission submission) {
  submission.idempotency_key.clear();
  TRY(examine(submission, 0));
  Trial trial = empty_trial();
  Job job;
  job.id = JobId(last_job_.value + 1);
  job.spec = std::move(submission.spec);
  job.owner = std::move(submission.owner);
  job.submitted_at = job.queued_at = job.eligible_at = trial.now;
  job.waits_for = job.spec.after;
  if (job.spec.hold) job.hold = Hold{job.owner, trial.now};
  for (const JobDependency& dependency : job.spec.after) {
    const JobId awaited(static_cast<std::uint64_t>(dependency.job));
    const std::optional<JobState> ended = end_of(awaited, submission.ended_dependencies);
    if (!ended || settle_dependency(job, awaited, *ended, trial.now) != DependencyOutcome::kImpossible) continue;
    trial.settled.emplace().ends = impossible_dependency_text(job, awaited, *ended);
    return trial;
  }
  if (std::optional<sched::Explanation> gate = explain_gate(job, nullptr, trial.now)) {
    if (job.hold) gate->message = std::string(sched::meaning_of(gate->reason)) + " The spec holds it back until it is released.";
    gate->epoch = trial.state.queue.epoch;
    trial.settled.emplace().explanation = std::move(*gate);
    trial.settled->fixes = gate_fixes(job, nullptr);
    return trial;
  }
  // Of an array its first element stands for all.
  if (is_array(job)) job = make_element(job, job.id, trial.now);
  trial.job = book_.snapshot_in(trial.state, job);
  return trial;
}

Result<Trial> JobService::try_change(const TriedChange& change) {
  Trial trial = empty_trial();
  const sched::ClusterSnapshot& cluster = trial.state.cluster;
  if (const auto* added = std::get_if<NodesToAdd>(&change)) {
    sched::NodeInfo info;
    info.name.text = kAddedNode;
    info.capacity[sched::kCpu] = added->each.milli_cpu;
    info.capacity[sched::kMemory] = added->each.memory_bytes;
    info.capacity[sched::kGpu] = added->each.milli_gpu / 1000 * 1000;
    info.pool = added->pool;
    trial.change = sched::AddNodes{std::move(info), added->count};
  } else if (const auto* ended = std::get_if<JobToCancel>(&change)) {
    if (const Live* live = find(ended->job); live == nullptr || is_terminal(live->job.state)) {
      return failed_precondition("job.ended", fmt::format("job {} has ended and holds nothing any more", ended->job.text()));
    }
    trial.cancelled = {ended->job};
    if (const auto array = arrays_.find(ended->job); array != arrays_.end()) {
      trial.cancelled.assign(array->second.live.begin(), array->second.live.end());
    }
  } else if (const auto* drained = std::get_if<NodeToDrain>(&change)) {
    const std::optional<sched::NodeIndex> node = cluster.find_node(drained->node);
    if (!node) {
      return not_found("node.unknown",
                       fmt::format("there is no node of this name; `trainyard node ls` lists them: {}", drained->node.text));
    }
    cluster.each_by_end([&trial, node](const sched::RunningJob& running) {
      const auto is_there = [node](const sched::TaskPlace& place) { return place.node == *node; };
      const bool leaves = !running.stopping && std::any_of(running.nodes.begin(), running.nodes.end(), is_there);
      if (leaves) trial.requeued.push_back(running.job.id);
      return true;
    });
    trial.change = sched::DrainNode{drained->node, true};
  }
  return trial;
}

}  // namespace trainyard::jobs
