#include "agent/installation.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>

namespace trainyard::agent {
namespace {

class InstallationTest : public ::testing::Test {
 protected:
  void SetUp() override { root = make_temporary_directory("trainyard-installation-test").value(); }
  void TearDown() override { EXPECT_TRUE(remove_tree(root).ok()); }
  std::string root;
};

TEST_F(InstallationTest, id_of_a_directory_stays_and_differs_from_others) {
  const std::string id = installation_id(root + "/a");
  EXPECT_EQ(id.size(), 32u);
  EXPECT_EQ(installation_id(root + "/a"), id);
  EXPECT_NE(installation_id(root + "/b"), id);
}

TEST_F(InstallationTest, damaged_id_is_replaced) {
  const std::string id = installation_id(root);
  ASSERT_TRUE(write_file_atomically(root + "/installation", id.substr(0, 7)).ok());
  const std::string next = installation_id(root);
  EXPECT_EQ(next.size(), 32u);
  EXPECT_EQ(installation_id(root), next);
}

TEST_F(InstallationTest, second_agent_of_a_directory_is_refused_and_told_who_has_it) {
  std::optional<DirectoryLock> first = DirectoryLock::take(root + "/deep/er").value();
  const Result<DirectoryLock> second = DirectoryLock::take(root + "/deep/er");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().id, "agent.taken");
  EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos) << second.error().message;
  EXPECT_TRUE(DirectoryLock::take(root + "/other").ok());
  first.reset();
  EXPECT_TRUE(DirectoryLock::take(root + "/deep/er").ok());
}

}  // namespace
}  // namespace trainyard::agent
