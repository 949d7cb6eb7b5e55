#include "jobs/transitions.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <tuple>

#include "base/check.h"

namespace trainyard::jobs {
namespace {

constexpr int kExitCheckpointed = 75;
constexpr int kExitBadConfiguration = 64;
constexpr int kExitBadData = 65;

bool ended_well(const exec::RankExit& exit) { return exit.code == 0 && !exit.lost && exit.launch_error.empty(); }

/// Lower is earlier; ranks that were told to stop come last, since they only followed.
const RankStatus* first_failure(const Job& job) {
  const RankStatus* first = nullptr;
  for (const RankStatus& rank : job.attempt.ranks) {
    if (!rank.exit || ended_well(*rank.exit)) continue;
    if (first == nullptr ||
        std::tie(rank.exit->stop_requested, rank.exit->ended_at) < std::tie(first->exit->stop_requested, first->exit->ended_at)) {
      first = &rank;
    }
  }
  return first;
}

/// A program that is not there or cannot be executed is the submitter's affair: no other attempt will find it.
bool is_bad_command(std::string_view launch_error) {
  return launch_error.starts_with("launch.no_program") || launch_error.starts_with("launch.exec");
}

ExitCause cause_of(const exec::RankExit& exit) {
  if (!exit.launch_error.empty()) return is_bad_command(exit.launch_error) ? ExitCause::kUserFailure : ExitCause::kInfrastructure;
  if (exit.lost) return ExitCause::kNodeLost;
  if (exit.oom) return ExitCause::kOutOfMemory;
  // Nobody here asked for it, and no program ends itself so: the kernel or an operator killed it.
  if (exit.signal == SIGKILL && !exit.stop_requested) return ExitCause::kInfrastructure;
  if (exit.code == kExitCheckpointed) return ExitCause::kCheckpointed;
  if (exit.code == kExitBadConfiguration || exit.code == kExitBadData) return ExitCause::kUserError;
  return ExitCause::kUserFailure;
}

ReasonCode code_of(const exec::RankExit& exit) {
  switch (cause_of(exit)) {
    case ExitCause::kSucceeded:
      return ReasonCode::kSucceeded;
    case ExitCause::kCheckpointed:
      return ReasonCode::kCheckpointed;
    case ExitCause::kUserError:
      return exit.code == kExitBadData ? ReasonCode::kBadData : ReasonCode::kBadConfiguration;
    case ExitCause::kOutOfMemory:
      return ReasonCode::kOutOfMemory;
    case ExitCause::kNodeLost:
      return ReasonCode::kNodeLost;
    case ExitCause::kInfrastructure:
      return exit.launch_error.empty() ? ReasonCode::kInfrastructure : ReasonCode::kLaunchFailed;
    case ExitCause::kUserFailure:
      break;
  }
  if (!exit.launch_error.empty()) return ReasonCode::kBadCommand;
  return exit.signal != 0 ? ReasonCode::kSignal : ReasonCode::kExitCode;
}

ReasonCode code_of(StopIntent intent) {
  switch (intent) {
    case StopIntent::kNone:
      return ReasonCode::kNone;
    case StopIntent::kCancel:
      return ReasonCode::kCancelled;
    case StopIntent::kPreempt:
      return ReasonCode::kPreempted;
    case StopIntent::kLimit:
      return ReasonCode::kTotalLimit;
    case StopIntent::kDrain:
      return ReasonCode::kDrained;
  }
  return ReasonCode::kNone;
}

std::string describe_exit(const Job& job) {
  const RankStatus* failed = first_failure(job);
  if (failed == nullptr) return "every rank exited with code 0";
  const exec::RankExit& exit = *failed->exit;
  const auto rank = failed - job.attempt.ranks.data();
  if (!exit.launch_error.empty()) return fmt::format("rank {} could not be started on {}: {}", rank, failed->node.text, exit.launch_error);
  if (exit.lost) return fmt::format("rank {} was lost with its node or warden on {}", rank, failed->node.text);
  if (exit.oom) return fmt::format("rank {} ran out of memory", rank);
  if (exit.signal != 0) return fmt::format("rank {} was killed by signal {}", rank, exit.signal);
  if (exit.code == kExitBadConfiguration) return fmt::format("rank {} refused its configuration (exit code 64), see its log", rank);
  if (exit.code == kExitBadData) return fmt::format("rank {} refused its data (exit code 65), see its log", rank);
  return fmt::format("rank {} exited with code {}", rank, exit.code);
}

/// What is said of a job in its next state.
struct Told {
  std::string reason;
  ReasonCode code = ReasonCode::kNone;
};

void end(Job& job, JobState state, Told told, TimePoint now) {
  CHECK(is_terminal(state) && !is_terminal(job.state), "a job ends once");
  job.state = state;
  job.reason = std::move(told.reason);
  job.reason_code = told.code;
  job.ended_at = now;
}

void requeue(Job& job, Told told, Duration wait, TimePoint now) {
  job.state = JobState::kQueued;
  job.intent = StopIntent::kNone;
  job.reason = std::move(told.reason);
  job.reason_code = told.code;
  job.eligible_at = now + wait;
  job.ready_url.clear();
}

Duration backoff(const RetryBudgets& retry, std::int64_t restarts, Rng& rng) {
  const auto exponent = std::min<std::int64_t>(restarts - 1, 40);
  const std::int64_t base = std::max<std::int64_t>(retry.backoff_base.count(), 1);
  const std::int64_t limit = base > (retry.backoff_cap.count() >> exponent) ? retry.backoff_cap.count() : base << exponent;
  return Duration(static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(std::max<std::int64_t>(limit, 0)) + 1)));
}

