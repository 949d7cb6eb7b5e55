// The agent with a real warden and real processes; only the server is a fake.
#include "agent/agent.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <csignal>

#include "agent/testing/fake_agent_link.h"
#include "base/failpoint.h"
#include "exec/process_groups.h"
#include "exec/testing/rank_probe.h"

namespace trainyard::agent {
namespace {

using exec::testing::kRank;
using exec::testing::log_pieces;
using exec::testing::processes_of;
using exec::testing::rank_key;
using exec::testing::shell_launch;
using exec::testing::text_of_stream;
using exec::testing::wait_until;
using testing::FakeAgentLink;
using namespace std::chrono_literals;

class QuietLogSink final : public LogSink {
 public:
  void write(const LogEvent&) override {}
};

class AgentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    data_dir = make_temporary_directory("trainyard-agent-test").value();
    start_agent();
  }
  void TearDown() override {
    ASSERT_TRUE(arm_failpoints("").ok());
    if (agent) {
      agent->shutdown_warden(0s);
      // The lock is free once the warden has left.
      EXPECT_TRUE(wait_until([&] { return !file_exists(data_dir + "/run/warden.sock"); }));
    }
    agent.reset();
    EXPECT_TRUE(exec::kill_recorded_groups(data_dir + "/run/groups", 5s, clock).ok());
    EXPECT_TRUE(remove_tree(data_dir).ok());
  }
  void start_agent() {
    link.renew();
    AgentSettings settings;
    settings.data_dir = data_dir;
    settings.node = NodeName{"here"};
    settings.warden_program = exec::testing::program_path("trainyard-warden");
    settings.facts = facts;
    agent.emplace(settings, Agent::Deps{link, clock, log, [this](const Error& error) { refusals.push_back(error.id); }});
    agent->start();
  }
  std::string output(const RankKey& rank) const { return text_of_stream(log_pieces(link.log(rank)), exec::kStdoutStream); }
  pid_t warden_pid() const {
    for (const exec::ProcessStat& process : exec::list_processes()) {
      if (process.zombie) continue;
      const std::string command = read_file(fmt::format("/proc/{}/cmdline", process.pid)).value_or("");
      if (command.find("trainyard-warden") != std::string::npos && command.find(data_dir) != std::string::npos) return process.pid;
    }
    return -1;
  }

  std::string data_dir;
  SystemClock clock;
  QuietLogSink log;
  FakeAgentLink link;
  exec::NodeFacts facts;
  std::vector<std::string> refusals;  // Written by the agent's threads: read once it has stopped.
  std::optional<Agent> agent;
};

