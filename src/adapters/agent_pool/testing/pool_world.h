#pragma once
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adapters/agent_pool/agent_pool.h"
#include "base/testing/manual_executor.h"

namespace trainyard::adapters::agent_pool::testing {

using namespace std::chrono_literals;

class QuietLogSink final : public LogSink {
 public:
  void write(const LogEvent&) override {}
};

/// A pool on a strand that the test turns, with agents that answer when they are told to.
class PoolWorld {
 public:
  /// `reported`: the agents have called in already.
  explicit PoolWorld(const std::vector<std::string>& nodes = {"a", "b"}, bool reported = true) {
    for (const std::string& name : nodes) {
      exec::NodeObservation& report = agents_[NodeName{name}].observation;
      report = {NodeName{name}, "boot-" + name, {4000, 1 << 30, 0}, {}};
      report.facts.address = "10.0.0." + name;
      if (reported) sync(NodeName{name});
    }
  }
  /// The agent has this rank, whatever it was told; its next report says so.
  void has(const std::string& name, const RankKey& rank, exec::RankObservation::Phase phase, std::uint16_t port = 0) {
    exec::RankObservation& seen = agent(name).observation.ranks.emplace_back();
    seen.rank = rank;
    seen.phase = phase;
    seen.pid = 1;
    seen.started_at = clock.now();
    seen.port = port;
  }

  struct SimulatedAgent {
    exec::NodeObservation observation;
    exec::DesiredState desired;
    bool silent = false;
  };

  /// One report that does not wait.
  void sync(const NodeName& name) {
    SimulatedAgent& agent = agents_.at(name);
    if (agent.silent) return;
    pool.sync(agent.observation, 0, Duration(0), [&agent](Result<exec::DesiredState> state) { agent.desired = std::move(state).value(); });
    strand.run_ready();
  }
  void sync_all() {
    for (const auto& [name, agent] : agents_) sync(name);
  }
  /// Time passes while every agent that is not silent keeps its lease.
  void pass(Duration span) {
    for (Duration gone{0}; gone < span; gone += 1s) {
      strand.advance(1s);
      sync_all();
    }
  }
  const exec::DesiredRank* desired(const RankKey& rank) {
    sync_all();
    for (const auto& [name, agent] : agents_) {
      for (const exec::DesiredRank& wanted : agent.desired.ranks) {
        if (wanted.launch.rank == rank && !agent.silent) return &wanted;
      }
    }
    return nullptr;
  }
  /// The agent that should have this rank has it.
  void observe(const RankKey& rank, std::optional<exec::RankExit> exit = {}) {
    observe(rank, exit ? exec::RankObservation::Phase::kExited : exec::RankObservation::Phase::kRunning, std::move(exit));
  }
  void prepare(const RankKey& rank, std::uint16_t port = 0) { observe(rank, exec::RankObservation::Phase::kPrepared, {}, port); }
  void observe(const RankKey& rank, exec::RankObservation::Phase phase, std::optional<exec::RankExit> exit, std::uint16_t port = 0) {
    sync_all();
    for (auto& [name, agent] : agents_) {
      for (const exec::DesiredRank& wanted : agent.desired.ranks) {
        if (wanted.launch.rank != rank) continue;
        std::erase_if(agent.observation.ranks, [&](const exec::RankObservation& seen) { return seen.rank == rank; });
        exec::RankObservation& seen = agent.observation.ranks.emplace_back();
        seen.rank = rank;
        seen.phase = phase;
        seen.pid = 1;
        seen.started_at = clock.now();
        seen.exit = exit;
        seen.port = port;
        seen.devices = wanted.known ? std::vector<std::uint32_t>{} : wanted.launch.devices;
      }
      sync(name);
    }
  }
  SimulatedAgent& agent(const std::string& name) { return agents_.at(NodeName{name}); }

  trainyard::testing::FakeClock clock;
  trainyard::testing::ManualExecutor strand{clock};
  QuietLogSink log;
  AgentPool pool{{.lease = 15s}, {.strand = strand, .clock = clock, .log = log}};

 private:
  std::map<NodeName, SimulatedAgent> agents_;
};

inline exec::GangLaunch one_rank(std::uint64_t job, const std::string& node) {
  exec::GangLaunch launch{
      .attempt = {JobId(job), AttemptNumber(1)}, .nodes = {NodeName{node}}, .ranks = {exec::RankLaunch{}}, .seen_running = {}};
  launch.ranks[0].rank = {launch.attempt, 0};
  return launch;
}

/// Rank i runs on nodes[i].
inline exec::GangLaunch gang_on(std::uint64_t job, const std::vector<std::string>& nodes) {
  exec::GangLaunch launch{.attempt = {JobId(job), AttemptNumber(1)}, .nodes = {}, .ranks = {}, .seen_running = {}};
  for (std::uint32_t index = 0; index < nodes.size(); ++index) {
    launch.nodes.push_back(NodeName{nodes[index]});
    launch.ranks.emplace_back().rank = {launch.attempt, index};
    launch.ranks.back().argv = {"true"};
    launch.ranks.back().env = {{"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", "1"}};
  }
  return launch;
}

}  // namespace trainyard::adapters::agent_pool::testing
