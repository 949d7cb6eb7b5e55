// One pool, two agents with real wardens and real processes: gangs over both.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <optional>

#include "adapters/agent_pool/agent_pool.h"
#include "adapters/agent_pool/embedded_link.h"
#include "agent/agent.h"
#include "exec/process_groups.h"
#include "exec/testing/rank_probe.h"
#include "store/testing/fake_log_store.h"

namespace trainyard::adapters::agent_pool {
namespace {

using exec::testing::processes_of;
using exec::testing::shell_launch;
using exec::testing::wait_until;
using namespace std::chrono_literals;

class QuietLogSink final : public LogSink {
 public:
  void write(const LogEvent&) override {}
};

/// Takes everything.
class CountingEvents final : public EventSink {
 public:
  void append(const RankKey&, std::uint64_t first, std::vector<std::string> lines,
              std::function<void(Result<std::uint64_t>)> done) override {
    done(first + lines.size());
  }
  Result<std::uint64_t> taken(const RankKey&) override { return std::uint64_t{0}; }
};

/// Stops the rest of a gang when one of it fails, as the owner of jobs does. Lives on the strand; what it saw is read from the test.
class GangOwner final : public exec::AttemptObserver {
 public:
  explicit GangOwner(AgentPool& pool) : pool_(pool) {}
  void on_rank_running(const RankKey& rank, TimePoint) override {
    const std::lock_guard lock(mutex_);
    running_.insert(rank);
  }
  void on_rank_exited(const RankKey& rank, const exec::RankExit& exit) override {
    {
      const std::lock_guard lock(mutex_);
      if (!exits_.try_emplace(rank, exit).second) return;
    }
    if (exit.code != 0) pool_.stop(rank.attempt, exec::StopReason::kGangFailed, 1s);
  }
  void on_ranks_lost(const std::vector<RankKey>& ranks, const std::string&) override {
    exec::RankExit exit;
    exit.code = 137;
    exit.lost = true;
    for (const RankKey& rank : ranks) on_rank_exited(rank, exit);
  }
  void on_nodes_changed() override {}

  std::optional<exec::RankExit> exit_of(const RankKey& rank) const {
    const std::lock_guard lock(mutex_);
    const auto found = exits_.find(rank);
    return found == exits_.end() ? std::nullopt : std::optional(found->second);
  }
  bool ran(const RankKey& rank) const {
    const std::lock_guard lock(mutex_);
    return running_.contains(rank);
  }

 private:
  AgentPool& pool_;
  mutable std::mutex mutex_;
  std::set<RankKey> running_;  // guarded by mutex_, like all below
  std::map<RankKey, exec::RankExit> exits_;
};

class TwoAgentsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const std::size_t node : {0u, 1u}) {
      directories[node] = make_temporary_directory("trainyard-two-agents-test").value();
      links[node] = std::make_unique<EmbeddedLink>(EmbeddedLink::Deps{.strand = strand, .pool = pool, .logs = logs, .events = events});
      start_agent(node);
    }
    on_strand([this] { pool.set_observer(owner); });
    ASSERT_TRUE(wait_until([this] { return ready_nodes() == 2; }));
  }
  void TearDown() override {
    for (const std::size_t node : {0u, 1u}) {
      if (!agents[node]) start_agent(node);
      agents[node]->shutdown_warden(0s);
      EXPECT_TRUE(wait_until([&] { return !file_exists(directories[node] + "/run/warden.sock"); }));
      agents[node].reset();
      EXPECT_TRUE(exec::kill_recorded_groups(directories[node] + "/run/groups", 5s, clock).ok());
      EXPECT_TRUE(remove_tree(directories[node]).ok());
    }
    strand.stop();
  }
  void start_agent(std::size_t node) {
    agent::AgentSettings settings;
    settings.data_dir = directories[node];
    settings.node = names[node];
    settings.warden_program = exec::testing::program_path("trainyard-warden");
    settings.facts = exec::NodeFacts{};
    settings.facts->address = "127.0.0.1";
    agents[node] = std::make_unique<agent::Agent>(settings, agent::Agent::Deps{.link = *links[node], .clock = clock, .log = log});
    agents[node]->start();
  }
  template <typename Call>
  void on_strand(Call call) {
    std::mutex mutex;
    std::condition_variable finished;
    bool done = false;
    strand.post([&] {
      call();
      const std::lock_guard lock(mutex);
      done = true;
      finished.notify_all();
    });
    std::unique_lock lock(mutex);
    finished.wait(lock, [&] { return done; });
  }
  std::size_t ready_nodes() {
    std::size_t count = 0;
    on_strand([&] {
      for (const exec::NodeView& node : pool.nodes()) count += node.ready ? 1 : 0;
    });
    return count;
  }
  /// Rank i runs `script` on node i.
  exec::GangLaunch launch(const std::string& script) {
    exec::GangLaunch gang{.attempt = {JobId(5), AttemptNumber(1)}, .nodes = {}, .ranks = {}, .seen_running = {}};
    for (const std::uint32_t rank : {0u, 1u}) {
      gang.nodes.push_back(names[rank]);
      gang.ranks.push_back(shell_launch({gang.attempt, rank}, script));
      gang.ranks.back().env = {{"RANK", std::to_string(rank)}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", "1"}};
    }
    on_strand([&] { pool.launch(gang); });
    return gang;
  }
  std::string output(const RankKey& rank) {
    std::string text;
    const Result<store::LogSlice> slice = logs.read(rank, 0, std::size_t{1} << 20);
    if (!slice.ok()) return text;
    for (const store::LogRecord& record : slice->records) text += record.bytes;
    return text;
  }
  bool both_exited(const exec::GangLaunch& gang) {
    return wait_until([&] { return owner.exit_of(gang.ranks[0].rank).has_value() && owner.exit_of(gang.ranks[1].rank).has_value(); }, 20s);
  }

  SystemClock clock;
  QuietLogSink log;
  ThreadExecutor strand{"strand"};
  AgentPool pool{{.lease = 15s, .epoch = "life", .gang_barrier = 2s}, {.strand = strand, .clock = clock, .log = log}};
  GangOwner owner{pool};
  store::testing::FakeLogStore logs;
  CountingEvents events;
  const std::array<NodeName, 2> names{NodeName{"a"}, NodeName{"b"}};
  std::array<std::string, 2> directories;
  std::array<std::unique_ptr<EmbeddedLink>, 2> links;
  std::array<std::unique_ptr<agent::Agent>, 2> agents;
};

