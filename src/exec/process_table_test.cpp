#include "exec/process_table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "exec/process_groups.h"

namespace trainyard::exec {
namespace {

using namespace std::chrono_literals;

/// A child in a group of its own that waits for a signal. Killed and collected at the end.
class WaitingChild {
 public:
  WaitingChild() : pid_(::fork()) {
    if (pid_ != 0) {
      ::setpgid(pid_, pid_);
      return;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setpgid(0, 0);
    for (;;) ::pause();
  }
  ~WaitingChild() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  WaitingChild(const WaitingChild&) = delete;
  WaitingChild& operator=(const WaitingChild&) = delete;
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

std::string groups_text(pid_t session, const std::string& kernel_boot, const std::string& lines) {
  return fmt::format("trainyard-groups 1 boot {} {}\n{}", kernel_boot, session, lines);
}

std::string this_kernel() {
  std::string id = read_file("/proc/sys/kernel/random/boot_id").value();
  id.pop_back();
  return id;
}

TEST(ProcessTable, stat_of_a_process_whose_name_holds_spaces_and_parentheses_is_read) {
  const auto stat = parse_process_stat("42 (a) b (c)) S 7 40 39 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3");
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->pid, 42);
  EXPECT_EQ(stat->parent, 7);
  EXPECT_EQ(stat->group, 40);
  EXPECT_EQ(stat->session, 39);
  EXPECT_EQ(stat->start_ticks, 987'654u);
  EXPECT_FALSE(stat->zombie);
  EXPECT_FALSE(parse_process_stat("").has_value());
  EXPECT_FALSE(parse_process_stat("42 (cut) S 7").has_value());
}

TEST(ProcessTable, own_process_and_children_are_listed) {
  const WaitingChild child;
  const std::vector<ProcessStat> all = list_processes();
  EXPECT_TRUE(std::any_of(all.begin(), all.end(), [](const ProcessStat& process) { return process.pid == ::getpid(); }));
  const std::vector<pid_t> children = own_children();
  EXPECT_NE(std::find(children.begin(), children.end(), child.pid()), children.end());
}

TEST(ProcessTable, handlers_are_seen) {
  ASSERT_NE(::signal(SIGUSR1, [](int) {}), SIG_ERR);
  EXPECT_TRUE(catches_signal(::getpid(), SIGUSR1));
  ::signal(SIGUSR1, SIG_DFL);
  EXPECT_FALSE(catches_signal(::getpid(), SIGUSR1));
}

TEST(ProcessTable, process_is_killed_only_while_it_is_the_same_one) {
  const WaitingChild child;
  ProcessStat process = process_stat(child.pid()).value();
  ProcessStat earlier = process;
  --earlier.start_ticks;
  EXPECT_EQ(kill_processes({earlier}, 1s, SystemClock()), 0u);
  EXPECT_FALSE(process_stat(child.pid())->zombie);
  EXPECT_EQ(kill_processes({process}, 5s, SystemClock()), 0u);
  EXPECT_TRUE(process_stat(child.pid())->zombie);
}

TEST(ProcessGroups, added_and_removed_groups_are_read_back) {
  const std::string directory = make_temporary_directory("trainyard-groups-test").value();
  const std::string path = directory + "/groups";
  const std::uint64_t before = boot_ticks();
  const WaitingChild child;
  GroupRegistry registry = GroupRegistry::make(path, "boot-1").value();
  ASSERT_TRUE(registry.add(child.pid(), before).ok());
  ASSERT_TRUE(registry.add(999'999, before).ok());
  ASSERT_TRUE(registry.remove(999'999).ok());
  const RecordedGroups recorded = parse_groups(read_file(path).value()).value();
  EXPECT_EQ(recorded.boot_id, "boot-1");
  EXPECT_EQ(recorded.session, ::getsid(0));
  EXPECT_EQ(recorded.groups, (std::map<pid_t, std::uint64_t>{{child.pid(), before}}));
  EXPECT_LE(before, process_stat(child.pid())->start_ticks);
  EXPECT_LE(process_stat(child.pid())->start_ticks, boot_ticks());
  for (int turn = 0; turn < 3'000; ++turn) {
    ASSERT_TRUE(registry.add(500'000, before).ok());
    ASSERT_TRUE(registry.remove(500'000).ok());
  }
  EXPECT_LT(file_size(path).value(), 64u * 1024) << "history is dropped";
  EXPECT_EQ(parse_groups(read_file(path).value())->groups.size(), 1u);
  EXPECT_TRUE(remove_tree(directory).ok());
}

TEST(ProcessGroups, members_need_the_session_and_an_age_below_the_leaders) {
  RecordedGroups recorded{"boot", "kernel", 10, {{50, 1'000}}};
  const ProcessStat member{.pid = 51, .parent = 1, .group = 50, .session = 10, .start_ticks = 1'001};
  ProcessStat other_session = member;
  other_session.session = 11;
  ProcessStat older = member;
  older.start_ticks = 999;
  ProcessStat other_group = member;
  other_group.group = 52;
  ProcessStat dead = member;
  dead.zombie = true;
  const std::vector<ProcessStat> found = members_of(recorded, {member, other_session, older, other_group, dead});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].start_ticks, 1'001u);
}

TEST(ProcessGroups, recorded_group_is_killed_and_an_earlier_boot_is_left_alone) {
  const std::string directory = make_temporary_directory("trainyard-groups-test").value();
  const std::string path = directory + "/groups";
  const WaitingChild child;
  const ProcessStat stat = process_stat(child.pid()).value();
  const std::string line = fmt::format("damaged line\n+ {} {}\n", child.pid(), stat.start_ticks);
  ASSERT_TRUE(write_file_atomically(path, groups_text(stat.session, "another-kernel", line)).ok());
  EXPECT_TRUE(kill_recorded_groups(path, 1s, SystemClock()).ok());
  EXPECT_FALSE(process_stat(child.pid())->zombie);
  ASSERT_TRUE(write_file_atomically(path, groups_text(stat.session, this_kernel(), line)).ok());
  EXPECT_TRUE(kill_recorded_groups(path, 5s, SystemClock()).ok());
  EXPECT_TRUE(process_stat(child.pid())->zombie);
  EXPECT_TRUE(kill_recorded_groups(directory + "/absent", 1s, SystemClock()).ok());
  EXPECT_EQ(parse_groups("garbage\n").error().category, Category::kDataLoss);
  EXPECT_TRUE(remove_tree(directory).ok());
}

}  // namespace
}  // namespace trainyard::exec
