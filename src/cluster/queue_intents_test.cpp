#include "cluster/queue_intents.h"

#include <gtest/gtest.h>

#include "adapters/sqlite/testing/temporary_database.h"

namespace trainyard::cluster {
namespace {

class QueueIntentsTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store::migrate(files.database(), "queue_intent", queue_intent_migrations()).ok()); }

  adapters::sqlite::testing::TemporaryDatabase files;
  QueueIntents intents{files.database()};
  const QueueIntent stopped{"vision", true, "maintenance", "ann", time_from_micros(17)};
};

TEST_F(QueueIntentsTest, intent_is_kept_and_replaced_by_the_newer_one) {
  ASSERT_TRUE(intents.set({"vision", false, "", "bob", time_from_micros(3)}).ok());
  ASSERT_TRUE(intents.set(stopped).ok());
  EXPECT_EQ(*intents.list(), std::vector{stopped});
}

TEST_F(QueueIntentsTest, cleared_queue_has_none_and_clearing_again_is_no_error) {
  ASSERT_TRUE(intents.set(stopped).ok());
  ASSERT_TRUE(intents.clear("vision").ok());
  ASSERT_TRUE(intents.clear("vision").ok());
  EXPECT_TRUE(intents.list()->empty());
}

}  // namespace
}  // namespace trainyard::cluster
