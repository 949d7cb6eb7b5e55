#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/spool_reader.h"
#include "exec/warden_protocol.h"
#include "tests/sim/world.h"

namespace trainyard::sim_test {

/// What a warden has on disk of one rank.
struct SpooledRank {
  TimePoint started_at;
  std::string log;
  std::string events;
  std::optional<exec::ExitRecord> exit;
};

/// The disk of a node; it survives agents, wardens and reboots.
class SimSpool final : public agent::SpoolReader {
 public:
  std::map<RankKey, SpooledRank> ranks;

  Result<std::string> read_log(const RankKey& rank, std::uint64_t from, std::size_t size) override {
    return part_of(rank, &SpooledRank::log, from, size);
  }
  Result<std::string> read_events(const RankKey& rank, std::uint64_t from, std::size_t size) override {
    return part_of(rank, &SpooledRank::events, from, size);
  }
  exec::ShippedMark shipped_mark(const RankKey&) override { return {}; }

 private:
  Result<std::string> part_of(const RankKey& rank, std::string SpooledRank::*file, std::uint64_t from, std::size_t size) const;
};

/// The warden of a node and the processes that it runs: they compute, fail, hang, write output and ignore signals, as the dice fall. It
/// speaks the real protocol and keeps the promises of docs/formats/runner.md: a start record before the first instruction, an exit
/// record after the last output, and nothing started twice.
class SimWarden {
 public:
  struct Listener {
    std::function<void(const exec::WardenRank&)> on_rank;
    std::function<void(const exec::RankGrowth&)> on_grown;
  };

  /// Knows from the spool what earlier wardens ran: what has no exit record is lost.
  SimWarden(World& world, SimSpool& spool, NodeName node, Listener listener);
  ~SimWarden();
  SimWarden(const SimWarden&) = delete;
  SimWarden& operator=(const SimWarden&) = delete;

  /// One request of an agent.
  void handle(const Document& request);
  std::vector<exec::WardenRank> ranks() const;
  /// Every process ends with the warden. When the power fails too, what was not synced to the disk is lost.
  void die(bool power_fails);

 private:
  /// What a process will do, decided when it starts.
  struct Plan {
    Duration start_delay{0};
    Duration run{0};
    exec::RankExit exit;
    bool heeds_sigterm = true;
    std::uint64_t log_lines = 0;  ///< Written evenly over its run.
    std::uint64_t event_lines = 0;
  };
  struct Rank {
    exec::WardenRank seen;
    Plan plan;
    bool alive = false;  ///< The process is there.
    std::uint64_t log_lines = 0;
    std::uint64_t event_lines = 0;
  };

  Plan draw_plan(const exec::RankLaunch& launch);
  void recover(const RankKey& key, SpooledRank& spooled);
  void prepare(const RankKey& key);
  void start(const exec::RankLaunch& launch);
  void run(const RankKey& key);
  void write_log_line(const RankKey& key);
  void write_event_line(const RankKey& key);
  void request_stop(const RankKey& key, Duration grace);
  void end(const RankKey& key, exec::RankExit exit, EndedBy by);
  void record_exit(const RankKey& key, const exec::RankExit& exit);
  void grown(const RankKey& key);
  void after(Duration wait, std::function<void()> task);

  World& world_;
  SimSpool& spool_;
  const NodeName node_;
  Listener listener_;
  std::map<RankKey, Rank> ranks_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // shared: watched by timers that outlive the warden
};

}  // namespace trainyard::sim_test
