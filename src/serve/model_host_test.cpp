#include "serve/model_host.h"

#include <gtest/gtest.h>

#include "base/testing/fake_clock.h"
#include "serve/testing/fake_servable.h"

namespace trainyard::serve {
namespace {

class ModelHostTest : public ::testing::Test {
 protected:
  trainyard::testing::FakeClock clock;
  testing::FakeModelLoader loader;
  ModelHost host{{}, loader, clock};
};

TEST_F(ModelHostTest, host_without_models_is_not_ready) {
  EXPECT_FALSE(host.ready());
  EXPECT_EQ(host.find("m", std::nullopt).error().category, Category::kNotFound);
}

TEST_F(ModelHostTest, version_not_named_is_the_highest_that_is_ready) {
  ASSERT_TRUE(host.load("m", 2, {"/a"}).ok());
  ASSERT_TRUE(host.load("m", 10, {"/b"}).ok());
  EXPECT_EQ(host.find("m", std::nullopt).value()->version(), 10);
  EXPECT_EQ(host.find("m", 2).value()->version(), 2);
  EXPECT_EQ(host.find("m", 3).error().id, "serve.unknown_version");
  EXPECT_TRUE(host.ready());
}

TEST_F(ModelHostTest, failed_load_says_why_and_leaves_what_was_served) {
  loader.failures["/broken"] = invalid_argument("serve.model_unreadable", "Model cannot be read: /broken");
  ASSERT_TRUE(host.load("m", 1, {"/good"}).ok());
  EXPECT_FALSE(host.load("m", 1, {"/broken"}).ok());
  EXPECT_TRUE(host.find("m", 1).ok());
  EXPECT_FALSE(host.load("n", 1, {"/broken"}).ok());
  EXPECT_EQ(host.find("n", 1).error().category, Category::kUnavailable);
  EXPECT_FALSE(host.ready());
  ASSERT_EQ(host.statuses().size(), 2u);
  EXPECT_EQ(host.statuses()[1].state, VersionState::kUnavailable);
  EXPECT_NE(host.statuses()[1].reason.find("/broken"), std::string::npos);
}

TEST_F(ModelHostTest, reload_swaps_the_version_in_one_step) {
  ASSERT_TRUE(host.load("m", 1, {"/a"}).ok());
  const ServedVersionPtr held = host.find("m", 1).value();
  ASSERT_TRUE(host.load("m", 1, {"/b"}).ok());
  EXPECT_NE(host.find("m", 1).value(), held);
  EXPECT_EQ(held->signature().inputs.front().name, "x");
}

TEST_F(ModelHostTest, unloaded_version_is_known_but_not_ready) {
  ASSERT_TRUE(host.load("m", 1, {"/a"}).ok());
  host.unload("m", 1);
  host.unload("absent", 1);
  EXPECT_EQ(host.find("m", 1).error().category, Category::kUnavailable);
  EXPECT_FALSE(host.ready());
}

}  // namespace
}  // namespace trainyard::serve