/// An intent replaces only what counts less.
int weight_of(StopIntent intent) {
  switch (intent) {
    case StopIntent::kNone:
      return 0;
    case StopIntent::kPreempt:
    case StopIntent::kDrain:
      return 1;
    case StopIntent::kCancel:
    case StopIntent::kLimit:
      return 2;
  }
  return 0;
}

struct Budget {
  std::int64_t* used = nullptr;
  std::int64_t allowed = 0;
};

Budget budget_of(Job& job, ExitCause cause) {
  switch (cause) {
    case ExitCause::kUserFailure:
      return {&job.retries.user, job.spec.retry.user};
    case ExitCause::kOutOfMemory:
      return {&job.retries.oom, job.spec.retry.oom};
    case ExitCause::kNodeLost:
      return {&job.retries.node_lost, job.spec.retry.node_lost};
    case ExitCause::kInfrastructure:
      return {&job.retries.infrastructure, job.spec.retry.infrastructure};
    case ExitCause::kSucceeded:
    case ExitCause::kCheckpointed:
    case ExitCause::kUserError:
      break;
  }
  return {};
}

/// Asks for more memory from the next attempt on, once.
void raise_memory(Job& job) {
  constexpr std::int64_t kMib = std::int64_t{1} << 20;
  const RetryBudgets& retry = job.spec.retry;
  const std::int64_t asked = job.spec.resources.memory.bytes;
  if (job.memory_bytes || retry.memory_factor <= 1 || asked <= 0) return;
  constexpr double kMost = 1e18;
  const double raised = std::min(static_cast<double>(asked) * retry.memory_factor, kMost);
  std::int64_t bytes = (static_cast<std::int64_t>(raised) + kMib - 1) / kMib * kMib;
  if (retry.memory_max.bytes > 0) bytes = std::min(bytes, retry.memory_max.bytes);
  if (bytes > asked) job.memory_bytes = bytes;
}

void finish_by_exit(Job& job, TimePoint now, Rng& rng) {
  const ExitCause cause = exit_cause(job);
  const RankStatus* failed = first_failure(job);
  const ReasonCode code = failed == nullptr ? ReasonCode::kSucceeded : code_of(*failed->exit);
  const bool service = job.spec.job_class == "service";
  const std::string what = describe_exit(job);
  if (cause == ExitCause::kSucceeded && !service) return end(job, JobState::kSucceeded, {what, code}, now);
  if (cause == ExitCause::kUserError) return end(job, JobState::kFailed, {what, code}, now);
  if (cause == ExitCause::kCheckpointed) {
    return requeue(job, {"stopped with a durable checkpoint, starts again from there", code}, backoff(job.spec.retry, 1, rng), now);
  }
  Budget budget = budget_of(job, cause == ExitCause::kSucceeded ? ExitCause::kUserFailure : cause);
  if (!service && *budget.used >= budget.allowed) {
    return end(job, JobState::kFailed, {fmt::format("{}; restarts used: {} of {}", what, *budget.used, budget.allowed), code}, now);
  }
  ++*budget.used;
  if (cause == ExitCause::kOutOfMemory) raise_memory(job);
  requeue(job, {fmt::format("{}; restart {}", what, *budget.used), code}, backoff(job.spec.retry, *budget.used, rng), now);
}

