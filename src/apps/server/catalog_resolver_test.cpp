#include "apps/server/catalog_resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "adapters/localfs/local_object_store.h"
#include "adapters/sqlite/testing/temporary_database.h"
#include "base/file.h"
#include "base/testing/fake_clock.h"
#include "data/synthetic.h"

namespace trainyard::apps {
namespace {

using ::testing::HasSubstr;

class CatalogResolverTest : public ::testing::Test {
 protected:
  CatalogResolverTest() { EXPECT_TRUE(store::migrate(files.database(), "catalog", data::catalog_migrations()).ok()); }
  ~CatalogResolverTest() override { (void)remove_tree(root).ok(); }

  /// Publishes the next version of "fashion" with one pack.
  void publish(DatasetLayer layer, const std::string& key) {
    store::SpanSource bytes(as_bytes(key));
    const store::ObjectInfo pack = objects->put_if_absent({"packs/" + key + ".pack"}, bytes).value();
    data::VersionDraft draft;
    draft.name = "fashion";
    draft.layer = layer;
    draft.idempotency_key = key;
    draft.schema = {{"label", "uint8"}};
    draft.rows = 7;
    draft.content_hash = std::string(32, 'a');
    draft.files.push_back({"ty://packs/" + key + ".pack", static_cast<std::int64_t>(pack.size), pack.checksum, "pack:train", 7});
    const auto published = catalog.publish(draft);
    ASSERT_TRUE(published.ok()) << published.error().describe();
  }
  Result<Document> resolve(JobSpec& spec, bool fallback = false) {
    return CatalogResolver({.catalog = catalog, .objects = *objects, .cache = root, .synthetic_fallback = fallback}).resolve(spec);
  }
  static JobSpec spec_reading(const std::string& reference) {
    JobSpec spec;
    spec.command = {"work"};
    spec.inputs["data"] = reference;
    return spec;
  }
  Error refused(JobSpec spec, bool fallback = false) {
    const Result<Document> resolved = resolve(spec, fallback);
    EXPECT_FALSE(resolved.ok());
    return resolved.ok() ? Error{} : resolved.error();
  }

