#include "agent/capacity.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace trainyard::agent {
namespace {

constexpr Resources kMachine{8000, 16LL << 30, 0};

class CapacityTest : public ::testing::Test {
 protected:
  void SetUp() override { root = make_temporary_directory("trainyard-capacity-test").value(); }
  void TearDown() override { EXPECT_TRUE(remove_tree(root).ok()); }
  void write(const std::string& file, const std::string& text) const {
    ASSERT_TRUE(make_directories(root + file.substr(0, file.rfind('/'))).ok());
    ASSERT_TRUE(write_file_atomically(root + file, text).ok());
  }
  std::string root;
};

TEST_F(CapacityTest, machine_without_limits_is_whole) {
  write("/a/memory.max", "max\n");
  write("/a/cpu.max", "max 100000\n");
  EXPECT_EQ(within_control_group(kMachine, root, "/a"), kMachine);
  EXPECT_EQ(within_control_group(kMachine, root + "/absent", "/"), kMachine);
}

TEST_F(CapacityTest, tightest_limit_on_the_way_to_the_root_counts) {
  write("/a/memory.max", "2147483648\n");
  write("/a/cpu.max", "400000 100000\n");
  write("/a/b/memory.max", "4294967296\n");
  write("/a/b/cpu.max", "150000 100000\n");
  EXPECT_EQ(within_control_group(kMachine, root, "/a/b"), (Resources{1500, 2LL << 30, 0}));
}

TEST_F(CapacityTest, limits_of_version_one_count_and_minus_one_is_none) {
  write("/memory/memory.limit_in_bytes", "1073741824\n");
  write("/cpu/cpu.cfs_quota_us", "-1\n");
  write("/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(within_control_group(kMachine, root, "/"), (Resources{8000, 1LL << 30, 0}));
}

TEST_F(CapacityTest, this_machine_has_something_to_offer) {
  EXPECT_GE(discover_capacity().milli_cpu, 1);
  EXPECT_GT(discover_capacity().memory_bytes, 1LL << 20);
}

}  // namespace
}  // namespace trainyard::agent