/// The state that follows the end of an attempt.
void decide_next(Job& job, TimePoint now, Rng& rng) {
  const bool failed = first_failure(job) != nullptr;
  switch (job.intent) {
    case StopIntent::kCancel:
      return end(job, JobState::kCancelled, {job.reason, job.reason_code}, now);
    case StopIntent::kLimit:
      return end(job, JobState::kTimedOut, {job.reason, job.reason_code}, now);
    case StopIntent::kPreempt:
    case StopIntent::kDrain:
      if (!failed && job.spec.job_class != "service") return finish_by_exit(job, now, rng);
      return requeue(job, {job.reason, job.reason_code}, Duration(0), now);
    case StopIntent::kNone:
      return finish_by_exit(job, now, rng);
  }
}

/// Keeps what is told of an attempt after the next one has taken its place.
void note_attempt(Job& job, TimePoint now) {
  EndedAttempt ended;
  ended.number = job.attempt.number;
  ended.launched_at = job.attempt.launched_at;
  ended.ended_at = now;
  ended.exit_code = job.exit_code.value_or(0);
  ended.cause = exit_cause(job);
  ended.reason_code = job.reason_code;
  for (const RankStatus& rank : job.attempt.ranks) {
    const bool listed = std::find(ended.nodes.begin(), ended.nodes.end(), rank.node) != ended.nodes.end();
    if (!listed && ended.nodes.size() < kAttemptNodesMax) ended.nodes.push_back(rank.node);
    if (ended.limited_by.find(rank.limited_by) == std::string::npos) {
      ended.limited_by += (ended.limited_by.empty() ? "" : ",") + rank.limited_by;
    }
    if (rank.started_at == TimePoint()) continue;
    ended.started_at = ended.started_at ? std::min(*ended.started_at, rank.started_at) : rank.started_at;
  }
  if (job.history.size() >= kAttemptsKept) job.history.erase(job.history.begin());
  job.history.push_back(std::move(ended));
}

}  // namespace

void start(Job& job, const std::vector<NodeName>& nodes, TimePoint now) {
  CHECK(job.state == JobState::kQueued, "only a queued job starts");
  job.state = JobState::kStarting;
  job.reason = "launching";
  job.reason_code = ReasonCode::kNone;
  job.exit_code.reset();
  job.attempt = {AttemptNumber(job.attempt.number.value + 1), now, {}};
  for (const NodeName& node : nodes) job.attempt.ranks.emplace_back().node = node;
  if (!job.started_at) job.started_at = now;
}

bool rank_running(Job& job, std::uint32_t rank, TimePoint started_at) {
  if (rank >= job.attempt.ranks.size() || job.attempt.ranks[rank].phase != RankStatus::Phase::kLaunching) return false;
  job.attempt.ranks[rank].phase = RankStatus::Phase::kRunning;
  job.attempt.ranks[rank].started_at = started_at;
  const bool all_run = std::none_of(job.attempt.ranks.begin(), job.attempt.ranks.end(),
                                    [](const RankStatus& r) { return r.phase == RankStatus::Phase::kLaunching; });
  if (all_run && job.state == JobState::kStarting) {
    job.state = JobState::kRunning;
    job.reason = "running";
  }
  return true;
}

bool rank_exited(Job& job, std::uint32_t rank, const exec::RankExit& exit) {
  if (rank >= job.attempt.ranks.size() || job.attempt.ranks[rank].phase == RankStatus::Phase::kExited) return false;
  job.attempt.ranks[rank].phase = RankStatus::Phase::kExited;
  job.attempt.ranks[rank].exit = exit;
  return true;
}

bool gang_is_doomed(const Job& job) { return first_failure(job) != nullptr && !all_ranks_exited(job); }

bool all_ranks_exited(const Job& job) {
  return std::all_of(job.attempt.ranks.begin(), job.attempt.ranks.end(),
                     [](const RankStatus& rank) { return rank.phase == RankStatus::Phase::kExited; });
}

bool request_stop(Job& job, StopRequest request, TimePoint now) {
  const StopIntent intent = request.intent;
  CHECK(intent != StopIntent::kNone, "a stop needs an intent");
  if (is_terminal(job.state)) return false;
  Told told{std::move(request.why), request.code == ReasonCode::kNone ? code_of(intent) : request.code};
  if (job.state == JobState::kQueued) {
    if (intent != StopIntent::kCancel && intent != StopIntent::kLimit) return false;
    job.intent = intent;
    end(job, intent == StopIntent::kCancel ? JobState::kCancelled : JobState::kTimedOut, std::move(told), now);
    return true;
  }
  if (weight_of(intent) <= weight_of(job.intent)) return false;
  job.intent = intent;
  job.state = JobState::kStopping;
  job.reason = std::move(told.reason);
  job.reason_code = told.code;
  return true;
}

