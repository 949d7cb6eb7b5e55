#include "track/run_repository.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "track/page_token.h"
#include "track/testing/tracking_fixture.h"
#include "track/validation.h"

namespace trainyard::track {
namespace {

class RunRepositoryTest : public testing::TrackingTest {
 protected:
  Result<void> log_metric(const RunId& run, std::string key, MetricPoint point) {
    RunBatch batch;
    batch.metrics.push_back({std::move(key), point});
    return tracking.runs().log(run, batch);
  }
  Result<void> log_param(const RunId& run, std::string key, std::string value, bool from_list = false) {
    RunBatch batch;
    batch.params.push_back({std::move(key), std::move(value)});
    batch.from_list = from_list;
    return tracking.runs().log(run, batch);
  }
  std::vector<std::string> found(const std::string& filter, std::vector<std::string> order_by = {}) {
    RunSearch search;
    search.filter = filter;
    search.order_by = std::move(order_by);
    const auto page = tracking.runs().search(search);
    EXPECT_TRUE(page.ok()) << (page.ok() ? "" : page.error().describe());
    std::vector<std::string> names;
    for (const track::Run& run : page.ok() ? page->runs : std::vector<track::Run>{}) names.push_back(run.info.name);
    return names;
  }
};

TEST_F(RunRepositoryTest, new_run_has_a_name_that_its_tag_mirrors) {
  const track::Run run = tracking.runs().get(make_run()).value();
  EXPECT_EQ(run.info.id.text.size(), 32u);
  EXPECT_EQ(run.info.artifact_uri, "mlflow-artifacts:/0/" + run.info.id.text + "/artifacts");
  ASSERT_EQ(run.tags.size(), 2u);
  EXPECT_EQ(run.tags[0].value, run.info.name);
  const RunInfo renamed = tracking.runs().update(run.info.id, {std::nullopt, std::nullopt, "other"}).value();
  EXPECT_EQ(renamed.name, "other");
  EXPECT_EQ(tracking.runs().get(run.info.id)->tags[0].value, "other");
  RunBatch batch;
  batch.tags.push_back({"mlflow.runName", "third"});
  ASSERT_TRUE(tracking.runs().log(run.info.id, batch).ok());
  EXPECT_EQ(tracking.runs().get(run.info.id)->info.name, "third");
}

TEST_F(RunRepositoryTest, name_and_different_name_tag_are_refused) {
  NewRun run;
  run.experiment = {"0"};
  run.name = "a";
  run.tags = {{"mlflow.runName", "b"}};
  EXPECT_EQ(tracking.runs().create(run).error().id, "track.run_name");
  run.tags = {{"mlflow.runName", "a"}};
  EXPECT_TRUE(tracking.runs().create(run).ok());
}

TEST_F(RunRepositoryTest, latest_metric_has_the_greatest_step_then_time_then_value) {
  const RunId run = make_run();
  for (const MetricPoint& point : {MetricPoint{1, 5, 10}, {2, 4, 99}, {3, 5, 10}, {0, 5, 9}}) ASSERT_TRUE(log_metric(run, "m", point).ok());
  const track::Run loaded = tracking.runs().get(run).value();
  ASSERT_EQ(loaded.metrics.size(), 1u);
  EXPECT_EQ(loaded.metrics[0].point.value, 3);
  EXPECT_EQ(tracking.runs().history(run, "m")->size(), 4u);
  EXPECT_TRUE(tracking.runs().history(run, "none")->empty());
}

TEST_F(RunRepositoryTest, infinity_is_stored_as_the_largest_number_and_nan_as_itself) {
  const RunId run = make_run();
  ASSERT_TRUE(log_metric(run, "inf", {std::numeric_limits<double>::infinity(), 0, 0}).ok());
  ASSERT_TRUE(log_metric(run, "nan", {std::numeric_limits<double>::quiet_NaN(), 0, 0}).ok());
  const track::Run loaded = tracking.runs().get(run).value();
  EXPECT_EQ(loaded.metrics[0].point.value, std::numeric_limits<double>::max());
  EXPECT_TRUE(std::isnan(loaded.metrics[1].point.value));
  EXPECT_TRUE(std::isnan(tracking.runs().history(run, "nan")->at(0).value));
}

TEST_F(RunRepositoryTest, param_is_written_once) {
  const RunId run = make_run();
  ASSERT_TRUE(log_param(run, "k", "old").ok());
  EXPECT_TRUE(log_param(run, "k", "old").ok());
  EXPECT_EQ(log_param(run, "k", "new").error().message,
            "Changing param values is not allowed. Param with key='k' was already logged with value='old' for run ID='" + run.text +
                "'. Attempted logging new value 'new'.");
  EXPECT_EQ(log_param(run, "k", "new", true).error().message,
            "Changing param values is not allowed. Params were already logged='[{'key': 'k', 'old_value': 'old', 'new_value': 'new'}]' for "
            "run ID='" +
                run.text + "'.");
}

TEST_F(RunRepositoryTest, batch_is_kept_whole_or_not_at_all) {
  const RunId run = make_run();
  ASSERT_TRUE(log_param(run, "k", "old").ok());
  RunBatch batch;
  batch.metrics.push_back({"m", {1, 0, 0}});
  batch.tags.push_back({"t", "v"});
  batch.params = {{"fresh", "1"}, {"k", "new"}};
  ASSERT_FALSE(tracking.runs().log(run, batch).ok());
  const track::Run loaded = tracking.runs().get(run).value();
  EXPECT_TRUE(loaded.metrics.empty());
  EXPECT_EQ(loaded.params.size(), 1u);
  EXPECT_EQ(loaded.tags.size(), 2u);
  EXPECT_TRUE(tracking.runs().history(run, "m")->empty());
}

TEST_F(RunRepositoryTest, bad_keys_have_the_texts_clients_know) {
  const RunId run = make_run();
  EXPECT_EQ(
      log_metric(run, "a!", {}).error().message,
      "Invalid value \"a!\" for parameter 'metrics[0].name' supplied: Names may only contain alphanumerics, underscores (_), dashes (-), "
      "periods (.), spaces ( ), colon(:) and slashes (/).");
  EXPECT_NE(log_param(run, "a/../b", "v").error().message.find("would resolve to 'b'"), std::string::npos);
  EXPECT_EQ(log_param(run, std::string(251, 'k'), "v").error().message, "'Param key' exceeds the maximum length of 250 characters");
  EXPECT_NE(log_metric(run, "", {}).error().message.find("Missing value for required parameter 'metrics[0].name'."), std::string::npos);
}

TEST_F(RunRepositoryTest, long_values_are_cut_at_a_character) {
  const RunId run = make_run();
  ASSERT_TRUE(log_param(run, "k", std::string(5999, 'x') + "\xc3\xa9").ok());
  EXPECT_EQ(tracking.runs().get(run)->params[0].value, std::string(5999, 'x'));
}

TEST_F(RunRepositoryTest, deleted_run_takes_no_writes_until_it_is_restored) {
  const RunId run = make_run();
  ASSERT_TRUE(tracking.runs().set_lifecycle(run, Lifecycle::kDeleted).ok());
  EXPECT_EQ(log_param(run, "k", "v").error().message, "The run " + run.text + " must be in the 'active' state. Current state is deleted.");
  EXPECT_TRUE(found("").empty());
  ASSERT_TRUE(tracking.runs().set_lifecycle(run, Lifecycle::kActive).ok());
  EXPECT_TRUE(log_param(run, "k", "v").ok());
}

TEST_F(RunRepositoryTest, unknown_things_have_the_texts_clients_know) {
  EXPECT_EQ(tracking.runs().get({"r"}).error().message, "Run with id=r not found");
  NewRun orphan;
  orphan.experiment = {"9"};
  EXPECT_EQ(tracking.runs().create(orphan).error().message, "No Experiment with id=9 exists");
  const RunId run = make_run();
  EXPECT_EQ(tracking.runs().delete_tag(run, "k").error().message, "No tag with name: k in run with id " + run.text);
}

TEST_F(RunRepositoryTest, points_of_a_jobs_attempt_replace_those_of_earlier_attempts_in_runs_of_its_job_only) {
  const auto log_as = [this](const RunId& run, std::uint32_t attempt, double value, std::int64_t time) {
    RunBatch batch;
    batch.metrics.push_back({"loss", {value, 1, time}});
    batch.sender = AttemptKey{JobId{17}, AttemptNumber{attempt}};
    EXPECT_TRUE(tracking.runs().log(run, batch).ok());
  };
  const RunId own = make_run_in("vision", JobId{17});
  const RunId foreign = make_run({{std::string(kJobTag), "17"}});  // Anybody may write this tag.
  for (const RunId& run : {own, foreign}) {
    log_as(run, 1, 0.5, 1);
    log_as(run, 2, 0.25, 2);
  }
  ASSERT_EQ(tracking.runs().history(own, "loss")->size(), 1u);
  EXPECT_EQ(tracking.runs().history(own, "loss")->front().value, 0.25);
  EXPECT_EQ(tracking.runs().history(foreign, "loss")->size(), 2u);
}

TEST_F(RunRepositoryTest, run_keeps_its_namespace_and_its_tag_mirrors_it) {
  NewRun asked;
  asked.experiment = {"0"};
  asked.name_space = "vision";
  asked.job = JobId{17};
  asked.tags = {{std::string(kNamespaceTag), "text"}};
  const track::Run run = tracking.runs().get(tracking.runs().create(asked)->info.id).value();
  EXPECT_EQ(run.info.name_space, "vision");
  EXPECT_EQ(run.info.job, JobId{17});
  EXPECT_EQ(run.tags.back(), (KeyValue{std::string(kNamespaceTag), "vision"}));
  EXPECT_EQ(tracking.runs().get(make_run())->info.name_space, "default");
}

TEST_F(RunRepositoryTest, search_pages_over_runs_of_the_chosen_namespaces_alone) {
  for (int i = 0; i < 3; ++i) {
    make_run_in("vision");
    make_run_in("text");
  }
  RunSearch search;
  search.name_spaces = {.all = false, .names = {"vision"}};
  search.max_results = 2;
  const RunPage first = tracking.runs().search(search).value();
  ASSERT_EQ(first.runs.size(), 2u);
  search.page_token = first.next_page_token;
  const RunPage second = tracking.runs().search(search).value();
  ASSERT_EQ(second.runs.size(), 1u);
  EXPECT_EQ(second.next_page_token, "");
  for (const track::Run& run : {first.runs[0], first.runs[1], second.runs[0]}) EXPECT_EQ(run.info.name_space, "vision");
  EXPECT_EQ(tracking.runs().search({})->runs.size(), 6u);
  search = {};
  search.name_spaces = {};
  EXPECT_TRUE(tracking.runs().search(search)->runs.empty());
}

TEST_F(RunRepositoryTest, heads_are_those_of_runs_that_exist) {
  const RunId run = make_run_in("vision");
  const std::vector<RunInfo> heads = tracking.runs().heads({run, {"missing"}}).value();
  ASSERT_EQ(heads.size(), 1u);
  EXPECT_EQ(heads.front().id, run);
  EXPECT_TRUE(tracking.runs().heads({})->empty());
}

TEST_F(RunRepositoryTest, search_filters_and_orders) {
  for (const int i : {1, 2, 3}) {
    const RunId run = make_run({{"mlflow.runName", "r" + std::to_string(i)}, {"team", i == 2 ? "b" : "a"}});
    if (i != 3) {
      ASSERT_TRUE(log_metric(run, "loss", {1.0 / i, 0, 0}).ok());
    }
    ASSERT_TRUE(log_param(run, "depth", std::to_string(i)).ok());
  }
  EXPECT_EQ(found("metrics.loss < 0.75"), (std::vector<std::string>{"r2"}));
  EXPECT_EQ(found("params.depth = '3' AND tags.team = 'a'"), (std::vector<std::string>{"r3"}));
  EXPECT_EQ(found("run_name LIKE 'r%'", {"metrics.loss ASC"}), (std::vector<std::string>{"r2", "r1", "r3"}));
  EXPECT_EQ(found("", {"metrics.loss DESC"}), (std::vector<std::string>{"r1", "r2", "r3"}));
  EXPECT_EQ(found("attributes.status = 'RUNNING' and tags.none IS NULL", {"params.depth DESC"}),
            (std::vector<std::string>{"r3", "r2", "r1"}));
  RunSearch bad;
  bad.filter = "nonsense = 'x'";
  EXPECT_EQ(tracking.runs().search(bad).error().category, Category::kInvalidArgument);
  bad = {};
  bad.max_results = 0;
  EXPECT_EQ(tracking.runs().search(bad).error().message,
            "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer");
}

TEST_F(RunRepositoryTest, pages_cover_everything_once) {
  for (int i = 0; i < 7; ++i) make_run();
  RunSearch search;
  search.max_results = 3;
  std::size_t total = 0;
  for (int pages = 1;; ++pages) {
    const RunPage page = tracking.runs().search(search).value();
    total += page.runs.size();
    search.page_token = page.next_page_token;
    if (!search.page_token.empty()) continue;
    EXPECT_EQ(pages, 3);
    break;
  }
  EXPECT_EQ(total, 7u);
  search.page_token = "!";
  EXPECT_EQ(tracking.runs().search(search).error().message, "Invalid page token, could not base64-decode");
  EXPECT_EQ(page_offset(page_token(12345)).value(), 12345u);
}

TEST(NormalPath, dots_and_double_slashes_go) {
  EXPECT_EQ(normal_path("a//b/./c/.."), "a/b");
  EXPECT_EQ(normal_path("../a"), "../a");
  EXPECT_EQ(normal_path("/../a"), "/a");
  EXPECT_EQ(normal_path("a/.."), ".");
}

}  // namespace
}  // namespace trainyard::track
