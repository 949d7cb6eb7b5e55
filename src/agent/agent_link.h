#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "exec/attempt.h"

namespace trainyard::agent {

/// What an agent needs of the server. Over HTTP, or direct when the agent is embedded. Methods block and are called from the agent's
/// threads, `sync` from two and the others from another. Every call may be repeated. Errors: UNAVAILABLE (keep spooling, try again),
/// ABORTED "lease.fenced" (the attempt is no longer current: drop what belongs to it), UNAUTHENTICATED.
class AgentLink {
 public:
  virtual ~AgentLink() = default;

  /// Posts what runs and returns what should run. Waits up to `wait` while the desired state is still version `seen_version`.
  virtual Result<exec::DesiredState> sync(const exec::NodeObservation& observation, std::uint64_t seen_version, Duration wait) = 0;
  /// The agent stops: a sync that waits and every later one come back without waiting, where the link can do that.
  virtual void interrupt() {}

  /// How many bytes of this rank's log the server has durably.
  virtual Result<std::uint64_t> log_end(const RankKey& rank) = 0;
  /// Appends encoded log records at `offset`; returns the durable end.
  virtual Result<std::uint64_t> append_log(const RankKey& rank, std::uint64_t offset, std::string_view encoded) = 0;

  /// How many event lines of this rank the server has taken durably.
  virtual Result<std::uint64_t> events_end(const RankKey& rank) = 0;
  /// Delivers event lines (fd 3) from number `first` on; returns the durable count. Overlap is ignored, a gap refused.
  virtual Result<std::uint64_t> append_events(const RankKey& rank, std::uint64_t first, const std::vector<std::string>& lines) = 0;
};

}  // namespace trainyard::agent
