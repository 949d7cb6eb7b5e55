#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_warden.h"

namespace trainyard::sim_test {

/// One host: a disk, a warden with its processes, an agent, the socket between the two, and the network to the server.
class SimNode final : public SimNetwork {
 public:
  struct Settings {
    SimAgent::Settings agent;
    std::uint64_t message_lost_one_in = 40;
    std::uint64_t message_doubled_one_in = 60;
    std::uint64_t message_late_one_in = 60;  ///< By seconds: the next one overtakes it.
    std::uint64_t warden_dies_one_in = 600;  ///< At each request to it.
  };

  SimNode(World& world, SimServer& server, Settings settings, NodeName name, Resources capacity);

  /// Nothing leaves or reaches the host for this long.
  void partition(Duration span);
  void kill_agent(const std::string& where);
  void kill_warden();
  /// The power fails: agent, warden and processes end, unsynced output is lost, and the host is away for this long.
  void reboot(Duration away);
  /// The host never comes back.
  void retire();
  bool is_retired() const { return away_until_ == MonotonicPoint::max(); }
  /// Faults are over.
  void heal();

  const NodeName& name() const { return name_; }
  const Resources& capacity() const { return capacity_; }
  std::size_t rank_count() const { return is_retired() ? 0 : spool_.ranks.size(); }

  // SimNetwork
  void send(std::function<void()> deliver, std::function<void()> refused) override;
  void answer(std::function<void()> deliver, std::function<void()> broken) override;
  void wake(std::uint64_t agent) override;

 private:
  bool away() const { return world_.clock.monotonic_now() < away_until_; }
  bool cut_off() const { return away() || world_.clock.monotonic_now() < cut_off_until_; }
  Duration latency();
  void trouble();
  void start_agent();
  void start_agent_after(Duration wait);
  void connect_after(Duration wait);
  void connect();
  bool tell_warden(const Document& request);
  void to_agent(std::function<void(SimAgent&)> deliver);

  World& world_;
  SimServer& server_;
  const Settings settings_;
  const NodeName name_;
  const Resources capacity_;
  MonotonicPoint away_until_;
  MonotonicPoint cut_off_until_;
  SimSpool spool_;
  std::uint64_t boots_ = 0;
  std::uint64_t connections_ = 0;
  bool connected_ = false;
  MonotonicPoint last_to_warden_;  ///< The socket keeps the order.
  MonotonicPoint last_to_agent_;
  std::uint64_t agents_ = 0;
  std::unique_ptr<SimWarden> warden_;
  std::unique_ptr<SimAgent> agent_;
};

}  // namespace trainyard::sim_test
