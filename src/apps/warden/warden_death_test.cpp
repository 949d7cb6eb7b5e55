// What happens to processes and records when the warden, its parent or a rank dies.
#include "apps/warden/testing/warden_fixture.h"

namespace trainyard::warden {
namespace {

using testing::kRank;
using testing::processes_of;
using testing::rank_key;
using testing::read_log;
using testing::shell_launch;
using testing::wait_until;
using testing::WardenConnection;
using testing::WardenTest;
using namespace std::chrono_literals;

class WardenDeathTest : public WardenTest {
 protected:
  /// Starts a shell with two children in its group and one in a session of its own, and waits until all four run.
  WardenConnection& start_family() {
    WardenConnection& node = start_warden();
    node.send(exec::start_request(shell_launch(kRank, "sleep 1000 & sleep 1000 & setsid sleep 1000 & echo up; wait")));
    EXPECT_TRUE(node.read_until([&] { return node.rank(kRank) != nullptr && node.rank(kRank)->log_size > 0; }));
    EXPECT_TRUE(wait_until([&] { return processes_of(kRank, data_dir).size() == 4; }));
    return node;
  }
  bool family_gone(Duration patience) const {
    return wait_until([&] { return processes_of(kRank, data_dir).empty(); }, patience);
  }
};

TEST_F(WardenDeathTest, killed_warden_takes_its_ranks_along_and_the_groups_file_their_children) {
  start_family();
  warden->signal(SIGKILL);
  ASSERT_TRUE(warden->ended());
  ASSERT_TRUE(exec::kill_recorded_groups(data_dir + "/run/groups", 5s, SystemClock()).ok());
  EXPECT_TRUE(family_gone(1s));
}

TEST_F(WardenDeathTest, next_warden_kills_what_is_left_and_reports_the_rank_lost) {
  WardenConnection& first = start_family();
  const std::string first_boot = exec::warden_hello_from(first.ask(exec::hello_request(5)))->boot_id;
  warden->signal(SIGKILL);
  ASSERT_TRUE(warden->ended());
  WardenConnection& second = start_warden();
  EXPECT_TRUE(processes_of(kRank, data_dir).empty()) << "gone before the socket opens";
  const exec::RankExit exit = second.wait_for_exit(kRank);
  EXPECT_TRUE(exit.lost);
  EXPECT_NE(exec::warden_hello_from(second.ask(exec::hello_request(6)))->boot_id, first_boot);
  EXPECT_EQ(stdout_of(kRank), "up\n");
}

TEST_F(WardenDeathTest, ended_rank_keeps_its_exit_over_a_warden_death) {
  WardenConnection& first = start_warden();
  first.send(exec::start_request(shell_launch(kRank, "exit 9")));
  first.wait_for_exit(kRank);
  warden->signal(SIGKILL);
  ASSERT_TRUE(warden->ended());
  WardenConnection& second = start_warden();
  EXPECT_EQ(second.wait_for_exit(kRank).code, 9);
  EXPECT_FALSE(second.exit_of(kRank)->lost);
}

TEST_F(WardenDeathTest, death_at_each_failpoint_leaves_one_end_of_the_rank) {
  for (const std::string failpoint : {"warden.before_spawn", "warden.after_fork", "warden.after_spawn", "warden.before_append",
                                      "warden.after_append", "warden.before_exit_record", "warden.after_exit_record"}) {
    SCOPED_TRACE(failpoint);
    ::setenv("TRAINYARD_FAILPOINTS", (failpoint + "=exit").c_str(), 1);
    WardenConnection& first = start_warden();
    ::unsetenv("TRAINYARD_FAILPOINTS");
    first.send(exec::start_request(shell_launch(kRank, "sleep 1000 >/dev/null 2>&1 3>&- & echo out; exit 5")));
    ASSERT_TRUE(warden->ended());
    WardenConnection& second = start_warden();
    EXPECT_TRUE(processes_of(kRank, data_dir).empty()) << "children too";
    const bool recorded = failpoint == "warden.after_exit_record";
    EXPECT_EQ(second.wait_for_exit(kRank).lost, !recorded);
    EXPECT_EQ(second.exit_of(kRank)->code, recorded ? 5 : 128 + SIGKILL);
    second.send(exec::forget_request(kRank));
    second.ask(exec::list_request(2));
  }
}

TEST_F(WardenDeathTest, torn_tail_of_a_log_is_cut_back_to_whole_records) {
  start_family();
  warden->signal(SIGKILL);
  ASSERT_TRUE(warden->ended());
  const std::uint64_t whole = file_size(paths(kRank).log).value();
  ASSERT_TRUE(write_all(open_file(paths(kRank).log, O_WRONLY | O_APPEND).value().get(), std::string(20, '\x01'), "log").ok());
  ASSERT_TRUE(
      write_all(open_file(paths(kRank).events, O_WRONLY | O_CREAT | O_APPEND).value().get(), "{\"event\":\"a\"}\n{\"ev", "events").ok());
  WardenConnection& second = start_warden();
  second.wait_for_exit(kRank);
  EXPECT_EQ(second.rank(kRank)->log_size, whole);
  EXPECT_EQ(read_file(paths(kRank).events).value(), "{\"event\":\"a\"}\n");
}

TEST_F(WardenDeathTest, grandchildren_of_an_ended_rank_are_killed) {
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(kRank, "sleep 1000 >/dev/null 2>&1 3>&- & setsid sleep 1000 >/dev/null 2>&1 3>&- & exit 0")));
  EXPECT_EQ(node.wait_for_exit(kRank, 1500ms).code, 0) << "nobody holds the pipes: no linger";
  EXPECT_TRUE(family_gone(1s));
}

