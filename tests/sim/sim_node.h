#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/reconcile.h"
#include "tests/sim/sim_server.h"

namespace trainyard::sim_test {

/// One host: an agent that syncs with the server, a warden that never forgets its ranks, and processes that compute, fail, hang, report
/// event lines and ignore signals, as the dice fall. What the agent does with the desired state is the real plan_reconcile.
class SimNode {
 public:
  struct Settings {
    std::uint64_t message_lost_one_in = 40;
    std::uint64_t message_doubled_one_in = 60;
  };

  SimNode(World& world, SimServer& server, Settings settings, NodeName name, Resources capacity);

  /// Nothing leaves or reaches the host for this long.
  void partition(Duration span);
  /// Every process ends, the warden is another one, and the host is away for this long.
  void reboot(Duration away);
  /// The agent process alone is another one: it reconnects to its warden.
  void restart_agent();
  /// The host never comes back.
  void retire();
  bool is_retired() const { return away_until_ == MonotonicPoint::max(); }
  /// Faults are over.
  void heal();

  const NodeName& name() const { return name_; }
  const Resources& capacity() const { return capacity_; }
  std::size_t rank_count() const { return ranks_.size(); }

 private:
  /// What a process will do, decided when it starts.
  struct Plan {
    Duration start_delay{0};
    Duration run{0};
    exec::RankExit exit;
    bool heeds_sigterm = true;
    std::uint64_t lines = 0;  ///< Event lines it will write, evenly over its run.
  };
  struct Rank {
    exec::WardenRank seen;
    exec::RankLaunch launch;
    Plan plan;
    std::uint64_t process = 0;  ///< Tells timers of this process from those of others.
    std::uint64_t written = 0;  ///< Event lines.
    std::uint64_t shipped = 0;  ///< Of these the server has.
    bool fenced = false;
    bool shipping = false;
  };

  bool away() const { return world_.clock.monotonic_now() < away_until_; }
  bool cut_off() const { return away() || world_.clock.monotonic_now() < cut_off_until_; }
  void tick();
  void tick_soon();
  void sync(Duration wait);
  void apply(const exec::DesiredState& desired);
  void ship(Rank& rank);
  void shipped(const RankKey& key, std::uint64_t process, const Result<std::uint64_t>& taken);

  Plan draw_plan(const exec::RankLaunch& launch);
  void start(const exec::RankLaunch& launch);
  void run(const RankKey& key, std::uint64_t process);
  void write_line(const RankKey& key, std::uint64_t process);
  void request_stop(const RankKey& key, Duration grace);
  void end(const RankKey& key, std::uint64_t process, exec::RankExit exit);
  Rank* find(const RankKey& key, std::uint64_t process);

  /// Sends to the server, unless the message gets lost; perhaps twice, and never faster than a later one.
  void send(SimServer::Request request);
  /// Delivers an answer of the server to the agent process that asked.
  void receive(std::uint64_t agent, std::function<void()> task);

  World& world_;
  SimServer& server_;
  const Settings settings_;
  const NodeName name_;
  const Resources capacity_;
  std::uint64_t boots_ = 1;
  std::uint64_t agents_ = 1;  ///< Answers to an earlier agent process go nowhere.
  std::uint64_t processes_ = 0;
  std::uint64_t desired_version_ = 0;
  MonotonicPoint away_until_;
  MonotonicPoint cut_off_until_;
  std::map<RankKey, Rank> ranks_;
  std::map<RankKey, exec::RankExit> never_started_;
};

}  // namespace trainyard::sim_test
