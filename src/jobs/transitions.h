#pragma once
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "jobs/job.h"

namespace trainyard::jobs {

// The life of a job as pure changes of a Job value. Every function expects the state it names and is deterministic.
//
//   QUEUED --start--> STARTING --every rank runs--> RUNNING --all ranks exited--> SUCCEEDED | FAILED | QUEUED (budget left)
//     |                  |                             |
//     |                  +---------request_stop--------+--> STOPPING --all ranks exited--> by intent:
//     +--request_stop--> CANCELLED | TIMED_OUT                  cancel CANCELLED, limit TIMED_OUT, preempt and drain QUEUED

/// Launches the next attempt: one rank on each of `nodes`.
void start(Job& job, const std::vector<NodeName>& nodes, TimePoint now);

/// A rank of the current attempt runs. False when that was known.
bool rank_running(Job& job, std::uint32_t rank, TimePoint started_at);

/// A rank of the current attempt ended. False when that was known.
bool rank_exited(Job& job, std::uint32_t rank, const exec::RankExit& exit);

/// True when a rank ended in a way that dooms the gang while others still run.
bool gang_is_doomed(const Job& job);
bool all_ranks_exited(const Job& job);

/// Why a job is to stop. `code` kNone: what follows from the intent.
struct StopRequest {
  StopIntent intent = StopIntent::kCancel;
  std::string why;
  ReasonCode code = ReasonCode::kNone;
};
/// Records why the job is to stop. A queued job ends at once; a launched one becomes STOPPING. False when it is terminal or already has an
/// intent that counts as much: a cancel replaces preempt and drain, nothing replaces a cancel. Not for arrays (array.h).
bool request_stop(Job& job, StopRequest request, TimePoint now);
inline bool request_stop(Job& job, StopIntent intent, std::string why, TimePoint now) {
  return request_stop(job, StopRequest{intent, std::move(why), ReasonCode::kNone}, now);
}

/// Holds a job back: while it waits, or once it waits again. False when it is terminal or held.
bool hold(Job& job, std::string by, TimePoint now);
/// Takes the hold away; the job waits for room from `now` on. False when there is none.
bool release(Job& job, TimePoint now);
/// False when it is terminal or has that priority.
bool set_priority(Job& job, std::int64_t priority);
/// Whether nothing but room and backoff keep it from being launched.
bool waits_for_room(const Job& job);

/// The cause of the rank that ended first among those nobody had asked to stop.
ExitCause exit_cause(const Job& job);

/// All ranks exited: decides by recorded intent first, then by the exit records, enters the next state and notes the attempt. A restart
/// waits for a full-jitter backoff: uniform in [0, min(cap, base * 2^(restarts-1))]; after a requested stop it waits for nothing. The first
/// end for want of memory raises the request of the next attempts.
void finish_attempt(Job& job, TimePoint now, Rng& rng);

/// Applies one event line of a rank (fd 3) to the job. Unknown events and values of a wrong type are ignored: they are the program's own
/// and must not stop it. Only rank 0 sets progress, ready, checkpoint and result. True when the event shows that the program got further:
/// more done, or a later step of a metric.
bool apply_rank_event(Job& job, std::uint32_t rank, const Document& event, TimePoint now);

}  // namespace trainyard::jobs
