#include "track/model_registry.h"

#include <gtest/gtest.h>

#include "track/testing/tracking_fixture.h"

namespace trainyard::track {
namespace {

class ModelRegistryTest : public testing::TrackingTest {
 protected:
  ModelRegistry& models() { return tracking.models(); }

  NewModelVersion version_of(const std::string& model) {
    NewModelVersion version;
    version.model = model;
    version.source = "ty://models/x.onnx";
    version.create_model = true;
    return version;
  }
  std::int64_t add_version(const std::string& model) {
    const auto created = models().create_version(version_of(model));
    EXPECT_TRUE(created.ok()) << (created.ok() ? "" : created.error().describe());
    return created.ok() ? created->version : 0;
  }
};

TEST_F(ModelRegistryTest, versions_are_dense_and_never_reused) {
  EXPECT_EQ(add_version("m"), 1);
  EXPECT_EQ(add_version("m"), 2);
  ASSERT_TRUE(models().delete_version({"m", 2}).ok());
  EXPECT_EQ(models().get_version({"m", 2}).error().message, "Model Version (name=m, version=2) not found");
  EXPECT_EQ(add_version("m"), 3);
  EXPECT_EQ(add_version("n"), 1);
}

TEST_F(ModelRegistryTest, version_keeps_its_run_and_dataset) {
  const RunId run = make_run({{"trainyard.dataset", "fashion@3/curated"}});
  NewModelVersion version = version_of("m");
  version.run = run;
  const ModelVersion created = models().create_version(version).value();
  EXPECT_EQ(created.run, run);
  EXPECT_EQ(created.dataset, "fashion@3/curated");
  EXPECT_EQ(created.stage, "None");
  version.run = {"missing"};
  EXPECT_EQ(models().create_version(version).error().message, "Run with id=missing not found");
}

TEST_F(ModelRegistryTest, model_of_a_synthetic_run_is_refused) {
  NewModelVersion version = version_of("m");
  version.run = make_run({{"synthetic", "true"}});
  EXPECT_EQ(models().create_version(version).error().id, "registry.synthetic");
  EXPECT_EQ(models().get_model("m").error().category, Category::kNotFound);
  version.run = make_run({{"synthetic", "false"}});
  EXPECT_TRUE(models().create_version(version).ok());
}

TEST_F(ModelRegistryTest, same_idempotency_key_gives_the_same_version) {
  NewModelVersion version = version_of("m");
  version.idempotency_key = "17:model";
  EXPECT_EQ(models().create_version(version)->version, 1);
  EXPECT_EQ(models().create_version(version)->version, 1);
  version.model = "other";
  EXPECT_EQ(models().create_version(version).error().id, "registry.key_reused");
}

TEST_F(ModelRegistryTest, source_must_belong_to_the_run) {
  const RunId run = make_run();
  NewModelVersion version = version_of("m");
  version.run = run;
  const auto verdict = [&](const std::string& source) {
    version.source = source;
    const auto created = models().create_version(version);
    return created.ok() ? "accepted" : created.error().id;
  };
  EXPECT_EQ(verdict("mlflow-artifacts:/0/" + run.text + "/artifacts/model"), "accepted");
  EXPECT_EQ(verdict("mlflow-artifacts:/0/other/artifacts/model"), "registry.source");
  EXPECT_EQ(verdict("mlflow-artifacts:/0/" + run.text + "/artifacts/%2e%2e/x"), "track.path");
  EXPECT_EQ(verdict("runs:/" + run.text + "/model"), "accepted");
  EXPECT_EQ(verdict("runs:/other/model"), "registry.source");
  EXPECT_EQ(verdict("/etc/passwd"), "registry.source");
  EXPECT_EQ(verdict("file:///etc/passwd"), "registry.source");
  EXPECT_EQ(verdict("s3://bucket/model"), "accepted");
  EXPECT_EQ(verdict(""), "track.missing");
}

TEST_F(ModelRegistryTest, alias_moves_and_goes_with_its_version) {
  add_version("m");
  add_version("m");
  ASSERT_TRUE(models().set_alias({"m", 1}, "champion").ok());
  ASSERT_TRUE(models().set_alias({"m", 2}, "champion").ok());
  EXPECT_EQ(models().version_of_alias("m", "champion")->version, 2);
  EXPECT_EQ(models().get_model("m")->aliases.size(), 1u);
  ASSERT_TRUE(models().delete_version({"m", 2}).ok());
  EXPECT_EQ(models().version_of_alias("m", "champion").error().message, "Registered model alias champion not found.");
  EXPECT_EQ(models().version_of_alias("m", "Latest")->version, 1);
  EXPECT_TRUE(models().delete_alias("m", "none").ok());
}

TEST_F(ModelRegistryTest, reserved_names_are_refused) {
  add_version("m");
  EXPECT_EQ(models().set_alias({"m", 1}, "LATEST").error().message, "'latest' alias name (case insensitive) is reserved.");
  EXPECT_EQ(models().set_alias({"m", 1}, "v1").error().message, "Version alias name 'v1' is reserved.");
  EXPECT_EQ(models().set_alias({"m", 1}, "a b").error().category, Category::kInvalidArgument);
  EXPECT_EQ(models().create_model("a/b", "", {}).error().message, "Invalid model name 'a/b'. Names cannot contain '/' or ':'.");
  EXPECT_EQ(models().create_model("m", "", {}).error().message, "Registered Model (name=m) already exists.");
  EXPECT_EQ(models().get_model("n").error().message, "Registered Model with name=n not found");
}

TEST_F(ModelRegistryTest, renaming_takes_everything_along_and_deleting_removes_it) {
  add_version("m");
  ASSERT_TRUE(models().set_alias({"m", 1}, "champion").ok());
  ASSERT_TRUE(models().set_model_tag("m", {"k", "v"}).ok());
  ASSERT_TRUE(models().set_version_tag({"m", 1}, {"k", "v"}).ok());
  const RegisteredModel renamed = models().rename_model("m", "n").value();
  EXPECT_EQ(renamed.tags.size(), 1u);
  EXPECT_EQ(models().version_of_alias("n", "champion")->tags.size(), 1u);
  ASSERT_TRUE(models().delete_model("n").ok());
  EXPECT_EQ(models().get_version({"n", 1}).error().category, Category::kNotFound);
  EXPECT_EQ(add_version("n"), 1);
}

TEST_F(ModelRegistryTest, stages_move_and_archive) {
  add_version("m");
  add_version("m");
  EXPECT_EQ(models().set_stage({"m", 1}, "production", false)->stage, "Production");
  EXPECT_EQ(models().set_stage({"m", 2}, "Production", true)->stage, "Production");
  EXPECT_EQ(models().get_version({"m", 1})->stage, "Archived");
  EXPECT_EQ(models().latest_versions("m", {"production"})->front().version, 2);
  EXPECT_EQ(models().set_stage({"m", 1}, "x", false).error().message,
            "Invalid Model Version stage: x. Value must be one of None, Staging, Production, Archived.");
  EXPECT_EQ(models().set_stage({"m", 1}, "None", true).error().category, Category::kInvalidArgument);
}

TEST_F(ModelRegistryTest, searches_find_models_and_versions) {
  add_version("m1");
  add_version("m2");
  add_version("m2");
  ASSERT_TRUE(models().set_version_tag({"m2", 1}, {"team", "a"}).ok());
  const auto versions = [&](const std::string& filter) {
    RegistrySearch search;
    search.filter = filter;
    return models().search_versions(search).value().versions.size();
  };
  EXPECT_EQ(versions("name = 'm2'"), 2u);
  EXPECT_EQ(versions("name = 'm2' AND tags.team = 'a'"), 1u);
  EXPECT_EQ(versions("version_number > 1"), 1u);
  RegistrySearch search;
  search.filter = "tag.`mlflow.prompt.is_prompt` != 'true' AND name LIKE 'm%'";
  search.max_results = 1;
  const ModelPage page = models().search_models(search).value();
  ASSERT_EQ(page.models.size(), 1u);
  EXPECT_EQ(page.models[0].name, "m1");
  search.page_token = page.next_page_token;
  EXPECT_EQ(models().search_models(search)->models[0].name, "m2");
  search.filter = "unknown = 'x'";
  EXPECT_FALSE(models().search_models(search).ok());
}

}  // namespace
}  // namespace trainyard::track
