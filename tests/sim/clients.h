#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/sim_server.h"

namespace trainyard::sim_test {

/// People and programs that use the server: each submits one job (or array) under a key of its own and repeats the request until it is
/// answered; some wait for the jobs of others; some read, hold and release, change priorities, preempt, cancel.
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
    std::optional<std::size_t> waits_for;  ///< The client whose job must end first.
    bool wants_hold = false;
    bool wants_release = false;
    bool held = false;  ///< The hold was answered.
    bool released = false;
    std::optional<std::int64_t> priority;  ///< That it asks for later.
  };

  JobSpec draw_spec();
  void submit(std::size_t index);
  void submitted(std::size_t index, const Result<JobId>& job);
  void plan_changes(std::size_t index);
  bool know_dependency(std::size_t index);
  void cancel(std::size_t index);
  void hold(std::size_t index);
  void release(std::size_t index);
  void set_priority(std::size_t index);
  void preempt(std::size_t index);
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
