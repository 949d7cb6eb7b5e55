// Limits over directories that stand for the kernel's: what is tried, what is written, and what is done without.
#include "apps/warden/limits.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "apps/warden/control_group.h"
#include "base/file.h"

namespace trainyard::warden {
namespace {

constexpr Resources kOneCore{1000, std::int64_t{64} << 20, 0};

class LimitsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root = make_temporary_directory("trainyard-limits-test").value();
    roots = {.cgroup = root + "/cgroup", .proc = root + "/proc"};
    ASSERT_TRUE(make_directories(roots.cgroup).ok());
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(root).ok()); }
  void write(const std::string& file, const std::string& text) const {
    ASSERT_TRUE(make_directories((root + file).substr(0, (root + file).rfind('/'))).ok());
    ASSERT_TRUE(write_file_atomically(root + file, text).ok());
  }
  std::unique_ptr<Limiter> limiter() {
    reasons.clear();
    return make_limiter(roots, "/data", reasons);
  }
  /// The one directory below `tree` that the limiter made.
  std::string base(const std::string& tree) const {
    for (const std::string& name : list_directory(root + tree).value_or({})) {
      if (name.starts_with("trainyard-") && name != "trainyard-control") return root + tree + "/" + name;
    }
    return "none";
  }
  static std::string text(const std::string& path) { return read_file(path).value_or("no such file"); }

  std::string root;
  LimitRoots roots;
  std::vector<std::string> reasons;
};

TEST_F(LimitsTest, machine_without_control_groups_limits_processes_and_says_why) {
  const std::unique_ptr<Limiter> found = limiter();
  EXPECT_EQ(found->name(), "rlimit");
  EXPECT_EQ(reasons.size(), 2u);
  const std::unique_ptr<RankLimits> limits = found->limit(kOneCore);
  EXPECT_EQ(limits->name(), "rlimit");
  EXPECT_EQ(limits->child().groups[0], -1);
  EXPECT_EQ(limits->child().data_max, data_limit(kOneCore.memory_bytes));
  EXPECT_FALSE(limits->sees_oom());
}

TEST_F(LimitsTest, data_limit_is_wider_than_the_request_and_absent_without_one) {
  EXPECT_EQ(data_limit(0), 0);
  EXPECT_EQ(data_limit(std::int64_t{1} << 30), std::int64_t{3} << 30);
  EXPECT_GT(data_limit(std::numeric_limits<std::int64_t>::max()), 0);
}

TEST_F(LimitsTest, version_two_sets_memory_weight_and_processes_below_its_own_group) {
  write("/cgroup/cgroup.controllers", "cpu memory pids\n");
  write("/cgroup/services/a/cgroup.procs", "");
  write("/proc/self/cgroup", "0::/services/a\n");
  const std::unique_ptr<Limiter> found = limiter();
  ASSERT_EQ(found->name(), "cgroup2") << reasons.front();
  EXPECT_EQ(text(root + "/cgroup/services/a/cgroup.subtree_control"), "+memory+pids+cpu");
  const std::unique_ptr<RankLimits> limits = found->limit({2500, std::int64_t{1} << 30, 0});
  const std::string group = base("/cgroup/services/a") + "/rank-1";
  EXPECT_EQ(text(group + "/memory.max"), "1073741824");
  EXPECT_EQ(text(group + "/memory.oom.group"), "1");
  EXPECT_EQ(text(group + "/cpu.weight"), "250");
  EXPECT_EQ(text(group + "/pids.max"), "10692");
  EXPECT_TRUE(enter_group(limits->child().groups[0]));
  EXPECT_EQ(text(group + "/cgroup.procs"), "0");
  EXPECT_EQ(limits->child().groups[1], -1);
}

TEST_F(LimitsTest, kills_for_want_of_memory_are_counted_from_the_start_of_the_rank) {
  write("/cgroup/cgroup.controllers", "memory\n");
  write("/proc/self/cgroup", "0::/\n");
  const std::unique_ptr<Limiter> found = limiter();
  // In place, as the kernel's files change.
  const auto count = [events = base("/cgroup") + "/rank-1/memory.events"](std::string_view text) {
    const UniqueFd file = open_file(events, O_WRONLY | O_CREAT | O_TRUNC).value();
    ASSERT_TRUE(write_all(file.get(), text, events).ok());
  };
  std::unique_ptr<RankLimits> limits = found->limit(kOneCore);
  count("low 0\nhigh 0\nmax 7\noom 3\noom_kill 3\noom_group_kill 0\n");
  EXPECT_EQ(limits->oom_kills(), 3u);
  limits.reset();
  limits = found->limit(kOneCore);
  EXPECT_TRUE(limits->sees_oom());
  EXPECT_EQ(limits->oom_kills(), 0u);
  count("low 0\noom 4\noom_kill 5\n");
  EXPECT_EQ(limits->oom_kills(), 2u);
}