TEST_F(WardenDeathTest, grandchild_that_holds_the_pipes_delays_the_end_by_the_linger_at_most) {
  WardenConnection& node = start_warden();
  const MonotonicPoint before = SystemClock().monotonic_now();
  node.send(exec::start_request(shell_launch(kRank, "setsid sleep 1000 & sleep 1000 & echo left; exit 4")));
  EXPECT_EQ(node.wait_for_exit(kRank).code, 4);
  EXPECT_GE(SystemClock().monotonic_now() - before, 1900ms);
  EXPECT_EQ(stdout_of(kRank), "left\n");
  EXPECT_TRUE(family_gone(1s));
}

TEST_F(WardenDeathTest, closed_lifeline_ends_the_groups_within_the_grace) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  WardenConnection& node = start_warden({"--grace", "300ms"}, reader.get());
  node.send(exec::start_request(shell_launch(kRank, "trap '' TERM; echo up; sleep 1000 & wait; while :; do sleep 1000; done")));
  ASSERT_TRUE(node.read_until([&] { return node.rank(kRank) != nullptr && node.rank(kRank)->log_size > 0; }));
  writer.reset();
  ASSERT_TRUE(warden->ended(5s));
  EXPECT_TRUE(processes_of(kRank, data_dir).empty());
  EXPECT_FALSE(file_exists(data_dir + "/run/warden.sock"));
  EXPECT_TRUE(file_exists(paths(kRank).exit_record));
}

TEST_F(WardenDeathTest, terminated_warden_stops_its_ranks_first) {
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(kRank, "trap 'exit 75' TERM; echo up; while :; do read x </dev/zero; done & wait")));
  ASSERT_TRUE(node.read_until([&] { return node.rank(kRank) != nullptr && node.rank(kRank)->log_size > 0; }));
  warden->signal(SIGTERM);
  EXPECT_TRUE(node.closed_by_warden());
  ASSERT_NE(node.exit_of(kRank), nullptr);
  EXPECT_EQ(node.exit_of(kRank)->code, 75);
  EXPECT_TRUE(node.exit_of(kRank)->stop_requested);
  const int status = warden->wait();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(WardenDeathTest, shutdown_request_is_answered_and_starts_nothing_more) {
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(kRank, "exec sleep 1000")));
  ASSERT_TRUE(node.wait_until_running(kRank));
  EXPECT_TRUE(node.ask(exec::shutdown_request(8, 10s))["error"].is_null());
  EXPECT_TRUE(node.closed_by_warden());
  EXPECT_EQ(node.exit_of(kRank)->signal, SIGTERM);
}

TEST_F(WardenDeathTest, second_warden_of_a_directory_leaves_at_once) {
  start_warden();
  testing::WardenProcess second(data_dir);
  EXPECT_EQ(WEXITSTATUS(second.wait()), 75);
  EXPECT_TRUE(exec::warden_hello_from(connection->ask(exec::hello_request(3))).ok());
}

TEST_F(WardenDeathTest, idle_warden_without_peers_leaves) {
  start_warden({"--idle-exit", "50ms"});
  connection->send(exec::start_request(shell_launch(kRank, "exit 2")));
  connection->wait_for_exit(kRank);
  connection.reset();
  EXPECT_TRUE(warden->ended(5s));
  WardenConnection& next = start_warden();
  EXPECT_EQ(next.wait_for_exit(kRank).code, 2);
}

TEST_F(WardenDeathTest, deep_data_directory_is_no_obstacle) {
  const std::string top = data_dir;
  for (int level = 0; level < 10; ++level) data_dir += "/a-rather-long-name";
  ASSERT_TRUE(make_directories(data_dir).ok());
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(kRank, "exit 0")));
  EXPECT_EQ(node.wait_for_exit(kRank).code, 0);
  connection.reset();
  warden.reset();
  data_dir = top;
}

}  // namespace
}  // namespace trainyard::warden
