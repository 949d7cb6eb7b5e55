#include "api/platform/queues.h"

#include "api/platform/testing/platform_world.h"

namespace trainyard::api {
namespace {

class QueueRoutesTest : public testing::PlatformWorld {
 protected:
  QueueRoutesTest() { add_queue_routes(router, context()); }
};

TEST_F(QueueRoutesTest, queue_tells_what_waits_runs_and_is_used) {
  for (int i = 0; i < 3; ++i) service->submit(submission(4), [](const Result<JobId>& id) { EXPECT_TRUE(id.ok()); });
  settle();
  const Document queue = json("GET", "/api/v1/queues/default");
  EXPECT_EQ(queue["state"].text(), "open");
  EXPECT_EQ(queue["running"].as_int().value(), 2);
  EXPECT_EQ(queue["pending"].as_int().value(), 1);
  EXPECT_EQ(queue["used"]["cpu"].as_double().value(), 8);
  EXPECT_EQ(queue["share"].as_double().value(), 1);
  EXPECT_EQ(queue.find("quota"), nullptr);
  EXPECT_EQ(json("GET", "/api/v1/queues")["queues"].items().size(), 1u);
}

TEST_F(QueueRoutesTest, unknown_queue_is_told) { EXPECT_EQ(call("GET", "/api/v1/queues/nowhere").status, 404); }

TEST_F(QueueRoutesTest, every_route_is_for_viewers) {
  EXPECT_EQ(statuses("GET", "/api/v1/queues"), "401 200 200 200 200");
  EXPECT_EQ(statuses("GET", "/api/v1/queues/default"), "401 200 200 200 200");
  EXPECT_EQ(router.routes().size(), 2u) << "a new route needs a line above";
}

}  // namespace
}  // namespace trainyard::api