TEST_F(LimitsTest, groups_are_used_again_and_limits_written_only_when_they_differ) {
  write("/cgroup/cgroup.controllers", "memory\n");
  write("/proc/self/cgroup", "0::/\n");
  const std::unique_ptr<Limiter> found = limiter();
  const std::string memory = base("/cgroup") + "/rank-1/memory.max";
  ASSERT_TRUE(write_file_atomically(memory, "mine").ok());
  found->limit(kOneCore);
  EXPECT_EQ(text(memory), "mine") << "the limit is the one that was written last";
  found->limit({1000, 1, 0});
  EXPECT_EQ(text(memory), "1");
  const std::unique_ptr<RankLimits> first = found->limit(kOneCore);
  const std::unique_ptr<RankLimits> second = found->limit(kOneCore);
  EXPECT_TRUE(file_exists(base("/cgroup") + "/rank-2")) << "two at a time need two";
  EXPECT_FALSE(file_exists(base("/cgroup") + "/rank-3"));
}

TEST_F(LimitsTest, group_that_still_holds_somebody_is_not_used_for_the_next) {
  write("/cgroup/cgroup.controllers", "memory\n");
  write("/proc/self/cgroup", "0::/\n");
  const std::unique_ptr<Limiter> found = limiter();
  std::unique_ptr<RankLimits> limits = found->limit(kOneCore);
  const std::string procs = base("/cgroup") + "/rank-1/cgroup.procs";
  // A process that cannot be: nobody is hit when it is killed.
  ASSERT_TRUE(write_file_atomically(procs, "4194305\n").ok());
  EXPECT_FALSE(limits->kill_all());
  limits.reset();
  limits = found->limit(kOneCore);
  EXPECT_TRUE(file_exists(base("/cgroup") + "/rank-2"));
  ASSERT_TRUE(write_file_atomically(procs, "").ok());
  const std::unique_ptr<RankLimits> next = found->limit(kOneCore);
  EXPECT_FALSE(file_exists(base("/cgroup") + "/rank-3")) << "it is empty by now";
}

TEST_F(LimitsTest, version_one_sets_memory_and_processes_at_once_and_shares_later) {
  for (const char* controller : {"memory", "pids", "cpu"}) ASSERT_TRUE(make_directories(roots.cgroup + "/" + controller).ok());
  ASSERT_TRUE(make_directories(roots.cgroup + "/memory/box").ok());
  write("/proc/self/cgroup", "9:name=systemd:/\n8:pids:/\n4:memory:/box\n1:cpu,cpuacct:/\n0::/\n");
  const std::unique_ptr<Limiter> found = limiter();
  ASSERT_EQ(found->name(), "cgroup1") << reasons.back();
  const std::unique_ptr<RankLimits> limits = found->limit({500, std::int64_t{64} << 20, 0});
  EXPECT_EQ(text(base("/cgroup/memory/box") + "/rank-1/memory.limit_in_bytes"), "67108864");
  EXPECT_EQ(text(base("/cgroup/pids") + "/rank-1/pids.max"), "8692");
  EXPECT_FALSE(file_exists(base("/cgroup/cpu") + "/rank-1"));
  limits->on_long_lived();
  EXPECT_EQ(text(base("/cgroup/cpu") + "/rank-1/cpu.shares"), "512");
}

TEST_F(LimitsTest, hierarchy_that_takes_no_groups_is_passed_over) {
  write("/cgroup/cgroup.controllers", "memory\n");
  write("/proc/self/cgroup", "0::/\n");
  write("/proc/77/comm", "some-shell\n");
  // A file where the directory for the controllers' names should be written stands for a kernel that refuses.
  ASSERT_TRUE(make_directories(roots.cgroup + "/cgroup.subtree_control").ok());
  write("/cgroup/cgroup.procs", "77\n");
  const std::unique_ptr<Limiter> found = limiter();
  EXPECT_EQ(found->name(), "rlimit");
  EXPECT_NE(reasons.front().find("limits.shared"), std::string::npos) << reasons.front();
}

TEST(OwnGroup, line_of_the_controller_counts) {
  const std::string text = "12:cpu,cpuacct:/a\n4:memory:/b:c\n1:name=systemd:/d\n0::/e\n";
  EXPECT_EQ(own_group(text, "cpuacct"), "/a");
  EXPECT_EQ(own_group(text, "memory"), "/b:c");
  EXPECT_EQ(own_group(text, ""), "/e");
  EXPECT_EQ(own_group(text, "pids"), std::nullopt);
  EXPECT_EQ(own_group("garbage", ""), std::nullopt);
}

}  // namespace
}  // namespace trainyard::warden
