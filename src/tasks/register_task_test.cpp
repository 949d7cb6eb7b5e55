#include "tasks/register_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/manual_executor.h"
#include "tasks/testing/task_bench.h"
#include "track/testing/tracking_fixture.h"

namespace trainyard::tasks {
namespace {

using ::testing::HasSubstr;

class RegisterTaskTest : public track::testing::TrackingTest {
 protected:
  void SetUp() override {
    TrackingTest::SetUp();
    ASSERT_TRUE(store::migrate(files.database(), "catalog", data::catalog_migrations()).ok());
    run_id = make_run().text;
  }
  ~RegisterTaskTest() override { task.reset(); }

  std::string body(const std::string& alias = "champion", const std::string& model = "fashion") const {
    return R"({"model":")" + model + R"(","uri":"ty://models/x.onnx","run_id":")" + run_id +
           R"(","dataset":"fashion@3/curated","alias":")" + alias + "\"}";
  }
  void start(const std::string& json, const workflow::TaskContext& context = testing::context_of("register")) {
    reported = {};
    task = kind.start(context, parse_json(json).value(), reported.report());
  }
  void settle() {
    while (strand.run_ready() + writes.run_ready() > 0) continue;
  }
  void run(const std::string& json, const workflow::TaskContext& context = testing::context_of("register")) {
    start(json, context);
    settle();
  }
  std::int64_t holder(const std::string& alias = "champion") {
    const Result<track::ModelVersion> version = tracking.models().version_of_alias("fashion", alias);
    return version.ok() ? version->version : 0;
  }
  std::size_t versions() {
    track::RegistrySearch search;
    search.filter = "name = 'fashion'";
    return tracking.models().search_versions(search)->versions.size();
  }

  trainyard::testing::ManualExecutor strand{clock};
  trainyard::testing::ManualExecutor writes{clock};
  data::CatalogRepository catalog{files.database(), clock};
  RegisterTaskKind kind{{.strand = strand, .writes = writes, .models = tracking.models(), .catalog = catalog}};
  testing::Reported reported;
  std::unique_ptr<workflow::TaskRun> task;
  std::string run_id;
};

TEST_F(RegisterTaskTest, version_is_made_with_its_lineage_and_takes_the_alias) {
  run(body());
  ASSERT_EQ(reported.state(), "SUCCEEDED") << reported.end().reason;
  EXPECT_EQ(to_json(reported.end().output), R"({"result":{"model":"fashion","version":1,"alias":"champion"}})");
  const track::ModelVersion made = tracking.models().get_version({"fashion", 1}).value();
  EXPECT_EQ(made.run.text, run_id);
  EXPECT_EQ(made.dataset, "fashion@3/curated");
  EXPECT_EQ(made.source, "ty://models/x.onnx");
  EXPECT_EQ(made.user, "ann");
  EXPECT_EQ(holder(), 1);
}

TEST_F(RegisterTaskTest, task_taken_up_again_makes_no_second_version) {
  run(body());
  run(body());
  ASSERT_EQ(reported.state(), "SUCCEEDED");
  EXPECT_EQ(reported.end().output["result"]["version"].as_int().value(), 1);
  EXPECT_EQ(versions(), 1u);
}

TEST_F(RegisterTaskTest, task_that_died_between_version_and_alias_moves_the_alias_when_taken_up_again) {
  run(body(""));
  EXPECT_EQ(holder(), 0);
  run(body());
  EXPECT_EQ(holder(), 1);
  EXPECT_EQ(versions(), 1u);
}

TEST_F(RegisterTaskTest, later_run_makes_the_next_version_and_moves_the_alias) {
  run(body());
  run(body(), testing::context_of("register", 2));
  EXPECT_EQ(versions(), 2u);
  EXPECT_EQ(holder(), 2);
}

TEST_F(RegisterTaskTest, task_taken_up_again_does_not_take_the_alias_back_from_a_later_version) {
  run(body());
  run(body(), testing::context_of("register", 2));
  run(body());
  ASSERT_EQ(reported.state(), "SUCCEEDED");
  EXPECT_EQ(holder(), 2);
}

TEST_F(RegisterTaskTest, no_alias_moves_none) {
  run(body(""));
  EXPECT_EQ(reported.state(), "SUCCEEDED");
  EXPECT_EQ(holder(), 0);
}

TEST_F(RegisterTaskTest, model_of_synthetic_data_is_refused_and_nothing_is_made) {
  workflow::TaskContext context = testing::context_of("register");
  context.synthetic = true;
  run(body(), context);
  ASSERT_EQ(reported.state(), "FAILED");
  EXPECT_THAT(reported.end().reason, HasSubstr("registry.synthetic"));
  EXPECT_EQ(versions(), 0u);
  run_id = make_run({{"synthetic", "true"}}).text;
  run(body());
  EXPECT_EQ(reported.state(), "FAILED");
  EXPECT_EQ(versions(), 0u);
}

TEST_F(RegisterTaskTest, name_that_no_alias_can_have_is_refused_before_anything_is_made) {
  EXPECT_EQ(kind.validate(parse_json(R"({"model":"m","uri":"u","alias":"latest"})").value()).error().id, "registry.alias");
  EXPECT_TRUE(kind.validate(parse_json(R"({"model":"m","uri":"u","alias":"${tasks.x.result.alias}"})").value()).ok());
  run(body("latest"));
  EXPECT_EQ(reported.state(), "FAILED");
  EXPECT_EQ(versions(), 0u);
}

TEST_F(RegisterTaskTest, unknown_run_fails_with_its_name) {
  run_id = std::string(32, 'a');
  run(body());
  ASSERT_EQ(reported.state(), "FAILED");
  EXPECT_THAT(reported.end().reason, HasSubstr(run_id));
  EXPECT_EQ(versions(), 0u);
}

TEST_F(RegisterTaskTest, end_is_reported_on_the_strand) {
  start(body());
  writes.run_ready();
  EXPECT_EQ(reported.state(), "") << "reported on the writing thread";
  strand.run_ready();
  EXPECT_EQ(reported.state(), "SUCCEEDED");
}

TEST_F(RegisterTaskTest, forgotten_task_reports_nothing) {
  start(body());
  writes.run_ready();
  task.reset();
  settle();
  EXPECT_EQ(reported.state(), "");
  EXPECT_EQ(versions(), 1u) << "what is made is made";
}

TEST_F(RegisterTaskTest, faulty_body_is_refused_with_its_place_before_the_run) {
  const Result<void> typo = kind.validate(parse_yaml("model: m\nuri: u\nalais: champion\n", "f.yaml").value());
  ASSERT_FALSE(typo.ok());
  EXPECT_THAT(typo.error().message, HasSubstr("alias"));
  EXPECT_THAT(typo.error().where, HasSubstr("f.yaml:3:"));
  EXPECT_EQ(kind.validate(parse_json(R"({"model":"m"})").value()).error().id, "spec.missing_key");
}

}  // namespace
}  // namespace trainyard::tasks
