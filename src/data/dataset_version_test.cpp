#include "data/dataset_version.h"

#include <gtest/gtest.h>

namespace trainyard::data {
namespace {

constexpr std::string_view kBody = R"({"layer":"curated","idempotency_key":"17:data","job_id":"17","attempt":2,
  "schema":[{"name":"label","type":"uint8"}],"rows":3,"content_hash":"0123456789abcdef0123456789abcdef",
  "parents":[{"name":"fashion","layer":"raw","version":1}],
  "files":[{"uri":"ty://packs/a.pack","size":10,"checksum":"xxh3:0123456789abcdef0123456789abcdef","role":"pack:train","rows":3}],
  "properties":{"seed":7}})";

std::string draft_error(std::string_view key, Document value) {
  Document body = parse_json(kBody).value();
  body.set(key, std::move(value));
  const Result<VersionDraft> draft = version_draft_from(body, "fashion");
  return draft.ok() ? "ok" : draft.error().id;
}

TEST(VersionDraftTest, body_reads_and_writes_the_same) {
  const Document body = parse_json(kBody).value();
  const VersionDraft draft = version_draft_from(body, "fashion").value();
  EXPECT_EQ(draft.layer, DatasetLayer::kCurated);
  EXPECT_EQ(draft.job, JobId(17));
  EXPECT_EQ(draft.attempt, AttemptNumber(2));
  EXPECT_EQ(draft.parents[0].key.text(), "fashion@1/raw");
  EXPECT_EQ(draft.files[0].role, "pack:train");
  EXPECT_EQ(to_json(to_document(draft)), to_json(body));
}

TEST(VersionDraftTest, faulty_body_is_refused) {
  EXPECT_EQ(draft_error("layer", "gold"), "spec.choice");
  EXPECT_EQ(draft_error("idempotency_key", ""), "catalog.draft");
  EXPECT_EQ(draft_error("content_hash", "xyz"), "catalog.draft");
  EXPECT_EQ(draft_error("files", Document::array()), "catalog.draft");
  EXPECT_EQ(draft_error("schema", Document::array()), "catalog.draft");
  EXPECT_EQ(draft_error("rows", -1), "spec.range");
  EXPECT_EQ(draft_error("colour", 1), "spec.unknown_key");
  EXPECT_EQ(version_draft_from(parse_json(kBody).value(), "../x").error().id, "dataset.name");
}

TEST(DatasetVersionTest, document_reads_back_equal) {
  DatasetVersion version;
  version.draft = version_draft_from(parse_json(kBody).value(), "fashion").value();
  version.version = 4;
  version.created_at = time_from_micros(1'700'000'000'000'000);
  const DatasetVersion read = dataset_version_from(to_document(version)).value();
  EXPECT_EQ(read.key().text(), "fashion@4/curated");
  EXPECT_EQ(read.created_at, version.created_at);
  EXPECT_EQ(to_json(to_document(read)), to_json(to_document(version)));
}

TEST(SchemaChangeTest, columns_may_be_added_and_widened_only) {
  const std::vector<SchemaField> before{{"a", "uint8"}, {"b", "string"}};
  EXPECT_TRUE(check_schema_change(before, before, "x").ok());
  EXPECT_TRUE(check_schema_change(before, {{"a", "int64"}, {"b", "string"}, {"c", "float"}}, "x").ok());
  EXPECT_FALSE(check_schema_change(before, {{"a", "uint8"}}, "x").ok());
  EXPECT_FALSE(check_schema_change(before, {{"b", "string"}, {"a", "uint8"}}, "x").ok());
  EXPECT_FALSE(check_schema_change(before, {{"a", "string"}, {"b", "string"}}, "x").ok());
  EXPECT_NE(check_schema_change(before, {{"a", "string"}, {"b", "string"}}, "x").error().message.find("\"a\" was uint8 and is now string"),
            std::string::npos);
}

}  // namespace
}  // namespace trainyard::data
