#pragma once
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "exec/warden_protocol.h"

namespace trainyard::agent {

/// What a node says of itself in every report.
struct NodeIdentity {
  NodeName node;
  std::string host_boot;  ///< Names the present run of the host.
  Resources capacity;
  exec::NodeFacts facts;
  std::string installation;  ///< Names the data directory.
};

/// What an agent knows of its ranks: what the warden says, how far their output was shipped, and what is to be reported. The one place
/// where the agent's threads meet. Thread-safe.
class NodeState {
 public:
  NodeState(NodeIdentity node, const Clock& clock) : node_(std::move(node)), clock_(clock) {}

  // From the warden.
  void replace(const std::string& boot_id, std::vector<exec::WardenRank> ranks);
  void update(exec::WardenRank rank);
  void grow(const std::vector<exec::RankGrowth>& growths);

  /// The rank was forgotten.
  void remove(const RankKey& rank);

  // From the shipper.
  /// A rank with output that was not shipped, or none after `stop`. Waits.
  struct ShipWork {
    RankKey rank;
    std::uint64_t log_size = 0;  ///< Ship up to here.
    std::uint64_t events_size = 0;
    bool exited = false;  ///< These sizes are final.
  };
  std::optional<ShipWork> next_work();
  /// The same without waiting: none too while nothing is due.
  std::optional<ShipWork> take_work();
  /// Everything up to the sizes of `work` is durable on the server (or refused for good): with `exited` the end may be reported.
  void shipped(const ShipWork& work);
  /// It did not work now: the rank gets another turn after `pause`.
  void postpone(const ShipWork& work, Duration pause);

  // For syncs.
  /// None before the warden answered for the first time: an empty report would say that nothing runs. An exit is held back until the
  /// rank's output was shipped.
  std::optional<exec::NodeObservation> observation();
  std::vector<exec::WardenRank> ranks() const;
  /// The agent wants to stop: the next report says so.
  void set_leaving();
  void set_never_started(const std::vector<RankKey>& ranks, TimePoint now);
  /// Waits until the warden has answered and something worth a report changed since report `seen`, or `stop`; returns the new number.
  std::uint64_t wait_for_news(std::uint64_t seen);
  std::uint64_t news() const;

  void stop();

 private:
  struct Entry {
    exec::WardenRank rank;
    std::uint64_t shipped_log = 0;
    std::uint64_t shipped_events = 0;
    bool fully_shipped = false;
    bool busy = false;  ///< The shipper works on it.
    std::optional<MonotonicPoint> not_before;
  };
  static bool has_work(const Entry& entry);
  std::optional<ShipWork> take_due(std::optional<MonotonicPoint>& wake);
  std::optional<RankKey> next_due(std::optional<MonotonicPoint>& wake) const;
  void touch();

  const NodeIdentity node_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string boot_id_;  // guarded by mutex_, like all below
  bool connected_ = false;
  bool stopping_ = false;
  bool leaving_ = false;
  std::uint64_t news_ = 1;
  std::uint64_t last_stamp_ = 0;
  std::map<RankKey, Entry> ranks_;
  RankKey last_shipped_;  // Turns go round, so that no rank can starve the others.
  std::map<RankKey, exec::RankExit> never_started_;
};

}  // namespace trainyard::agent
