#include "track/experiment_repository.h"

#include <gtest/gtest.h>

#include "track/testing/tracking_fixture.h"

namespace trainyard::track {
namespace {

class ExperimentRepositoryTest : public testing::TrackingTest {
 protected:
  ExperimentId create(const std::string& name) {
    clock.advance(std::chrono::seconds(1));
    return tracking.experiments().create({name, "", {{"team", "a"}}}).value();
  }
  std::vector<std::string> found(ExperimentSearch search) {
    std::vector<std::string> names;
    const ExperimentPage page = tracking.experiments().search(search).value();
    for (const Experiment& experiment : page.experiments) names.push_back(experiment.name);
    return names;
  }
};

TEST_F(ExperimentRepositoryTest, default_experiment_is_there_and_others_count_from_one) {
  EXPECT_EQ(tracking.experiments().get({"0"})->name, "Default");
  EXPECT_EQ(create("a").text, "1");
  EXPECT_EQ(create("b").text, "2");
  EXPECT_EQ(tracking.experiments().get({"2"})->artifact_location, "mlflow-artifacts:/2");
  EXPECT_EQ(tracking.experiments().get_by_name("b")->id.text, "2");
  ASSERT_TRUE(prepare_tracking(files.database(), clock).ok());
}

TEST_F(ExperimentRepositoryTest, errors_have_the_texts_clients_know) {
  create("a");
  EXPECT_EQ(tracking.experiments().create({"a", "", {}}).error().message, "Experiment(name=a) already exists.");
  EXPECT_EQ(tracking.experiments().get({"9"}).error().message, "No Experiment with id=9 exists");
  EXPECT_EQ(tracking.experiments().get({"x"}).error().category, Category::kNotFound);
  EXPECT_EQ(tracking.experiments().get_by_name("n").error().message, "Could not find experiment with name 'n'");
  EXPECT_NE(tracking.experiments().create({"", "", {}}).error().message.find("required parameter 'name'"), std::string::npos);
  EXPECT_EQ(tracking.experiments().delete_tag({"1"}, "k").error().message, "No tag with name: k in experiment with id 1");
}

TEST_F(ExperimentRepositoryTest, deleting_takes_the_runs_along_and_keeps_the_name) {
  const ExperimentId id = create("a");
  const RunId run = make_run({}, id.text);
  ASSERT_TRUE(tracking.experiments().set_lifecycle(id, Lifecycle::kDeleted).ok());
  EXPECT_EQ(tracking.runs().get(run)->info.lifecycle, Lifecycle::kDeleted);
  EXPECT_EQ(tracking.experiments().create({"a", "", {}}).error().category, Category::kAlreadyExists);
  EXPECT_EQ(tracking.experiments().set_lifecycle(id, Lifecycle::kDeleted).error().category, Category::kNotFound);
  EXPECT_EQ(tracking.experiments().rename(id, "b").error().category, Category::kInvalidArgument);
  ASSERT_TRUE(tracking.experiments().set_lifecycle(id, Lifecycle::kActive).ok());
  EXPECT_EQ(tracking.runs().get(run)->info.lifecycle, Lifecycle::kActive);
  EXPECT_TRUE(tracking.experiments().rename(id, "b").ok());
}

TEST_F(ExperimentRepositoryTest, default_experiment_is_never_deleted) {
  EXPECT_EQ(tracking.experiments().set_lifecycle({"0"}, Lifecycle::kDeleted).error().id, "track.default_experiment");
  EXPECT_EQ(tracking.experiments().set_lifecycle({"00"}, Lifecycle::kDeleted).error().id, "track.default_experiment");
  EXPECT_EQ(tracking.experiments().get({"0"})->lifecycle, Lifecycle::kActive);
}

TEST_F(ExperimentRepositoryTest, search_filters_orders_and_pages) {
  create("apple");
  create("Avocado");
  ASSERT_TRUE(tracking.experiments().set_tag({"1"}, {"team", "b"}).ok());
  EXPECT_EQ(found({}), (std::vector<std::string>{"Avocado", "apple", "Default"}));
  EXPECT_EQ(found({.filter = "name ILIKE 'a%'", .order_by = {"name"}, .page_token = ""}), (std::vector<std::string>{"Avocado", "apple"}));
  EXPECT_EQ(found({.filter = "tags.team = 'b'", .order_by = {}, .page_token = ""}), (std::vector<std::string>{"apple"}));
  const ExperimentPage page = tracking.experiments().search({.filter = "", .order_by = {}, .max_results = 2, .page_token = ""}).value();
  EXPECT_EQ(page.experiments.size(), 2u);
  EXPECT_EQ(found({.filter = "", .order_by = {}, .max_results = 2, .page_token = page.next_page_token}),
            (std::vector<std::string>{"Default"}));
}

}  // namespace
}  // namespace trainyard::track
