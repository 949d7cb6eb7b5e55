#pragma once
#include <map>
#include <optional>
#include <string>

#include "agent/agent_link.h"
#include "agent/node_state.h"
#include "agent/spool_reader.h"

namespace trainyard::agent {

/// Sends the output of one rank after the other to the server, from where the server says it has it. Nothing is sent twice into the
/// server's files, since it ignores overlap; nothing is skipped, since it refuses gaps. Not thread-safe: one thread drives it.
class Shipper {
 public:
  Shipper(SpoolReader& spool, AgentLink& link) : spool_(spool), link_(link) {}

  struct Outcome {
    exec::ShippedMark mark;  ///< What the server holds now.
    bool fenced = false;     ///< The attempt is not current any more: its output is of no use.
    /// The output is damaged here or does not fit what the server has: trying again cannot help, and the end must not wait for it.
    std::optional<Error> damage;
  };
  /// Ships up to the sizes of `work`. Errors: those of the link and of files; worth another try. Failpoints: "agent.before_ship",
  /// "agent.after_log_read", "agent.after_log_ack", "agent.after_events_read", "agent.after_events_ack", "agent.after_ship".
  Result<Outcome> ship(const NodeState::ShipWork& work);

 private:
  /// Where the shipping of one rank stands. What the server has is asked for once, and again after a failure.
  struct Progress {
    exec::ShippedMark mark;
    std::optional<std::uint64_t> log_end;       ///< Bytes the server has.
    std::optional<std::uint64_t> events_taken;  ///< Event lines the server has.
  };
  Result<void> ship_log(const NodeState::ShipWork& work, Progress& progress);
  Result<void> ship_events(const NodeState::ShipWork& work, Progress& progress);

  SpoolReader& spool_;
  AgentLink& link_;
  std::map<RankKey, Progress> progress_;  ///< Of ranks that have not been shipped to their end.
};

}  // namespace trainyard::agent
