#include <csignal>
#include <sstream>

#include "tests/zygote/cases/zygotes_fixture.h"

namespace trainyard::warden {
namespace {

using testing::kProgram;
using testing::read_all;
using testing::wait_until;
using testing::ZygotesTest;
using namespace std::chrono_literals;

/// The value of a line "name value" of what the probe reports.
std::string field(const std::string& text, const std::string& name) {
  const std::string all = "\n" + text;
  const std::size_t at = all.find("\n" + name + " ");
  if (at == std::string::npos) return "";
  const std::size_t begin = at + name.size() + 2;
  return all.substr(begin, all.find('\n', begin) - begin);
}

TEST_F(ZygotesTest, rank_of_a_zygote_finds_what_a_spawned_one_finds) {
  environment["RANK"] = "3";
  environment["TRAINYARD_WORKDIR"] = workdir;
  const std::optional<SpawnedRank> forked = launch_forked("report");
  ASSERT_TRUE(forked.has_value());
  EXPECT_TRUE(forked->limited);
  EXPECT_EQ(wait_for(forked->pid), 0);
  const std::string by_fork = read_all(pipes.output.get());
  EXPECT_EQ(read_all(pipes.error.get()), "to standard error\n");
  EXPECT_EQ(read_all(pipes.events.get()), "to events\n");

  pipes = testing::Pipes();
  const Result<SpawnedRank> spawned = spawn_rank(argv, environment, workdir, pipes.ends, {});
  ASSERT_TRUE(spawned.ok()) << spawned.error().describe();
  EXPECT_EQ(wait_for(spawned->pid), 0);
  std::string by_exec = read_all(pipes.output.get());
  EXPECT_EQ(field(by_exec, "parent"), std::to_string(::getpid()));
  EXPECT_EQ(field(by_exec, "directory"), workdir);
  EXPECT_EQ(field(by_exec, "group"), "own");
  EXPECT_EQ(field(by_exec, "death_signal"), std::to_string(SIGKILL));
  EXPECT_EQ(field(by_exec, "descriptors"), "0,1,2,3");
  // All else is equal, but for what tells them apart and what the program sets for itself before it is a zygote.
  by_exec.replace(by_exec.find("forked false"), 12, "forked true");
  by_exec.insert(by_exec.find("variable PROBE_STARTS="), "variable PROBE_KEPT=by the program\n");
  EXPECT_EQ(by_fork, by_exec);
}

/// As /proc shows it, without what is empty.
std::map<std::string, std::string> shown_environment(pid_t pid) {
  std::map<std::string, std::string> shown;
  std::istringstream text(read_file(fmt::format("/proc/{}/environ", pid), std::size_t{1} << 20).value_or(""));
  for (std::string variable; std::getline(text, variable, '\0');) {
    const std::size_t equals = variable.find('=');
    if (equals != std::string::npos) shown[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  return shown;
}

TEST_F(ZygotesTest, rank_of_a_zygote_shows_its_own_environment_and_program_to_others) {
  environment["TRAINYARD_RANK_ID"] = "boot/17/2/5";
  environment["TRAINYARD_JOB_ID"] = "17";
  const std::optional<SpawnedRank> rank = launch_forked("wait");
  ASSERT_TRUE(rank.has_value());
  EXPECT_EQ(exec::environment_value(rank->pid, exec::kRankMarker), "boot/17/2/5");
  EXPECT_EQ(shown_environment(rank->pid), environment);
  EXPECT_TRUE(wait_until([&] {
    const std::string words = read_file(fmt::format("/proc/{}/cmdline", rank->pid), 4096).value_or("");
    return words.starts_with(kProgram) && words.find(exec::kZygoteWord) == std::string::npos;
  }));
  const std::optional<exec::ProcessStat> stat = exec::process_stat(rank->pid);
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->parent, ::getpid());
  EXPECT_EQ(stat->group, rank->pid);
  EXPECT_EQ(stat->session, ::getsid(0));
  ::kill(-rank->pid, SIGTERM);
  EXPECT_EQ(wait_for(rank->pid), SIGTERM);
}

TEST_F(ZygotesTest, marker_is_shown_when_the_rest_has_no_room) {
  environment["TRAINYARD_API_URL"] = std::string(exec::kZygoteMarkerSize, 'x');
  const std::optional<SpawnedRank> rank = launch_forked("wait");
  ASSERT_TRUE(rank.has_value());
  const std::map<std::string, std::string> shown = shown_environment(rank->pid);
  EXPECT_EQ(shown.at("TRAINYARD_RANK_ID"), "boot/17/1/0");
  EXPECT_FALSE(shown.contains("TRAINYARD_API_URL"));
  EXPECT_EQ(shown.at("PATH"), environment["PATH"]);
  ::kill(rank->pid, SIGKILL);
  wait_for(rank->pid);
}

TEST_F(ZygotesTest, zygote_carries_the_mark_of_its_warden) {
  ASSERT_FALSE(launch("exit:0").has_value());
  ASSERT_TRUE(run_until([&] { return started() == 1; }));
  EXPECT_TRUE(exec::environment_has(only_child(), fmt::format("{}=boot/", exec::kRankMarker))) << "its warden's successor finds it";
}

TEST_F(ZygotesTest, exit_code_and_signal_of_a_rank_reach_its_parent) {
  const std::optional<SpawnedRank> first = launch_forked("exit:7");
  ASSERT_TRUE(first.has_value());
  const int status = wait_for(first->pid);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
  const std::optional<SpawnedRank> second = launch(fmt::format("signal:{}", SIGSEGV));
  ASSERT_TRUE(second.has_value()) << "one zygote serves many ranks";
  EXPECT_EQ(WTERMSIG(wait_for(second->pid)), SIGSEGV);
  EXPECT_EQ(started(), 1U);
}

TEST_F(ZygotesTest, threads_locks_and_memory_work_in_a_rank) {
  const std::optional<SpawnedRank> rank = launch_forked("threads");
  ASSERT_TRUE(rank.has_value());
  EXPECT_EQ(wait_for(rank->pid), 0);
  EXPECT_EQ(read_all(pipes.output.get()), "sum 28000\n");
}

TEST_F(ZygotesTest, two_ranks_of_a_zygote_run_at_once) {
  const std::optional<SpawnedRank> one = launch_forked("wait");
  const std::optional<SpawnedRank> two = launch("wait");
  ASSERT_TRUE(one.has_value() && two.has_value());
  EXPECT_NE(one->pid, two->pid);
  EXPECT_EQ(::kill(one->pid, 0), 0);
  ::kill(two->pid, SIGKILL);
  EXPECT_EQ(wait_for(two->pid), SIGKILL);
  ::kill(one->pid, SIGUSR1);
  EXPECT_EQ(wait_for(one->pid), SIGUSR1) << "each ends by itself";
}

TEST_F(ZygotesTest, rank_that_enters_no_group_has_the_limit_of_a_process) {
  const UniqueFd no_group = open_file("/dev/full", O_WRONLY).value();
  const std::optional<SpawnedRank> rank = launch_forked("report", {.groups = {no_group.get(), -1}, .data_max = 1 << 30});
  ASSERT_TRUE(rank.has_value());
  EXPECT_FALSE(rank->limited);
  EXPECT_EQ(wait_for(rank->pid), 0);
  EXPECT_EQ(field(read_all(pipes.output.get()), "data"), std::to_string(1 << 30));
}

TEST_F(ZygotesTest, rank_that_enters_its_groups_tells_them_its_name) {
  const std::string path = directory + "/cgroup.procs";
  const UniqueFd group = open_file(path, O_WRONLY | O_CREAT).value();
  const std::optional<SpawnedRank> rank = launch_forked("report", {.groups = {group.get(), -1}, .data_max = 1 << 30});
  ASSERT_TRUE(rank.has_value());
  EXPECT_TRUE(rank->limited);
  EXPECT_EQ(wait_for(rank->pid), 0);
  EXPECT_EQ(read_file(path).value(), "0");
  EXPECT_NE(field(read_all(pipes.output.get()), "data"), std::to_string(1 << 30));
}

TEST_F(ZygotesTest, killed_zygote_makes_the_next_launch_an_ordinary_one) {
  const std::optional<SpawnedRank> rank = launch_forked("exit:0");
  ASSERT_TRUE(rank.has_value());
  wait_for(rank->pid);
  const pid_t zygote = only_child();
  ASSERT_TRUE(zygotes->owns(zygote));
  ::kill(zygote, SIGKILL);
  EXPECT_FALSE(launch("mark:" + directory + "/ran").has_value());
  ASSERT_TRUE(run_until([&] { return !zygotes->owns(zygote); })) << "it is collected";
  EXPECT_FALSE(file_exists(directory + "/ran"));
  EXPECT_TRUE(launch_forked("exit:0").has_value()) << "another one takes its place";
  collect_strays();
  EXPECT_EQ(started(), 2U);
  run_until([&] { return collect_strays(), only_child() != 0; });
}

TEST_F(ZygotesTest, hung_zygote_costs_the_deadline_and_its_rank_never_runs) {
  settings.reply_patience = 100ms;
  const std::optional<SpawnedRank> rank = launch_forked("exit:0");
  ASSERT_TRUE(rank.has_value());
  wait_for(rank->pid);
  const pid_t zygote = only_child();
  ::kill(zygote, SIGSTOP);
  const MonotonicPoint begin = clock.monotonic_now();
  EXPECT_FALSE(launch("mark:" + directory + "/ran").has_value());
  EXPECT_GE(clock.monotonic_now() - begin, 100ms);
  EXPECT_LT(clock.monotonic_now() - begin, 2s);
  ::kill(zygote, SIGCONT);
  EXPECT_TRUE(run_until([&] { return !zygotes->owns(zygote); }));
  run_until([] { return false; }, 100ms);
  EXPECT_FALSE(file_exists(directory + "/ran"));
}

TEST_F(ZygotesTest, rank_runs_exactly_when_its_launch_says_so) {
  settings.reply_patience = 1ms;  // About as long as it takes.
  settings.blame = Duration(0);
  const std::string mark = directory + "/ran";
  std::size_t said = 0;
  std::size_t given_up = 0;
  for (int round = 0; round < 100; ++round) {
    if (launch("mark:" + mark).has_value()) {
      ++said;
    } else if (started() > 0) {
      ++given_up;
    }
    run_until([&] { return collect_strays(), false; }, 5ms);
  }
  EXPECT_GT(said + given_up, 0U);
  fmt::print("{} ran, {} did not\n", said, given_up);
  EXPECT_TRUE(run_until([&] { return collect_strays(), exec::own_children().size() <= 1; })) << "what was forked has ended";
  const std::string lines = read_file(mark).value_or("");
  EXPECT_EQ(static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n')), said);
}

TEST_F(ZygotesTest, changed_program_gets_a_zygote_of_its_own) {
  const std::optional<SpawnedRank> rank = launch_forked("exit:0");
  ASSERT_TRUE(rank.has_value());
  wait_for(rank->pid);
  copy_program();
  EXPECT_FALSE(launch("exit:0").has_value());
  const std::optional<SpawnedRank> next = launch_forked("exit:0");
  ASSERT_TRUE(next.has_value());
  wait_for(next->pid);
  EXPECT_EQ(started(), 2U);
}

TEST_F(ZygotesTest, other_environment_gets_a_zygote_of_its_own) {
  environment["LIBRARY_SETTING"] = "1";
  const std::optional<SpawnedRank> rank = launch_forked("exit:0");
  ASSERT_TRUE(rank.has_value());
  wait_for(rank->pid);
  environment["LIBRARY_SETTING"] = "2";
  EXPECT_FALSE(launch("exit:0").has_value());
  environment["LIBRARY_SETTING"] = "1";
  environment["MASTER_PORT"] = "4711";
  const std::optional<SpawnedRank> other = launch("exit:0");
  ASSERT_TRUE(other.has_value()) << "what names the rank makes no difference";
  wait_for(other->pid);
}

TEST_F(ZygotesTest, program_with_words_or_from_elsewhere_gets_none) {
  argv = {kProgram, "local"};
  EXPECT_FALSE(launch("exit:0").has_value());
  argv = {"/bin/true"};
  EXPECT_FALSE(launch("exit:0").has_value());
  argv = {kProgram};
  environment["PATH"] = "/usr/bin:" + settings.program_dir;
  EXPECT_FALSE(launch("exit:0").has_value());
  run_until([] { return false; }, 50ms);
  EXPECT_TRUE(exec::own_children().empty());
}

TEST_F(ZygotesTest, launch_with_a_secret_gets_none) {
  environment["MLFLOW_TRACKING_TOKEN"] = "of the rank alone";
  const std::optional<SpawnedRank> rank = launch_forked("exit:0");
  ASSERT_TRUE(rank.has_value());
  wait_for(rank->pid);
  EXPECT_FALSE(exec::environment_value(only_child(), "MLFLOW_TRACKING_TOKEN").has_value());
  environment["aws_secret_access_key"] = "of the user";
  EXPECT_FALSE(launch("exit:0").has_value());
  run_until([] { return false; }, 50ms);
  EXPECT_EQ(started(), 1U);
}

TEST_F(ZygotesTest, rank_inherits_nothing_of_the_ranks_before_it) {
  const std::string secret = "only-for-the-first";
  const std::string reversed(secret.rbegin(), secret.rend());
  // Long, so that what is freed of it is not all overwritten by the next request.
  for (int times = 0; times < 200; ++times) environment["MLFLOW_TRACKING_TOKEN"] += secret;
  const std::optional<SpawnedRank> first = launch_forked("remembers:" + reversed);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(WEXITSTATUS(wait_for(first->pid)), 1) << "its own is found";
  environment["MLFLOW_TRACKING_TOKEN"] = "for the second";
  const std::optional<SpawnedRank> second = launch("remembers:" + reversed);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(WEXITSTATUS(wait_for(second->pid)), 0);
}

TEST_F(ZygotesTest, zygote_that_ends_before_it_is_ready_is_tried_twice) {
  environment["PROBE_ZYGOTE"] = "exit";
  EXPECT_FALSE(launch_forked("exit:0", {}, 1s).has_value());
  EXPECT_EQ(started(), 2U);
}

TEST_F(ZygotesTest, program_that_starts_threads_gets_no_zygote) {
  environment["PROBE_ZYGOTE"] = "thread";
  EXPECT_FALSE(launch_forked("exit:0", {}, 1s).has_value());
  EXPECT_EQ(started(), 2U);
}

TEST_F(ZygotesTest, zygote_that_was_not_used_longest_makes_room) {
  settings.zygotes_max = 1;
  environment["KIND"] = "a";
  const std::optional<SpawnedRank> first = launch_forked("exit:0");
  ASSERT_TRUE(first.has_value());
  wait_for(first->pid);
  environment["KIND"] = "b";
  const std::optional<SpawnedRank> second = launch_forked("exit:0");
  ASSERT_TRUE(second.has_value());
  wait_for(second->pid);
  EXPECT_TRUE(run_until([] { return only_child() != 0; }));
  environment["KIND"] = "a";
  EXPECT_FALSE(launch("exit:0").has_value());
}

TEST_F(ZygotesTest, idle_zygote_ends) {
  settings.idle_end = 50ms;
  EXPECT_FALSE(launch("exit:0").has_value());
  ASSERT_TRUE(run_until([&] { return started() == 1; }));
  EXPECT_TRUE(run_until([] { return exec::own_children().empty(); }));
}

TEST_F(ZygotesTest, node_with_little_memory_starts_none) {
  settings.memory_min = std::uint64_t{1} << 60;
  EXPECT_FALSE(launch_forked("exit:0", {}, 100ms).has_value());
  EXPECT_EQ(started(), 0U);
}

TEST_F(ZygotesTest, launch_that_is_too_large_for_a_packet_is_an_ordinary_one) {
  const std::optional<SpawnedRank> rank = launch_forked("exit:0");
  ASSERT_TRUE(rank.has_value());
  wait_for(rank->pid);
  environment["TRAINYARD_API_URL"] = std::string(exec::kZygoteMessageMax, 'x');
  EXPECT_FALSE(launch("exit:0").has_value());
  environment.erase("TRAINYARD_API_URL");
  const std::optional<SpawnedRank> next = launch("exit:0");
  ASSERT_TRUE(next.has_value()) << "the zygote is none the worse for it";
  wait_for(next->pid);
}

TEST_F(ZygotesTest, death_of_the_warden_ends_zygote_and_rank) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const pid_t warden = ::fork();
  ASSERT_GE(warden, 0);
  if (warden == 0) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    loop.emplace(EventLoop::make(clock).value());
    if (!launch_forked("wait").has_value()) ::_exit(1);
    (void)write_all(ends[1], "x", "pipe");
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ends[0], &byte, 1), 1);
  ::close(ends[0]);
  ::close(ends[1]);
  const auto members = [] {
    std::vector<pid_t> marked;
    for (const exec::ProcessStat& process : exec::list_processes()) {
      if (process.pid != ::getpid() && !process.zombie && exec::environment_has(process.pid, "TRAINYARD_RANK_ID=boot/")) {
        marked.push_back(process.pid);
      }
    }
    return marked;
  };
  ASSERT_EQ(members().size(), 2U);
  ::kill(warden, SIGKILL);
  EXPECT_EQ(wait_for(warden), SIGKILL);
  EXPECT_TRUE(wait_until([&] { return members().empty(); }));
  EXPECT_TRUE(wait_until([] {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    return exec::own_children().empty();
  }));
}

}  // namespace
}  // namespace trainyard::warden
