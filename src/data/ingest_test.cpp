#include "data/ingest.h"

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "data/testing/fake_publisher.h"
#include "data/testing/fake_table_io.h"
#include "data/testing/sample_files.h"
#include "store/testing/fake_object_store.h"
#include "store/testing/faulty_object_store.h"

namespace trainyard::data {
namespace {

using testing::TinyImage;

class IngestTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::vector<TinyImage> train{{1, {0, 1, 2, 3}}, {2, {4, 5, 6, 7}}, {3, {1, 1, 1, 1}}};
    const std::vector<TinyImage> test{{4, {9, 9, 9, 9}}};
    config.dataset = "tiny";
    config.image = Document::array({2, 2});
    add_images("train", train);
    add_images("test", test);
    add_csv("5,1,2,3,4\n6,1,2,3,4\n");
    ASSERT_TRUE(make_directories(task.scratch_directory).ok());
  }
  void add_images(const std::string& split, const std::vector<TinyImage>& images) {
    SourceSettings source;
    source.path = files.write(split + "-images", testing::idx_images(images));
    source.labels = files.write(split + "-labels", testing::idx_labels(images));
    source.format = "idx_images";
    source.split = split;
    config.sources.push_back(source);
  }
  void add_csv(const std::string& rows) {
    SourceSettings source;
    source.path = files.write("extra.csv", std::string(testing::kTinyHeader) + rows);
    config.sources.push_back(source);
  }
  Result<IngestReport> run() {
    ASSIGN_OR_RETURN(const IngestPlan plan, plan_ingest(config));
    return ingest(plan, task, {tables, faulty, publisher, monitor});
  }
  std::string error_id() {
    const Result<IngestReport> report = run();
    return report.ok() ? "ok" : report.error().id;
  }
  void expect_nothing_published() {
    EXPECT_TRUE(publisher.published.empty());
    EXPECT_EQ(tables.unfinished(), 0u);
  }

  testing::SampleFiles files;
  testing::FakeTableIo tables;
  store::testing::FakeObjectStore objects;
  store::testing::FaultyObjectStore faulty{objects};
  testing::FakePublisher publisher;
  testing::FakeMonitor monitor;
  IngestConfig config;
  DataTask task{JobId(17), AttemptNumber(1), "17:data", "tiny", files.path("scratch")};
};

TEST_F(IngestTest, good_rows_of_all_sources_are_published_by_split) {
  const IngestReport report = run().value();
  EXPECT_EQ(to_json(report.document()).find("{\"in\":6,\"good\":6,\"dead\":0,\"train\":5,\"test\":1"), 0u);
  EXPECT_EQ(report.version.text(), "tiny@1/raw");
  ASSERT_EQ(publisher.published.size(), 1u);
  const VersionDraft& draft = publisher.published[0];
  EXPECT_EQ(draft.idempotency_key, "17:data");
  ASSERT_EQ(draft.files.size(), 2u);
  EXPECT_EQ(draft.files[0].role, "parquet:train");
  EXPECT_EQ(draft.files[0].rows, 5);
  EXPECT_EQ(draft.files[1].role, "parquet:test");
  const Document& sources = draft.properties["sources"];
  ASSERT_EQ(sources.items().size(), 3u);
  EXPECT_EQ(*sources.items()[2].string_at("sha256"), sha256_hex(read_file(config.sources[2].path).value()));
  EXPECT_EQ(*sources.items()[0].int_at("rows"), 3);
}

TEST_F(IngestTest, same_rows_in_another_order_have_the_same_content_hash) {
  const std::string hash = run()->content_hash;
  std::swap(config.sources[0], config.sources[2]);
  EXPECT_EQ(run()->content_hash, hash);
}

TEST_F(IngestTest, malformed_rows_within_the_budget_become_dead_letters) {
  config.sources.pop_back();
  add_csv("5,1,2,3,4\nbroken\n");
  config.dead_letter_budget = 0.2;
  const IngestReport report = run().value();
  EXPECT_EQ(report.in, 6);
  EXPECT_EQ(report.good, 5);
  EXPECT_EQ(report.dead, 1);
  const VersionDraft& draft = publisher.published.at(0);
  EXPECT_EQ(draft.files.back().role, "dead_letters");
  EXPECT_EQ(draft.files.back().rows, 1);
}

TEST_F(IngestTest, malformed_rows_beyond_the_budget_fail_the_task) {
  config.sources.pop_back();
  add_csv("5,1,2,3,4\nbroken\n");
  const Error error = run().error();
  EXPECT_EQ(error.id, "data.dead_letter_budget");
  EXPECT_NE(error.message.find("extra.csv line 3: column_count"), std::string::npos);
  expect_nothing_published();
  EXPECT_TRUE(objects.names().empty());
}

