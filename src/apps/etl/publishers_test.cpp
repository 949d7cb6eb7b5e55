#include "apps/etl/publishers.h"

#include <gtest/gtest.h>

#include "apps/etl/etl_job.h"
#include "base/file.h"
#include "base/testing/fake_clock.h"

namespace trainyard::apps {
namespace {

data::VersionDraft tiny_draft(const std::string& key) {
  data::VersionDraft draft;
  draft.name = "tiny";
  draft.layer = DatasetLayer::kRaw;
  draft.idempotency_key = key;
  draft.schema = {{"label", "uint8"}};
  draft.content_hash = std::string(32, '0');
  draft.files = {{"ty://a/b", 1, "xxh3:" + std::string(32, '0'), "parquet:train", 1}};
  return draft;
}

TEST(FilePublisherTest, key_publishes_once_and_versions_count_up) {
  const std::string directory = make_temporary_directory("trainyard-publisher-").value();
  const testing::FakeClock clock;
  FilePublisher publisher(directory, clock);
  EXPECT_EQ(publisher.publish(tiny_draft("1"))->text(), "tiny@1/raw");
  EXPECT_EQ(publisher.publish(tiny_draft("2"))->text(), "tiny@2/raw");
  EXPECT_EQ(publisher.publish(tiny_draft("1"))->text(), "tiny@1/raw");
  EXPECT_EQ(list_directory(directory + "/tiny/raw").value(), (std::vector<std::string>{"1.json", "2.json"}));
  const data::DatasetVersion written =
      data::dataset_version_from(parse_json(read_file(directory + "/tiny/raw/2.json").value()).value()).value();
  EXPECT_EQ(written.draft.idempotency_key, "2");
  EXPECT_TRUE(remove_tree(directory).ok());
}

TEST(ApiPublisherTest, server_that_stays_away_is_an_error_after_the_patience) {
  runner::StopSignal stop = runner::StopSignal::install().value();
  const SystemClock clock;
  ApiPublisher publisher({.api_url = "http://127.0.0.1:1", .token = "x", .patience = std::chrono::milliseconds(250)}, stop, clock);
  const MonotonicPoint begin = clock.monotonic_now();
  const Result<DatasetVersionKey> published = publisher.publish(tiny_draft("1"));
  ASSERT_FALSE(published.ok());
  EXPECT_EQ(published.error().category, Category::kUnavailable);
  EXPECT_GE(clock.monotonic_now() - begin, std::chrono::milliseconds(100)) << "it tried more than once";
}

TEST(CurateInputTest, version_that_no_ingest_made_is_refused) {
  runner::InputDataset dataset;
  dataset.name = "tiny";
  dataset.layer = "curated";
  dataset.version = 1;
  EXPECT_EQ(curate_input_from(dataset).error().id, "data.input");
  dataset.layer = "raw";
  EXPECT_EQ(curate_input_from(dataset).error().id, "data.input");
  dataset.schema = parse_json(R"([{"name":"label","type":"uint8"},{"name":"pixels","type":"uint8[1,2,3]"}])").value();
  EXPECT_EQ(curate_input_from(dataset).error().id, "data.input") << "no tables";
  dataset.files = {{"ty://a/b", "/a/b", 10, "xxh3:0", "parquet:test", 4}, {"ty://a/c", "/a/c", 10, "xxh3:0", "dead_letters", 3}};
  const data::CurateInput input = curate_input_from(dataset).value();
  EXPECT_EQ(input.layout, (data::ImageLayout{.height = 2, .width = 3, .classes = 10}));
  EXPECT_EQ(input.dead, 3);
  ASSERT_EQ(input.tables.size(), 1u);
  EXPECT_EQ(input.tables[0].split, data::Split::kTest);
}

}  // namespace
}  // namespace trainyard::apps