TEST_F(TwoAgentsTest, gang_over_two_nodes_meets_at_one_address_and_ends) {
  const exec::GangLaunch gang = launch("echo $MASTER_ADDR:$MASTER_PORT");
  ASSERT_TRUE(both_exited(gang));
  const std::string met = output(gang.ranks[0].rank);
  EXPECT_TRUE(met.starts_with("127.0.0.1:1")) << met;
  EXPECT_NE(met, "127.0.0.1:1\n") << "a port that was chosen on the node";
  EXPECT_EQ(output(gang.ranks[1].rank), met);
  EXPECT_EQ(owner.exit_of(gang.ranks[0].rank)->code, 0);
  EXPECT_EQ(owner.exit_of(gang.ranks[1].rank)->code, 0);
}

TEST_F(TwoAgentsTest, nobody_starts_before_the_last_node_is_ready) {
  agents[1].reset();
  const exec::GangLaunch gang = launch("echo up; exec sleep 1000");
  EXPECT_FALSE(wait_until([&] { return owner.ran(gang.ranks[0].rank); }, 500ms));
  EXPECT_TRUE(processes_of(gang.ranks[0].rank, directories[0]).empty());
  links[1] = std::make_unique<EmbeddedLink>(EmbeddedLink::Deps{.strand = strand, .pool = pool, .logs = logs, .events = events});
  start_agent(1);
  EXPECT_TRUE(wait_until([&] { return owner.ran(gang.ranks[0].rank) && owner.ran(gang.ranks[1].rank); }));
}

TEST_F(TwoAgentsTest, gang_whose_node_stays_away_fails_at_the_deadline_and_nothing_ran) {
  agents[1].reset();
  const exec::GangLaunch gang = launch("echo up; exec sleep 1000");
  ASSERT_TRUE(both_exited(gang));
  EXPECT_TRUE(owner.exit_of(gang.ranks[0].rank)->launch_error.starts_with("gang.barrier"))
      << owner.exit_of(gang.ranks[0].rank)->launch_error;
  EXPECT_FALSE(owner.ran(gang.ranks[0].rank));
  on_strand([&] { pool.forget(gang.attempt); });
  EXPECT_TRUE(wait_until([&] { return !file_exists(exec::default_workdir(directories[0], gang.attempt)); })) << "what was prepared is gone";
  links[1] = std::make_unique<EmbeddedLink>(EmbeddedLink::Deps{.strand = strand, .pool = pool, .logs = logs, .events = events});
}

TEST_F(TwoAgentsTest, gang_dies_together_when_one_of_it_fails) {
  const exec::GangLaunch gang = launch("echo up; if [ $RANK = 1 ]; then exit 7; fi; exec sleep 1000");
  ASSERT_TRUE(both_exited(gang));
  EXPECT_EQ(owner.exit_of(gang.ranks[1].rank)->code, 7);
  EXPECT_TRUE(owner.exit_of(gang.ranks[0].rank)->stop_requested);
  EXPECT_TRUE(processes_of(gang.ranks[0].rank, directories[0]).empty());
}

TEST_F(TwoAgentsTest, gang_dies_together_when_the_warden_of_one_is_killed) {
  const exec::GangLaunch gang = launch("echo up; exec sleep 1000");
  ASSERT_TRUE(wait_until([&] { return owner.ran(gang.ranks[0].rank) && owner.ran(gang.ranks[1].rank); }));
  for (const exec::ProcessStat& process : exec::list_processes()) {
    const std::string command = read_file(fmt::format("/proc/{}/cmdline", process.pid)).value_or("");
    if (process.zombie || command.find("trainyard-warden") == std::string::npos || command.find(directories[1]) == std::string::npos)
      continue;
    ASSERT_EQ(::kill(process.pid, SIGKILL), 0);
  }
  ASSERT_TRUE(both_exited(gang));
  EXPECT_TRUE(owner.exit_of(gang.ranks[1].rank)->lost);
  EXPECT_TRUE(processes_of(gang.ranks[0].rank, directories[0]).empty());
  EXPECT_TRUE(processes_of(gang.ranks[1].rank, directories[1]).empty());
}

}  // namespace
}  // namespace trainyard::adapters::agent_pool