TEST_F(IngestTest, budget_counts_the_rows_of_all_sources) {
  config.sources.pop_back();
  std::vector<TinyImage> many(495, TinyImage{1, {1, 2, 3, 4}});
  add_images("train", many);
  add_csv("x\nx\nx\nx\nx\n");
  EXPECT_EQ(error_id(), "ok") << "5 of 504 are within 1 %";
  add_csv("x\nx\nx\nx\nx\nx\n");
  EXPECT_EQ(error_id(), "data.dead_letter_budget");
}

TEST_F(IngestTest, missing_file_fails_before_anything_is_stored) {
  config.sources[1].labels = files.path("nowhere");
  EXPECT_EQ(error_id(), "data.missing_file");
  expect_nothing_published();
}

TEST_F(IngestTest, wrong_checksum_is_named_even_if_the_file_is_broken_too) {
  config.sources[0].sha256 = std::string(64, '0');
  EXPECT_EQ(error_id(), "data.checksum");
  files.write("train-images", "cut off");
  EXPECT_EQ(error_id(), "data.checksum");
  config.sources[0].sha256 = "";
  EXPECT_EQ(error_id(), "data.idx");
  expect_nothing_published();
}

TEST_F(IngestTest, right_checksum_passes) {
  config.sources[0].sha256 = sha256_hex(read_file(config.sources[0].path).value());
  config.sources[0].labels_sha256 = sha256_hex(read_file(config.sources[0].labels).value());
  EXPECT_EQ(error_id(), "ok");
}

TEST_F(IngestTest, full_disk_publishes_nothing_and_the_next_run_succeeds) {
  tables.fail_append(2);
  EXPECT_EQ(error_id(), "io.disk_full");
  expect_nothing_published();
  EXPECT_EQ(error_id(), "ok");
}

TEST_F(IngestTest, store_that_fails_publishes_nothing_and_the_next_run_succeeds) {
  faulty.fail_call(2);
  EXPECT_EQ(error_id(), "store.injected");
  expect_nothing_published();
  EXPECT_EQ(error_id(), "ok");
  EXPECT_EQ(publisher.published.size(), 1u);
}

TEST_F(IngestTest, crash_after_publication_publishes_no_second_version) {
  ASSERT_EQ(error_id(), "ok");
  task.attempt = AttemptNumber(2);
  EXPECT_EQ(run()->version.text(), "tiny@1/raw");
  EXPECT_EQ(publisher.published.size(), 1u);
}

TEST_F(IngestTest, stop_request_ends_the_task_without_a_version) {
  monitor.stop = true;
  EXPECT_EQ(error_id(), "etl.stopped");
  expect_nothing_published();
}

TEST(IngestPlanTest, idx_labels_source_is_paired_by_split) {
  IngestConfig config;
  config.sources.resize(4);
  config.sources[0] = {.path = "a-images", .format = "idx_images", .split = "train", .labels = "", .sha256 = "", .labels_sha256 = ""};
  config.sources[1] = {.path = "a-labels", .format = "idx_labels", .split = "train", .labels = "", .sha256 = "", .labels_sha256 = ""};
  config.sources[2] = {.path = "b-labels", .format = "idx_labels", .split = "test", .labels = "", .sha256 = "", .labels_sha256 = ""};
  config.sources[3] = {.path = "b-images", .format = "idx_images", .split = "test", .labels = "", .sha256 = "", .labels_sha256 = ""};
  const IngestPlan plan = plan_ingest(config).value();
  ASSERT_EQ(plan.sources.size(), 2u);
  EXPECT_EQ(plan.sources[0].labels, "a-labels");
  EXPECT_EQ(plan.sources[1].labels, "b-labels");
  EXPECT_EQ(plan.sources[1].split, Split::kTest);
  config.sources.pop_back();
  config.sources[1].split = "test";
  EXPECT_EQ(plan_ingest(config).error().where, "/config/sources/0/labels");
}

TEST(IngestPlanTest, faulty_configuration_is_refused_with_its_place) {
  IngestConfig config;
  EXPECT_EQ(plan_ingest(config).error().id, "ingest.sources");
  config.sources.resize(1);
  config.sources[0].path = "x.csv";
  EXPECT_TRUE(plan_ingest(config).ok());
  config.image = Document::array({28});
  EXPECT_EQ(plan_ingest(config).error().id, "ingest.image");
  config.image = Document();
  config.sources[0].sha256 = "abc";
  EXPECT_EQ(plan_ingest(config).error().where, "/config/sources/0/sha256");
}

}  // namespace
}  // namespace trainyard::data
