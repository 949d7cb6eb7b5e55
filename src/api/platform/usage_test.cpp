#include "api/platform/usage.h"

#include "adapters/sqlite/testing/temporary_database.h"
#include "api/platform/testing/platform_world.h"

namespace trainyard::api {
namespace {

class UsageRouteTest : public testing::PlatformWorld {
 protected:
  UsageRouteTest() {
    EXPECT_TRUE(store::migrate(files.database(), "job_history", jobs::job_history_migrations()).ok());
    add_usage_route(router, {.reads = reads, .clock = clock, .history = history});
    for (const char* owner : {"ann", "bob", "ann"}) {
      jobs::Job job;
      job.id = JobId(++last);
      job.owner = owner;
      job.spec.queue = "vision";
      job.state = JobState::kSucceeded;
      job.submitted_at = clock.now() - std::chrono::hours(1);
      job.ended_at = clock.now() - std::chrono::minutes(1);
      job.usage.cpu_us = 2'000'000;
      EXPECT_TRUE(history.record({job}, EventNumber(last)).ok());
    }
  }

  adapters::sqlite::testing::TemporaryDatabase files;
  jobs::JobHistory history{files.database()};
  std::uint64_t last = 0;
};

TEST_F(UsageRouteTest, sums_are_grouped_as_asked) {
  const Document users = json("GET", "/api/v1/usage");
  ASSERT_EQ(users["usage"].items().size(), 2u);
  EXPECT_EQ(users["usage"].items()[0]["key"].text(), "ann");
  EXPECT_EQ(users["usage"].items()[0]["jobs"].as_int().value(), 2);
  EXPECT_EQ(users["usage"].items()[0]["cpu_seconds"].as_double().value(), 4);
  EXPECT_EQ(json("GET", "/api/v1/usage?by=queue")["usage"].items()[0]["key"].text(), "vision");
  EXPECT_TRUE(json("GET", "/api/v1/usage?to=2001-01-01T00:00:00Z")["usage"].items().empty());
}

TEST_F(UsageRouteTest, faulty_queries_are_refused) {
  for (const char* query : {"by=moon", "from=yesterday", "form=2001-01-01T00:00:00Z"}) {
    EXPECT_EQ(call("GET", std::string("/api/v1/usage?") + query).status, 400) << query;
  }
}

TEST_F(UsageRouteTest, usage_is_for_those_who_see_everything) {
  EXPECT_EQ(statuses("GET", "/api/v1/usage"), "401 200 200 200 200");
  authorizer.principal = {.name = "bob", .role = "agent", .grants = {{"nlp", "admin"}}};
  EXPECT_EQ(call("GET", "/api/v1/usage").status, 403);
}

}  // namespace
}  // namespace trainyard::api
