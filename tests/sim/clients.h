#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/sim_server.h"

namespace trainyard::sim_test {

/// People and programs that use the server: each submits one job under a key of its own and repeats the request until it is answered;
/// some read, some cancel.
class Clients {
 public:
  struct Settings {
    std::int64_t jobs = 22;
    Duration arrival_max{80'000'000};  ///< Jobs come during this span.
    std::int64_t cores_max = 4;
    std::int64_t tasks_max = 3;
  };

  Clients(World& world, SimServer& server, Settings settings);

  /// Faults are over: whatever would run for ever is cancelled now.
  void heal();
  /// Every submit was answered and every cancel that was asked for too.
  bool all_answered() const;
  std::size_t acknowledged() const { return acknowledged_; }

 private:
  struct Client {
    std::string key;
    JobSpec spec;
    JobId job;
    bool refused = false;
    bool wants_cancel = false;
    bool cancelled = false;
    bool endless = false;
  };

  JobSpec draw_spec();
  void submit(std::size_t index);
  void submitted(std::size_t index, const Result<JobId>& job);
  void cancel(std::size_t index);
  void read(std::size_t index, int times);
  void send(SimServer::Request request);
  void receive(std::function<void()> task);

  World& world_;
  SimServer& server_;
  const Settings settings_;
  std::vector<Client> clients_;
  std::size_t acknowledged_ = 0;
};

}  // namespace trainyard::sim_test
