#include "data/catalog.h"

#include <gtest/gtest.h>

#include "adapters/sqlite/testing/temporary_database.h"
#include "base/testing/fake_clock.h"
#include "data/synthetic.h"

namespace trainyard::data {
namespace {

const std::string kHash(32, 'a');

VersionDraft draft_for(const std::string& name, DatasetLayer layer, const std::string& key) {
  VersionDraft draft;
  draft.name = name;
  draft.layer = layer;
  draft.idempotency_key = key;
  draft.job = JobId(17);
  draft.attempt = AttemptNumber(2);
  draft.schema = {{"label", "uint8"}, {"pixels", "uint8[1,28,28]"}};
  draft.rows = 5;
  draft.content_hash = kHash;
  draft.files = {{"ty://datasets/x.parquet", 100, "xxh3:" + kHash, "parquet:train", 3},
                 {"ty://packs/y.pack", 200, "xxh3:" + kHash, "pack:test", 2}};
  draft.properties = Document::object();
  draft.properties.set("classes", 10);
  return draft;
}

class CatalogTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store::migrate(files.database(), "catalog", catalog_migrations()).ok()); }
  DatasetVersionKey publish(const VersionDraft& draft) { return catalog.publish(draft).value().version.key(); }

  adapters::sqlite::testing::TemporaryDatabase files;
  trainyard::testing::FakeClock clock;
  CatalogRepository catalog{files.database(), clock};
};

TEST_F(CatalogTest, published_version_reads_back_whole) {
  publish(draft_for("fashion", DatasetLayer::kRaw, "17:data"));
  const DatasetVersion version = catalog.get({"fashion", std::nullopt, DatasetLayer::kRaw}).value();
  EXPECT_EQ(version.version, 1);
  EXPECT_EQ(version.created_at, clock.now());
  EXPECT_EQ(to_json(to_document(version.draft)), to_json(to_document(draft_for("fashion", DatasetLayer::kRaw, "17:data"))));
  EXPECT_EQ(version.files_with_role("pack:test").size(), 1u);
}

TEST_F(CatalogTest, same_key_again_returns_the_first_version) {
  publish(draft_for("fashion", DatasetLayer::kRaw, "17:data"));
  VersionDraft again = draft_for("fashion", DatasetLayer::kRaw, "17:data");
  again.rows = 99;
  const CatalogRepository::Published published = catalog.publish(again).value();
  EXPECT_FALSE(published.created);
  EXPECT_EQ(published.version.version, 1);
  EXPECT_EQ(published.version.draft.rows, 5);
  EXPECT_EQ(catalog.versions("fashion").value().size(), 1u);
}

TEST_F(CatalogTest, what_is_made_from_synthetic_rows_is_synthetic) {
  VersionDraft made_up = draft_for("fashion", DatasetLayer::kRaw, "synthetic:fashion");
  made_up.properties.set("synthetic", true);
  const DatasetVersionKey parent = publish(made_up);
  VersionDraft child = draft_for("fashion", DatasetLayer::kCurated, "17:data");
  child.parents = {{parent}};
  publish(child);
  EXPECT_TRUE(is_synthetic(catalog.get({"fashion", std::nullopt, DatasetLayer::kCurated}).value().draft));
}

TEST_F(CatalogTest, real_version_may_follow_a_synthetic_one_with_another_schema) {
  VersionDraft made_up = draft_for("fashion", DatasetLayer::kCurated, "synthetic:fashion");
  made_up.properties.set("synthetic", true);
  publish(made_up);
  VersionDraft real = draft_for("fashion", DatasetLayer::kCurated, "17:data");
  real.schema = {{"text", "string"}};
  EXPECT_EQ(publish(real).version, 2);
  EXPECT_FALSE(is_synthetic(catalog.get({"fashion", std::nullopt, DatasetLayer::kCurated}).value().draft));
}

TEST_F(CatalogTest, key_of_another_dataset_is_refused) {
  publish(draft_for("fashion", DatasetLayer::kRaw, "17:data"));
  EXPECT_EQ(catalog.publish(draft_for("other", DatasetLayer::kRaw, "17:data")).error().id, "catalog.key_reused");
  EXPECT_EQ(catalog.publish(draft_for("fashion", DatasetLayer::kCurated, "17:data")).error().id, "catalog.key_reused");
}