TEST_F(AgentTest, rank_runs_and_its_end_is_reported_after_all_its_output) {
  link.launch(shell_launch(kRank, R"(seq 1 50000; for i in 1 2 3; do echo "{\"event\":\"metric\",\"step\":$i}" >&3; done; exit 6)"));
  ASSERT_TRUE(link.wait_for_exit(kRank));
  EXPECT_EQ(link.observed(kRank)->exit->code, 6);
  EXPECT_EQ(link.last().node.text, "here");
  EXPECT_GT(link.last().capacity.milli_cpu, 0);
  std::string expected;
  for (int line = 1; line <= 50'000; ++line) expected += std::to_string(line) + "\n";
  EXPECT_TRUE(output(kRank) == expected);
  EXPECT_EQ(link.log_at_exit(kRank), link.log(kRank).size());
  EXPECT_EQ(link.events(kRank).size(), 3u);
  EXPECT_TRUE(link.events(kRank).back().starts_with(R"({"event":"metric","step":3,"time_us":)")) << link.events(kRank).back();
}

TEST_F(AgentTest, output_arrives_while_the_rank_runs) {
  link.launch(shell_launch(kRank, "echo first; exec sleep 1000"));
  EXPECT_TRUE(link.wait_for([&](const FakeAgentLink& server) { return !server.log(kRank).empty(); }));
  EXPECT_EQ(output(kRank), "first\n");
}

TEST_F(AgentTest, next_agent_adopts_running_ranks_and_goes_on_with_their_output) {
  link.launch(shell_launch(kRank, "echo before; while [ ! -e " + data_dir + "/go ]; do read x </dev/zero & wait $!; done; echo after"));
  ASSERT_TRUE(link.wait_for([&](const FakeAgentLink& server) { return !server.log(kRank).empty(); }));
  const std::string boot = link.last().boot_id;
  const std::vector<pid_t> processes = processes_of(kRank, data_dir);
  agent.reset();
  start_agent();
  ASSERT_TRUE(link.wait_until_running(kRank));
  EXPECT_EQ(processes_of(kRank, data_dir).front(), processes.front());
  EXPECT_EQ(link.last().boot_id, boot);
  link.stop(kRank);
  ASSERT_TRUE(link.wait_for_exit(kRank));
  EXPECT_TRUE(link.observed(kRank)->exit->stop_requested);
  EXPECT_EQ(output(kRank), "before\n");
}

TEST_F(AgentTest, rank_that_ends_while_no_agent_runs_is_reported_by_the_next_one) {
  link.launch(
      shell_launch(kRank, "echo one; while [ ! -e " + data_dir + "/go ]; do head -c 1 /dev/zero >/dev/null; done; echo two; exit 8"));
  ASSERT_TRUE(link.wait_for([&](const FakeAgentLink& server) { return !server.log(kRank).empty(); }));
  agent.reset();
  ASSERT_TRUE(write_file_atomically(data_dir + "/go", "").ok());
  ASSERT_TRUE(wait_until([&] { return file_exists(exec::spool_paths(data_dir, kRank).exit_record); }));
  start_agent();
  ASSERT_TRUE(link.wait_for_exit(kRank));
  EXPECT_EQ(link.observed(kRank)->exit->code, 8);
  EXPECT_EQ(output(kRank), "one\ntwo\n");
}

TEST_F(AgentTest, killed_warden_loses_its_ranks_and_their_children_within_a_second) {
  link.launch(shell_launch(kRank, "sleep 1000 & setsid sleep 1000 & echo up; wait"));
  ASSERT_TRUE(link.wait_for([&](const FakeAgentLink& server) { return !server.log(kRank).empty(); }));
  ASSERT_TRUE(wait_until([&] { return processes_of(kRank, data_dir).size() == 3; }));
  const std::string boot = link.last().boot_id;
  ASSERT_EQ(::kill(warden_pid(), SIGKILL), 0);
  EXPECT_TRUE(wait_until([&] { return processes_of(kRank, data_dir).empty(); }, 1s));
  ASSERT_TRUE(link.wait_for_exit(kRank));
  EXPECT_TRUE(link.observed(kRank)->exit->lost);
  EXPECT_NE(link.last().boot_id, boot);
  EXPECT_EQ(output(kRank), "up\n");

  link.launch(shell_launch(rank_key(18), "echo alive"));
  ASSERT_TRUE(link.wait_for_exit(rank_key(18)));
  EXPECT_EQ(output(rank_key(18)), "alive\n") << "the next warden works";
}

TEST_F(AgentTest, outage_of_the_server_delays_the_output_and_loses_none) {
  link.launch(
      shell_launch(kRank, "echo one; while [ ! -e " + data_dir + "/go ]; do head -c 1 /dev/zero >/dev/null; done; seq 1 20000; exit 4"));
  ASSERT_TRUE(link.wait_for([&](const FakeAgentLink& server) { return !server.log(kRank).empty(); }));
  link.set_down(true);
  ASSERT_TRUE(write_file_atomically(data_dir + "/go", "").ok());
  ASSERT_TRUE(wait_until([&] { return file_exists(exec::spool_paths(data_dir, kRank).exit_record); }));
  link.set_down(false);
  ASSERT_TRUE(link.wait_for_exit(kRank));
  EXPECT_EQ(link.observed(kRank)->exit->code, 4);
  std::string expected = "one\n";
  for (int line = 1; line <= 20'000; ++line) expected += std::to_string(line) + "\n";
  EXPECT_TRUE(output(kRank) == expected);
}

TEST_F(AgentTest, fenced_output_does_not_hold_back_the_end) {
  link.fence(kRank);
  link.launch(shell_launch(kRank, "echo nobody wants this; exit 3"));
  ASSERT_TRUE(link.wait_for_exit(kRank));
  EXPECT_EQ(link.observed(kRank)->exit->code, 3);
  EXPECT_TRUE(link.log(kRank).empty());
}

TEST_F(AgentTest, output_that_the_server_finds_damaged_does_not_hold_back_the_end) {
  link.refuse_output(kRank, invalid_argument("log.malformed", "no records"));
  link.launch(shell_launch(kRank, "echo x; echo '{}' >&3; exit 3"));
  ASSERT_TRUE(link.wait_for_exit(kRank));
  EXPECT_EQ(link.observed(kRank)->exit->code, 3);
}

TEST_F(AgentTest, rank_that_is_not_desired_any_more_is_killed_and_forgotten) {
  link.launch(shell_launch(kRank, "trap '' TERM; echo up; while :; do sleep 1000; done"));
  ASSERT_TRUE(link.wait_for([&](const FakeAgentLink& server) { return !server.log(kRank).empty(); }));
  link.forget(kRank);
  EXPECT_TRUE(
      wait_until([&] { return processes_of(kRank, data_dir).empty() && !file_exists(exec::default_workdir(data_dir, kRank.attempt)); }));
}

TEST_F(AgentTest, ended_rank_is_reported_until_it_is_forgotten_and_its_spool_goes_then) {
  link.launch(shell_launch(kRank, "echo x"));
  ASSERT_TRUE(link.wait_for_exit(kRank));
  EXPECT_TRUE(file_exists(exec::spool_paths(data_dir, kRank).log));
  link.forget(kRank);
  EXPECT_TRUE(wait_until([&] { return !file_exists(exec::spool_paths(data_dir, kRank).exit_record); }));
}

TEST_F(AgentTest, stop_is_carried_out_with_the_grace_of_the_launch) {
  exec::RankLaunch launch = shell_launch(kRank, "trap '' TERM; echo up; while :; do sleep 1000; done");
  launch.grace = 100ms;
  link.launch(launch);
  ASSERT_TRUE(link.wait_for([&](const FakeAgentLink& server) { return !server.log(kRank).empty(); }));
  link.stop(kRank);
  ASSERT_TRUE(link.wait_for_exit(kRank));
  EXPECT_EQ(link.observed(kRank)->exit->signal, SIGKILL);
  EXPECT_TRUE(link.observed(kRank)->exit->stop_requested);
}

TEST_F(AgentTest, rank_that_was_stopped_before_its_start_is_reported_as_ended) {
  link.set_down(true);
  link.launch(shell_launch(kRank, "touch " + data_dir + "/ran"));
  link.stop(kRank);
  link.set_down(false);
  ASSERT_TRUE(link.wait_for_exit(kRank));
  EXPECT_TRUE(link.observed(kRank)->exit->stop_requested);
  EXPECT_FALSE(file_exists(data_dir + "/ran"));
}

TEST_F(AgentTest, checkpoint_request_reaches_the_program_once) {
  link.launch(shell_launch(kRank, "trap 'echo saved' USR1; trap 'exit 0' TERM; echo up; while :; do read x </dev/zero & wait $!; done"));
  ASSERT_TRUE(link.wait_for([&](const FakeAgentLink& server) { return !server.log(kRank).empty(); }));
  const std::size_t before = link.log(kRank).size();
  link.request_checkpoint(kRank);
  ASSERT_TRUE(link.wait_for([&](const FakeAgentLink& server) { return server.log(kRank).size() > before; }));
  link.stop(kRank);
  ASSERT_TRUE(link.wait_for_exit(kRank));
  EXPECT_EQ(output(kRank), "up\nsaved\n");
}

TEST_F(AgentTest, busy_rank_does_not_hold_up_the_others) {
  link.launch(shell_launch(rank_key(1), "exec yes a line that never ends"));
  ASSERT_TRUE(link.wait_for([&](const FakeAgentLink& server) { return !server.log(rank_key(1)).empty(); }));
  for (std::uint64_t job = 2; job <= 6; ++job) link.launch(shell_launch(rank_key(job), "echo done"));
  for (std::uint64_t job = 2; job <= 6; ++job) EXPECT_TRUE(link.wait_for_exit(rank_key(job))) << job;
}

TEST_F(AgentTest, failures_before_and_after_each_step_are_repeated) {
  std::uint64_t job = 30;
  for (const std::string_view name : failpoint_names()) {
    if (!name.starts_with("agent.")) continue;
    SCOPED_TRACE(name);
    ASSERT_TRUE(arm_failpoints(std::string(name) + "=io").ok());
    const RankKey rank = rank_key(++job);
    link.launch(shell_launch(rank, "echo a; echo '{\"event\":\"progress\"}' >&3; echo b"));
    ASSERT_TRUE(link.wait_for_exit(rank));
    EXPECT_EQ(output(rank), "a\nb\n");
    EXPECT_EQ(link.events(rank).size(), 1u);
    link.forget(rank);
    EXPECT_TRUE(wait_until([&] { return !file_exists(exec::spool_paths(data_dir, rank).exit_record); }));
  }
}

TEST_F(AgentTest, agent_stops_at_once_while_it_waits_for_the_server) {
  link.launch(shell_launch(kRank, "exec sleep 1000"));
  ASSERT_TRUE(link.wait_until_running(kRank));
  const MonotonicPoint before = clock.monotonic_now();
  agent->stop();
  EXPECT_LT(clock.monotonic_now() - before, 1s);
  EXPECT_FALSE(processes_of(kRank, data_dir).empty()) << "ranks go on without an agent";
  start_agent();
  EXPECT_TRUE(link.wait_until_running(kRank));
}

TEST_F(AgentTest, held_rank_is_prepared_and_starts_with_the_environment_of_its_release) {
  link.hold(shell_launch(kRank, "echo $MASTER_ADDR $MASTER_PORT"));
  const auto prepared = [&](const FakeAgentLink& server) {
    return server.observed(kRank).has_value() && server.observed(kRank)->phase == exec::RankObservation::Phase::kPrepared;
  };
  ASSERT_TRUE(link.wait_for(prepared));
  const std::uint16_t port = link.observed(kRank)->port;
  EXPECT_NE(port, 0);
  link.release(kRank, {{"MASTER_ADDR", "10.0.0.7"}, {"MASTER_PORT", std::to_string(port)}});
  ASSERT_TRUE(link.wait_for_exit(kRank));
  EXPECT_EQ(output(kRank), fmt::format("10.0.0.7 {}\n", port));
}

TEST_F(AgentTest, held_rank_that_is_stopped_never_runs) {
  link.hold(shell_launch(kRank, "touch " + data_dir + "/ran"));
  ASSERT_TRUE(link.wait_for([&](const FakeAgentLink& server) { return server.observed(kRank).has_value(); }));
  link.stop(kRank);
  ASSERT_TRUE(link.wait_for_exit(kRank));
  EXPECT_TRUE(link.observed(kRank)->exit->stop_requested);
  EXPECT_FALSE(file_exists(data_dir + "/ran"));
}

TEST_F(AgentTest, ranks_see_their_gpus_and_the_node_tells_of_all) {
  agent.reset();
  facts.gpus = {{0, "GPU-a", "H200", 0}, {1, "GPU-b", "H200", 0}};
  facts.labels = {{"rack", "r1"}};
  start_agent();
  exec::RankLaunch launch = shell_launch(rank_key(1), "echo $CUDA_VISIBLE_DEVICES");
  launch.devices = {1};
  link.launch(launch);
  link.launch(shell_launch(rank_key(2), "echo \"none: $CUDA_VISIBLE_DEVICES\""));
  ASSERT_TRUE(link.wait_for_exit(rank_key(1)));
  ASSERT_TRUE(link.wait_for_exit(rank_key(2)));
  EXPECT_EQ(output(rank_key(1)), "GPU-b\n");
  EXPECT_EQ(output(rank_key(2)), "none: \n");
  EXPECT_EQ(link.observed(rank_key(1))->devices, (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(link.last().capacity.milli_gpu, 2000);
  EXPECT_EQ(link.last().facts, facts);
}

TEST_F(AgentTest, node_without_given_facts_tells_its_automatic_labels_and_its_installation) {
  ASSERT_TRUE(link.wait_for([](const FakeAgentLink& server) { return !server.last().boot_id.empty(); }));
  agent.reset();
  const std::string before = link.last().installation;
  EXPECT_EQ(before.size(), 32u);
  start_agent();
  ASSERT_TRUE(link.wait_for([](const FakeAgentLink& server) { return !server.last().boot_id.empty(); }));
  EXPECT_EQ(link.last().installation, before);
}

TEST_F(AgentTest, leaving_agent_says_so_and_is_drained_once_nothing_is_left) {
  link.launch(shell_launch(kRank, "exec sleep 1000"));
  ASSERT_TRUE(link.wait_until_running(kRank));
  EXPECT_FALSE(link.last().leaving);
  agent->leave();
  ASSERT_TRUE(link.wait_for([](const FakeAgentLink& server) { return server.last().leaving; }));
  EXPECT_FALSE(agent->drained()) << "the server has not moved the rank yet";
  link.stop(kRank);
  ASSERT_TRUE(link.wait_for_exit(kRank));
  EXPECT_FALSE(agent->drained()) << "nor made its end durable";
  link.forget(kRank);
  EXPECT_TRUE(wait_until([&] { return agent->drained(); }));
}

TEST_F(AgentTest, idle_agent_is_drained_after_the_server_heard_that_it_leaves) {
  link.set_down(true);
  agent->leave();
  EXPECT_FALSE(wait_until([&] { return agent->drained(); }, 300ms));
  link.set_down(false);
  EXPECT_TRUE(wait_until([&] { return agent->drained(); }));
}

TEST_F(AgentTest, agent_whose_name_is_taken_leaves_its_ranks_alone_and_goes_on_when_it_is_free) {
  link.launch(shell_launch(kRank, "echo up; exec sleep 1000"));
  ASSERT_TRUE(link.wait_for([&](const FakeAgentLink& server) { return !server.log(kRank).empty(); }));
  const std::vector<pid_t> processes = processes_of(kRank, data_dir);
  link.refuse_syncs({Category::kAborted, "agent.name_taken", "another agent serves under this name", {}, {}});
  agent.reset();
  start_agent();
  EXPECT_FALSE(wait_until([&] { return processes_of(kRank, data_dir) != processes; }, 500ms));
  link.accept_syncs();
  ASSERT_TRUE(link.wait_until_running(kRank));
  agent->stop();
  ASSERT_FALSE(refusals.empty());
  EXPECT_EQ(refusals.front(), "agent.name_taken");
}

TEST_F(AgentTest, agent_that_was_replaced_ends_what_the_server_gave_to_others) {
  link.launch(shell_launch(kRank, "trap '' TERM; echo up; while :; do sleep 1000; done"));
  ASSERT_TRUE(link.wait_for([&](const FakeAgentLink& server) { return !server.log(kRank).empty(); }));
  link.refuse_syncs({Category::kAborted, "agent.replaced", "another agent has joined under this name", {}, {}});
  EXPECT_TRUE(wait_until([&] { return processes_of(kRank, data_dir).empty(); }));
}

TEST_F(AgentTest, forty_ranks_run_at_once) {
  for (std::uint64_t job = 1; job <= 40; ++job) link.launch(shell_launch(rank_key(job), fmt::format("echo {}; exit {}", job, job)));
  for (std::uint64_t job = 1; job <= 40; ++job) {
    ASSERT_TRUE(link.wait_for_exit(rank_key(job)));
    EXPECT_EQ(link.observed(rank_key(job))->exit->code, static_cast<int>(job));
    EXPECT_EQ(output(rank_key(job)), std::to_string(job) + "\n");
  }
}

}  // namespace
}  // namespace trainyard::agent
