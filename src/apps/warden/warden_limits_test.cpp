// Limits of real ranks by what this machine allows; the output says what that was.
#include <iostream>

#include "apps/warden/testing/warden_fixture.h"

namespace trainyard::warden {
namespace {

using testing::kRank;
using testing::rank_key;
using testing::shell_launch;
using testing::wait_until;
using testing::WardenConnection;
using testing::WardenTest;
using namespace std::chrono_literals;

/// Processes with exactly these words for a command line.
std::vector<pid_t> processes_with(const std::vector<std::string>& words) {
  std::string expected;
  for (const std::string& word : words) expected += word + '\0';
  std::vector<pid_t> found;
  for (const exec::ProcessStat& process : exec::list_processes()) {
    if (!process.zombie && read_file(fmt::format("/proc/{}/cmdline", process.pid)).value_or("") == expected) found.push_back(process.pid);
  }
  return found;
}

class WardenLimitsTest : public WardenTest {
 protected:
  std::string limited_by() {
    const std::string name = connection->ask(exec::hello_request(77))["limited_by"].text();
    std::cerr << "ranks of this machine are limited by " << name << "\n";
    return name;
  }
  /// A number of seconds that no other test sleeps.
  std::string nap() const { return std::to_string(800'000 + ::getpid() % 100'000); }
};

TEST_F(WardenLimitsTest, rank_says_what_limits_it_and_what_it_used) {
  WardenConnection& node = start_warden();
  exec::RankLaunch launch =
      shell_launch(kRank, "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; head -c 30000000 /dev/zero | tail >/dev/null");
  launch.resources = {1000, std::int64_t{512} << 20, 0};
  node.send(exec::start_request(launch));
  const exec::RankExit exit = node.wait_for_exit(kRank);
  EXPECT_EQ(node.rank(kRank)->observation.limited_by, limited_by());
  EXPECT_FALSE(exit.oom);
  ASSERT_TRUE(exit.usage.has_value());
  EXPECT_GT(exit.usage->cpu_us, 1000);
  EXPECT_LT(exit.usage->cpu_us, 60'000'000);
  EXPECT_GT(exit.usage->max_rss_bytes, 20'000'000) << "of the largest process";
}

TEST_F(WardenLimitsTest, child_that_takes_too_much_memory_is_ended_and_the_rank_says_so) {
  WardenConnection& node = start_warden();
  exec::RankLaunch launch = shell_launch(kRank, "head -c 1500000000 /dev/zero | tail >/dev/null; exit 1");
  launch.resources = {1000, std::int64_t{64} << 20, 0};
  node.send(exec::start_request(launch));
  const exec::RankExit exit = node.wait_for_exit(kRank, 60s);
  EXPECT_NE(exit.code, 0);
  EXPECT_EQ(exit.oom, limited_by() != "rlimit") << "only a group counts what the kernel ended";
  ASSERT_TRUE(exit.usage.has_value());
  EXPECT_LT(exit.usage->max_rss_bytes, std::int64_t{1'300} << 20);
}

TEST_F(WardenLimitsTest, rank_without_a_request_of_memory_is_not_limited) {
  WardenConnection& node = start_warden();
  node.send(exec::start_request(shell_launch(kRank, "head -c 100000000 /dev/zero | tail | wc -c")));
  EXPECT_EQ(node.wait_for_exit(kRank).code, 0);
  EXPECT_EQ(stdout_of(kRank), "100000000\n");
}

TEST_F(WardenLimitsTest, limits_of_processes_are_set_where_groups_are_not_wanted) {
  WardenConnection& node = start_warden({"--limits", "process"});
  EXPECT_EQ(limited_by(), "rlimit");
  exec::RankLaunch launch = shell_launch(kRank, "ulimit -d");
  launch.resources = {1000, std::int64_t{1} << 30, 0};
  node.send(exec::start_request(launch));
  EXPECT_EQ(node.wait_for_exit(kRank).code, 0);
  EXPECT_EQ(stdout_of(kRank), std::to_string(3 << 20) + "\n") << "KiB";
  EXPECT_EQ(node.rank(kRank)->observation.limited_by, "rlimit");
}

/// Leaves its group, its session and its environment, and closes what it inherited: only its ancestors know it.
std::string daemonising(const std::string& seconds) {
  return "env -i setsid sh -c '(exec sleep " + seconds + ") </dev/null >/dev/null 2>&1 3>&- & exit 0'; ";
}

TEST_F(WardenLimitsTest, daemon_of_an_ended_rank_is_killed_while_later_ranks_run) {
  for (const std::string limits : {"auto", "process"}) {
    SCOPED_TRACE(limits);
    WardenConnection& node = start_warden({"--limits", limits});
    const std::string go = data_dir + "/go-" + limits;
    ASSERT_EQ(::mkfifo(go.c_str(), 0600), 0);
    node.send(exec::start_request(shell_launch(rank_key(1), daemonising(nap()) + "echo up; read line <" + go)));
    ASSERT_TRUE(node.read_until([&] { return node.rank(rank_key(1)) != nullptr && node.rank(rank_key(1))->log_size > 0; }));
    ASSERT_TRUE(wait_until([&] { return processes_with({"sleep", nap()}).size() == 1; }));
    ASSERT_TRUE(wait_until([&] { return exec::process_stat(processes_with({"sleep", nap()}).front())->parent == warden->pid(); }));
    // Ages are told in hundredths of a second.
    const SystemClock clock;
    const MonotonicPoint later = clock.monotonic_now() + 30ms;
    ASSERT_TRUE(wait_until([&] { return clock.monotonic_now() > later; }));
    node.send(exec::start_request(shell_launch(rank_key(2), "exec sleep 1000")));
    ASSERT_TRUE(node.wait_until_running(rank_key(2)));
    ASSERT_TRUE(write_all(open_file(go, O_WRONLY).value().get(), "go\n", "go").ok());
    EXPECT_EQ(node.wait_for_exit(rank_key(1)).code, 0);
    EXPECT_TRUE(wait_until([&] { return processes_with({"sleep", nap()}).empty(); }, 2s));
    EXPECT_EQ(node.exit_of(rank_key(2)), nullptr) << "the other one lives on";
    for (const std::uint64_t job : {1u, 2u}) node.send(exec::stop_request(rank_key(job), 0s));
    node.wait_for_exit(rank_key(2));
    for (const std::uint64_t job : {1u, 2u}) node.send(exec::forget_request(rank_key(job)));
    node.ask(exec::list_request(3));
  }
}

TEST_F(WardenLimitsTest, daemon_of_an_ended_rank_is_killed_while_earlier_ranks_run) {
  WardenConnection& node = start_warden();
  if (limited_by() == "rlimit") {
    GTEST_SKIP()
        << "NOT RUN: this machine allows no control groups, and without them nobody knows whose it is before all earlier ranks end";
  }
  node.send(exec::start_request(shell_launch(rank_key(2), "exec sleep 1000")));
  ASSERT_TRUE(node.wait_until_running(rank_key(2)));
  node.send(exec::start_request(shell_launch(rank_key(1), daemonising(nap()) + "exit 4")));
  EXPECT_EQ(node.wait_for_exit(rank_key(1)).code, 4);
  EXPECT_TRUE(wait_until([&] { return processes_with({"sleep", nap()}).empty(); }, 2s));
}

TEST_F(WardenLimitsTest, groups_go_with_their_warden_and_with_the_next_one_when_it_was_killed) {
  start_warden();
  const std::string version = limited_by();
  if (version == "rlimit") GTEST_SKIP() << "NOT RUN: this machine allows no control groups";
  connection->send(exec::start_request(shell_launch(kRank, "exec sleep 1000")));
  ASSERT_TRUE(connection->wait_until_running(kRank));
  const std::string line = read_file(fmt::format("/proc/{}/cgroup", connection->rank(kRank)->observation.pid)).value();
  const std::string mark = version == "cgroup2" ? "0::" : ":memory:";
  const std::size_t at = line.find(mark) + mark.size();
  const std::string group = (version == "cgroup2" ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory") + line.substr(at, line.find('\n', at) - at);
  ASSERT_TRUE(file_exists(group)) << group;
  warden->signal(SIGKILL);
  ASSERT_TRUE(warden->ended());
  start_warden();
  warden->signal(SIGTERM);
  ASSERT_TRUE(warden->ended());
  EXPECT_FALSE(file_exists(group.substr(0, group.rfind('/')))) << group;
}

}  // namespace
}  // namespace trainyard::warden