bool hold(Job& job, std::string by, TimePoint now) {
  if (is_terminal(job.state) || job.hold) return false;
  job.hold = Hold{std::move(by), now};
  if (job.state == JobState::kQueued) job.reason = "held by " + job.hold->by;
  return true;
}

bool release(Job& job, TimePoint now) {
  if (!job.hold) return false;
  job.hold.reset();
  if (job.state == JobState::kQueued) job.reason = "waiting for the planner";
  job.waits_since = now;
  return true;
}

bool set_priority(Job& job, std::int64_t priority) {
  if (is_terminal(job.state) || priority_of(job) == priority) return false;
  job.priority = priority;
  return true;
}

bool waits_for_room(const Job& job) { return job.state == JobState::kQueued && !job.hold && job.waits_for.empty() && !is_array(job); }

ExitCause exit_cause(const Job& job) {
  const RankStatus* failed = first_failure(job);
  return failed == nullptr ? ExitCause::kSucceeded : cause_of(*failed->exit);
}

void finish_attempt(Job& job, TimePoint now, Rng& rng) {
  CHECK(!is_terminal(job.state) && job.state != JobState::kQueued && all_ranks_exited(job), "an attempt ends when all its ranks did");
  const RankStatus* failed = first_failure(job);
  job.exit_code = failed == nullptr ? 0 : failed->exit->code;
  decide_next(job, now, rng);
  note_attempt(job, now);
}

namespace {

/// The time an event claims. A claim that no calendar can write (RFC 3339 ends with the year 9999) counts as `now`: the job must stay
/// readable whatever a program sends.
TimePoint event_time(const Document& event, TimePoint now) {
  constexpr std::int64_t kYear9999EndMicros = 253'402'300'799'999'999;
  const Result<std::int64_t> claimed = event.int_at("time_us");
  return claimed.ok() && *claimed >= 0 && *claimed <= kYear9999EndMicros ? time_from_micros(*claimed) : now;
}

/// True when it is a later step than the last one.
bool apply_metric(Job& job, const Document& event, TimePoint now) {
  const Result<std::string> key = event.string_at("key");
  const Result<double> value = event.double_at("value");
  const Result<std::int64_t> step = event.int_or("step", 0);
  if (!key.ok() || !value.ok() || !step.ok()) return false;
  if (*key == kRungMetric && job.rungs.size() < kJobRungsMax) job.rungs[*step] = *value;
  const auto known = job.metrics.find(*key);
  if (known == job.metrics.end() && job.metrics.size() >= kJobMetricsMax) return false;
  const bool later = known == job.metrics.end() || *step > known->second.step;
  job.metrics[*key] = {*value, *step, event_time(event, now)};
  return later;
}

/// True when more is done than before.
bool apply_progress(Job& job, const Document& event, TimePoint now) {
  const Result<double> done = event.double_or("done", 0);
  const Result<double> total = event.double_or("total", 0);
  const Result<std::string> message = event.string_or("message", "");
  if (!done.ok() || !total.ok() || !message.ok()) return false;
  const bool more = !job.progress || *done > job.progress->done;
  job.progress = Progress{*done, *total, message->substr(0, 512), now};
  return more;
}

void apply_checkpoint(Job& job, const Document& event) {
  const Result<std::int64_t> step = event.int_at("step");
  const Result<std::string> manifest = event.string_at("manifest");
  if (step.ok() && manifest.ok()) job.checkpoint = CheckpointMark{*step, *manifest};
}

}  // namespace

bool apply_rank_event(Job& job, std::uint32_t rank, const Document& event, TimePoint now) {
  const std::string& type = event["event"].text();
  if (type == "metric") return apply_metric(job, event, now);
  if (rank != 0) return false;
  if (type == "progress") return apply_progress(job, event, now);
  if (type == "checkpoint") apply_checkpoint(job, event);
  if (type == "ready" && event["url"].is_string()) job.ready_url = event["url"].text().substr(0, 2048);
  if (type == "artifact" && job.artifacts.items().size() < kJobArtifactsMax) job.artifacts.push(event);
  if (type == "result" && event["values"].is_object()) job.result = event["values"];
  return false;
}

}  // namespace trainyard::jobs
