#include "cluster/node_intents.h"

#include <gtest/gtest.h>

#include "adapters/sqlite/testing/temporary_database.h"

namespace trainyard::cluster {
namespace {

class NodeIntentsTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store::migrate(files.database(), "node_intent", node_intent_migrations()).ok()); }

  adapters::sqlite::testing::TemporaryDatabase files;
  NodeIntents intents{files.database()};
  const NodeIntent drained{NodeName{"gpu-1"}, "draining", "new memory", "ann", time_from_micros(17)};
};

TEST_F(NodeIntentsTest, intent_is_kept_and_replaced_by_the_newer_one) {
  ASSERT_TRUE(intents.set({NodeName{"gpu-1"}, "cordoned", "", "bob", time_from_micros(3)}).ok());
  ASSERT_TRUE(intents.set(drained).ok());
  EXPECT_EQ(*intents.list(), std::vector{drained});
}

TEST_F(NodeIntentsTest, cleared_node_has_none_and_clearing_again_is_no_error) {
  ASSERT_TRUE(intents.set(drained).ok());
  ASSERT_TRUE(intents.clear(drained.node).ok());
  ASSERT_TRUE(intents.clear(drained.node).ok());
  EXPECT_TRUE(intents.list()->empty());
}

}  // namespace
}  // namespace trainyard::cluster