TEST_F(CatalogTest, versions_count_in_each_layer) {
  EXPECT_EQ(publish(draft_for("fashion", DatasetLayer::kRaw, "1")).text(), "fashion@1/raw");
  EXPECT_EQ(publish(draft_for("fashion", DatasetLayer::kRaw, "2")).text(), "fashion@2/raw");
  EXPECT_EQ(publish(draft_for("fashion", DatasetLayer::kCurated, "3")).text(), "fashion@1/curated");
  EXPECT_EQ(catalog.get({"fashion", 1, DatasetLayer::kRaw}).value().draft.idempotency_key, "1");
  EXPECT_EQ(catalog.get({"fashion", std::nullopt, DatasetLayer::kRaw}).value().version, 2);
}

TEST_F(CatalogTest, missing_version_names_what_there_is) {
  publish(draft_for("fashion", DatasetLayer::kRaw, "1"));
  const Error version = catalog.get({"fashion", 4, DatasetLayer::kRaw}).error();
  EXPECT_EQ(version.id, "catalog.unknown_version");
  EXPECT_NE(version.message.find("fashion@1/raw"), std::string::npos);
  const Error dataset = catalog.get({"fashon", std::nullopt, DatasetLayer::kRaw}).error();
  EXPECT_EQ(dataset.id, "catalog.unknown_dataset");
  EXPECT_NE(dataset.message.find("did you mean \"fashion\""), std::string::npos);
  EXPECT_EQ(catalog.versions("nothing").error().id, "catalog.unknown_dataset");
}

TEST_F(CatalogTest, conflicting_schema_is_refused_and_leaves_nothing) {
  publish(draft_for("fashion", DatasetLayer::kRaw, "1"));
  VersionDraft other = draft_for("fashion", DatasetLayer::kRaw, "2");
  other.schema[1].type = "uint8[1,32,32]";
  EXPECT_EQ(catalog.publish(other).error().id, "catalog.schema_conflict");
  EXPECT_EQ(catalog.versions("fashion").value().size(), 1u);
}

TEST_F(CatalogTest, lineage_leads_up_and_down) {
  const DatasetVersionKey raw = publish(draft_for("fashion", DatasetLayer::kRaw, "1"));
  VersionDraft processed_draft = draft_for("fashion", DatasetLayer::kProcessed, "2");
  processed_draft.parents = {{raw}};
  const DatasetVersionKey processed = publish(processed_draft);
  VersionDraft curated_draft = draft_for("fashion", DatasetLayer::kCurated, "3");
  curated_draft.parents = {{processed}};
  const DatasetVersionKey curated = publish(curated_draft);

  const Lineage of_processed = catalog.lineage(processed).value();
  EXPECT_EQ(of_processed.parents, (std::vector<LineageEdge>{{raw, processed, JobId(17), AttemptNumber(2)}}));
  EXPECT_EQ(of_processed.children, (std::vector<LineageEdge>{{processed, curated, JobId(17), AttemptNumber(2)}}));
  EXPECT_EQ(catalog.lineage(curated).value().ancestors, (std::vector<DatasetVersionKey>{raw, processed}));
  EXPECT_EQ(catalog.get({"fashion", std::nullopt, DatasetLayer::kCurated}).value().draft.parents, curated_draft.parents);
}

TEST_F(CatalogTest, unknown_parent_is_refused_and_leaves_nothing) {
  VersionDraft draft = draft_for("fashion", DatasetLayer::kCurated, "1");
  draft.parents = {{{"fashion", DatasetLayer::kRaw, 3}}};
  EXPECT_EQ(catalog.publish(draft).error().id, "catalog.unknown_parent");
  EXPECT_TRUE(catalog.list().value().empty());
}

TEST_F(CatalogTest, list_shows_the_newest_version_of_each_layer) {
  publish(draft_for("b", DatasetLayer::kRaw, "1"));
  publish(draft_for("b", DatasetLayer::kRaw, "2"));
  publish(draft_for("b", DatasetLayer::kCurated, "3"));
  publish(draft_for("a", DatasetLayer::kRaw, "4"));
  const std::vector<DatasetSummary> list = catalog.list().value();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].name, "a");
  ASSERT_EQ(list[1].layers.size(), 2u);
  EXPECT_EQ(list[1].layers[0].layer, DatasetLayer::kRaw);
  EXPECT_EQ(list[1].layers[0].latest, 2);
  EXPECT_EQ(list[1].layers[1].layer, DatasetLayer::kCurated);
}

TEST_F(CatalogTest, restart_finds_what_was_published) {
  publish(draft_for("fashion", DatasetLayer::kRaw, "1"));
  files.reopen();
  ASSERT_TRUE(store::migrate(files.database(), "catalog", catalog_migrations()).ok());
  CatalogRepository reopened(files.database(), clock);
  EXPECT_EQ(reopened.get({"fashion", 1, DatasetLayer::kRaw}).value().draft.rows, 5);
}

}  // namespace
}  // namespace trainyard::data