  std::string root = make_temporary_directory("trainyard-resolver-").value();
  trainyard::testing::FakeClock clock;
  adapters::sqlite::testing::TemporaryDatabase files;
  data::CatalogRepository catalog{files.database(), clock};
  std::unique_ptr<store::ObjectStore> objects = adapters::localfs::make_local_object_store(root + "/objects").value();
};

TEST_F(CatalogResolverTest, newest_version_is_pinned_with_its_files_on_this_host) {
  publish(DatasetLayer::kCurated, "one");
  publish(DatasetLayer::kCurated, "two");
  publish(DatasetLayer::kRaw, "raw");
  JobSpec spec = spec_reading("fashion");
  const Document resolved = resolve(spec).value();
  EXPECT_EQ(spec.inputs["data"], "fashion@2/curated");
  const Document& input = resolved["inputs"]["data"];
  EXPECT_EQ(input["ref"].text(), "fashion@2/curated");
  ASSERT_EQ(input["files"].items().size(), 1u);
  EXPECT_EQ(input["files"].items()[0]["role"].text(), "pack:train");
  EXPECT_EQ(read_file(input["files"].items()[0]["path"].text()).value(), "two");
}

TEST_F(CatalogResolverTest, version_and_layer_that_are_named_are_taken) {
  publish(DatasetLayer::kCurated, "one");
  publish(DatasetLayer::kCurated, "two");
  publish(DatasetLayer::kRaw, "raw");
  JobSpec first = spec_reading("fashion@1/curated");
  ASSERT_TRUE(resolve(first).ok());
  EXPECT_EQ(first.inputs["data"], "fashion@1/curated");
  JobSpec raw = spec_reading("fashion@latest/raw");
  ASSERT_TRUE(resolve(raw).ok());
  EXPECT_EQ(raw.inputs["data"], "fashion@1/raw");
}

TEST_F(CatalogResolverTest, pinned_spec_resolves_to_the_same_again) {
  publish(DatasetLayer::kCurated, "one");
  JobSpec spec = spec_reading("fashion");
  const Document first = resolve(spec).value();
  publish(DatasetLayer::kCurated, "two");
  EXPECT_EQ(resolve(spec).value(), first);
}

TEST_F(CatalogResolverTest, unknown_dataset_is_an_error_at_its_place_with_the_ways_to_get_it) {
  const Error error = refused(spec_reading("cifar10"));
  EXPECT_EQ(error.id, "catalog.unknown_dataset");
  EXPECT_EQ(error.category, Category::kNotFound);
  EXPECT_EQ(error.where, "/inputs/data");
  EXPECT_THAT(error.message, HasSubstr("trainyard workflow run"));
  EXPECT_THAT(error.message, HasSubstr("/api/v1/datasets/cifar10/versions"));
  EXPECT_THAT(error.message, HasSubstr("trainyard dataset ls"));
  EXPECT_THAT(error.message, HasSubstr("--datasets.synthetic-fallback"));
}

TEST_F(CatalogResolverTest, reference_that_cannot_be_read_is_refused_at_its_place) {
  const Error input = refused(spec_reading("fashion@x/curated"));
  EXPECT_EQ(input.category, Category::kInvalidArgument);
  EXPECT_EQ(input.where, "/inputs/data");
  JobSpec spec;
  spec.outputs["data"] = "fashion/silver";
  EXPECT_EQ(refused(spec).category, Category::kInvalidArgument);
}

TEST_F(CatalogResolverTest, outputs_are_named_with_their_layer) {
  JobSpec spec;
  spec.outputs["data"] = "fashion/raw";
  EXPECT_EQ(to_json(resolve(spec).value()["outputs"]), R"({"data":{"name":"fashion","layer":"raw"}})");
}

TEST_F(CatalogResolverTest, unknown_kind_is_refused_with_the_nearest) {
  JobSpec spec;
  spec.kind = "trian";
  const Error error = refused(spec);
  EXPECT_EQ(error.id, "spec.kind");
  EXPECT_EQ(error.where, "/kind");
  EXPECT_THAT(error.message, HasSubstr("did you mean \"train\"?"));
}

TEST_F(CatalogResolverTest, stand_in_is_made_once_and_says_what_it_is) {
  JobSpec spec = spec_reading("cifar10");
  const Document resolved = resolve(spec, true).value();
  EXPECT_EQ(spec.inputs["data"], "cifar10@1/curated");
  EXPECT_EQ(resolved["inputs"]["data"]["properties"]["synthetic"].as_bool().value_or(false), true) << to_json(resolved);
  for (const Document& file : resolved["inputs"]["data"]["files"].items()) EXPECT_EQ(::access(file["path"].text().c_str(), R_OK), 0);
  JobSpec again = spec_reading("cifar10");
  EXPECT_EQ(resolve(again, true).value(), resolved);
  EXPECT_EQ(catalog.versions("cifar10")->size(), 1u);
  EXPECT_EQ(refused(spec_reading("cifar10")).id, "catalog.unknown_dataset") << "without the fallback it counts as missing";
}

TEST_F(CatalogResolverTest, check_pins_what_is_there_and_makes_nothing) {
  publish(DatasetLayer::kCurated, "one");
  const auto check = [this](JobSpec& spec, bool fallback) {
    return CatalogResolver({.catalog = catalog, .objects = *objects, .cache = root, .synthetic_fallback = fallback}).check(spec);
  };
  JobSpec known = spec_reading("fashion");
  ASSERT_TRUE(check(known, false).ok());
  EXPECT_EQ(known.inputs["data"], "fashion@1/curated");
  JobSpec made_up = spec_reading("cifar10");
  ASSERT_TRUE(check(made_up, true).ok());
  EXPECT_EQ(made_up.inputs["data"], "cifar10");
  EXPECT_EQ(catalog.list()->size(), 1u);
  for (const char* reference : {"cifar10", "cifar10@1/curated", "not a reference"}) {
    JobSpec spec = spec_reading(reference);
    const Result<void> checked = check(spec, std::string_view(reference) != "cifar10");
    ASSERT_FALSE(checked.ok()) << reference;
    EXPECT_EQ(checked.error().id, refused(spec_reading(reference), std::string_view(reference) != "cifar10").id);
    EXPECT_EQ(checked.error().where, "/inputs/data");
  }
}

TEST_F(CatalogResolverTest, stand_in_never_takes_the_place_of_real_data_or_of_a_named_version) {
  publish(DatasetLayer::kCurated, "one");
  JobSpec spec = spec_reading("fashion");
  const Document resolved = resolve(spec, true).value();
  EXPECT_EQ(resolved["inputs"]["data"]["ref"].text(), "fashion@1/curated");
  EXPECT_TRUE(resolved["inputs"]["data"]["properties"]["synthetic"].is_null());
  EXPECT_FALSE(refused(spec_reading("fashion@9/curated"), true).id.empty());
  EXPECT_FALSE(refused(spec_reading("cifar10@1/curated"), true).id.empty());
  EXPECT_FALSE(refused(spec_reading("cifar10@latest/raw"), true).id.empty());
  EXPECT_EQ(catalog.list()->size(), 1u);
}

}  // namespace
}  // namespace trainyard::apps
