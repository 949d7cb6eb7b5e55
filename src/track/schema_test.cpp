#include "track/schema.h"

#include <gtest/gtest.h>

#include "adapters/sqlite/testing/temporary_database.h"
#include "base/testing/fake_clock.h"
#include "store/testing/fake_object_store.h"
#include "track/tracking.h"

namespace trainyard::track {
namespace {

/// A database as the version before left it.
class SchemaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store::migrate(files.database(), "track", {track_migrations().front()}).ok());
    run_sql("INSERT INTO experiment VALUES(0, 'Default', 'mlflow-artifacts:/0', 0, 1, 1)");
  }
  void run_sql(const std::string& text) {
    const Result<void> done = files.database().write([&text](store::Connection& sql) -> Result<void> {
      TRY(sql.execute(text));
      return {};
    });
    ASSERT_TRUE(done.ok()) << done.error().describe();
  }
  void add_run(const std::string& id, const std::string& job_tag) {
    run_sql("INSERT INTO run VALUES('" + id + "', 0, 'n', 'trainyard', 'FINISHED', 5, 9, 'mlflow-artifacts:/0/" + id + "/artifacts', 0)");
    if (!job_tag.empty()) run_sql("INSERT INTO run_tag VALUES('" + id + "', 'trainyard.job_id', '" + job_tag + "')");
  }

  trainyard::testing::FakeClock clock;
  adapters::sqlite::testing::TemporaryDatabase files;
  store::testing::FakeObjectStore objects;
  Tracking tracking{{.database = files.database(), .objects = objects, .clock = clock}};
};

TEST_F(SchemaTest, runs_of_nobody_go_to_the_default_namespace_and_those_of_jobs_wait_for_theirs) {
  add_run("a", "");
  add_run("b", "17");
  add_run("c", "nonsense");
  run_sql("INSERT INTO run_tag VALUES('a', 'trainyard.namespace', 'made up')");
  ASSERT_TRUE(prepare_tracking(files.database(), clock).ok());
  const track::Run free = tracking.runs().get({"a"}).value();
  EXPECT_EQ(free.info.name_space, "default");
  EXPECT_EQ(free.tags, (std::vector<KeyValue>{{"trainyard.namespace", "default"}}));
  EXPECT_EQ(tracking.runs().get({"b"})->info.name_space, "");
  const std::vector<UnplacedRun> waiting = tracking.runs().unplaced({}, 10).value();
  ASSERT_EQ(waiting.size(), 2u);
  EXPECT_EQ(waiting[0].id.text, "b");
  EXPECT_EQ(waiting[0].job, JobId{17});
  EXPECT_EQ(waiting[1].job, JobId());
}

TEST_F(SchemaTest, run_that_waits_is_seen_by_those_who_see_all_alone) {
  add_run("b", "17");
  ASSERT_TRUE(prepare_tracking(files.database(), clock).ok());
  RunSearch search;
  search.name_spaces.all = false;
  search.name_spaces.names = {"default"};
  EXPECT_TRUE(tracking.runs().search(search)->runs.empty());
  EXPECT_EQ(tracking.runs().search({})->runs.size(), 1u);
}

TEST_F(SchemaTest, run_is_placed_once) {
  add_run("b", "17");
  ASSERT_TRUE(prepare_tracking(files.database(), clock).ok());
  ASSERT_TRUE(tracking.runs().place({{{"b"}, "vision", JobId{17}}}).ok());
  ASSERT_TRUE(tracking.runs().place({{{"b"}, "text", JobId{18}}}).ok());
  const track::Run placed = tracking.runs().get({"b"}).value();
  EXPECT_EQ(placed.info.name_space, "vision");
  EXPECT_EQ(placed.info.job, JobId{17});
  EXPECT_EQ(placed.tags.back(), (KeyValue{"trainyard.namespace", "vision"}));
  EXPECT_TRUE(tracking.runs().unplaced({}, 10)->empty());
}

}  // namespace
}  // namespace trainyard::track
