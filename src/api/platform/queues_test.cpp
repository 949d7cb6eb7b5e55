#include "api/platform/queues.h"

#include "adapters/sqlite/testing/temporary_database.h"
#include "api/platform/testing/platform_world.h"

namespace trainyard::api {
namespace {

class QueueRoutesTest : public testing::PlatformWorld {
 protected:
  QueueRoutesTest() {
    EXPECT_TRUE(store::migrate(files.database(), "queue_intent", cluster::queue_intent_migrations()).ok());
    add_queue_routes(router, context());
    add_queue_control_routes(router, {context(), reads, intents});
  }

  adapters::sqlite::testing::TemporaryDatabase files;
  cluster::QueueIntents intents{files.database()};
};

TEST_F(QueueRoutesTest, stopped_queue_takes_jobs_starts_none_and_says_who_stopped_it) {
  const JobId runs = submit(submission(4));
  const Document stopped = json("POST", "/api/v1/queues/default/stop", R"({"reason":"maintenance"})");
  EXPECT_EQ(stopped["state"].text(), "stopped");
  EXPECT_TRUE(stopped["stopped"].as_bool().value());
  EXPECT_EQ(stopped["reason"].text(), "maintenance");
  EXPECT_EQ(stopped["stopped_by"].text(), "ann");
  const JobId waits = submit(submission(1));
  EXPECT_EQ(job(waits).state, JobState::kQueued);
  EXPECT_EQ(job(runs).state, JobState::kStarting) << "what runs goes on";
  const Result<sched::Explanation> why = service->explain(waits);
  ASSERT_TRUE(why.ok());
  EXPECT_EQ(why->reason, sched::Reason::kSuspended);
  EXPECT_NE(why->message.find("Queue \"default\" is stopped"), std::string::npos) << why->message;

  const Document open = json("POST", "/api/v1/queues/default/start");
  EXPECT_EQ(open["state"].text(), "open");
  EXPECT_EQ(open.find("stopped_by"), nullptr);
  settle();
  EXPECT_EQ(job(waits).state, JobState::kStarting);
  EXPECT_TRUE(intents.list()->empty());
}

TEST_F(QueueRoutesTest, stop_is_kept_for_the_next_start_of_the_server) {
  json("POST", "/api/v1/queues/default/stop", R"({"reason":"move"})");
  const JobId waits = submit(submission(1));
  crash();
  ASSERT_EQ(intents.list()->size(), 1u);
  service = std::make_unique<jobs::JobService>(settings, jobs::JobService::Deps{strand, clock, faulty, backend, builder, log},
                                               jobs::JobService::Hooks{});
  ASSERT_TRUE(apply_queue_intent(*service, intents.list()->front()).ok());
  ASSERT_TRUE(service->recover().ok());
  settle();
  EXPECT_EQ(job(waits).state, JobState::kQueued);
  EXPECT_EQ(service->book().stops().at("default").reason, "move");
}

TEST_F(QueueRoutesTest, queue_that_its_settings_stop_can_be_started_for_good) {
  crash();
  settings.scheduler.queues.front().state = sched::QueueSettings::State::kStopped;
  boot();
  EXPECT_EQ(job(submit(submission(1))).state, JobState::kQueued);
  ASSERT_TRUE(service->set_queue_stop("default", std::nullopt).ok());
  settle();
  EXPECT_EQ(job(JobId(1)).state, JobState::kStarting);
  EXPECT_TRUE(service->book().is_stopped_by_settings("default").value());
}

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

TEST_F(QueueRoutesTest, every_route_asks_for_its_role) {
  EXPECT_EQ(statuses("GET", "/api/v1/queues"), "401 200 200 200 200");
  EXPECT_EQ(statuses("GET", "/api/v1/queues/default"), "401 200 200 200 200");
  for (const char* change : {"stop", "start"}) {
    EXPECT_EQ(statuses("POST", std::string("/api/v1/queues/default/") + change), "401 403 403 200 200") << change;
    EXPECT_EQ(call("POST", std::string("/api/v1/queues/nowhere/") + change).status, 404) << change;
    EXPECT_EQ(call("POST", std::string("/api/v1/queues/default/") + change, R"({"resaon":"x"})").status, 400) << change;
  }
  EXPECT_EQ(router.routes().size(), 4u) << "a new route needs a line above";
}

}  // namespace
}  // namespace trainyard::api
