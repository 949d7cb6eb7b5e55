#include "data/curate.h"

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "data/image_table.h"
#include "data/pack.h"
#include "data/stored_file.h"
#include "data/testing/fake_publisher.h"
#include "data/testing/fake_table_io.h"
#include "data/testing/sample_files.h"
#include "store/testing/fake_object_store.h"
#include "store/testing/faulty_object_store.h"

namespace trainyard::data {
namespace {

using testing::kTinyLayout;

class CurateTest : public ::testing::Test {
 protected:
  /// Rows are told apart by their first pixel.
  void add_table(Split split, const std::vector<int>& contents) {
    RecordBatch batch;
    for (const int content : contents) {
      batch.records.insert(batch.records.end(), {std::byte{1}, static_cast<std::byte>(content), std::byte{0}, std::byte{0}, std::byte{0}});
      batch.sources.push_back(static_cast<std::int64_t>(input.tables.size()));
      batch.offsets.push_back(static_cast<std::int64_t>(batch.offsets.size()));
    }
    const std::string path = files.path("raw-" + std::to_string(input.tables.size()));
    auto writer = tables.create(path, image_table_schema(kTinyLayout), {}).value();
    ASSERT_TRUE(writer->append(table_from(batch, kTinyLayout)).ok());
    ASSERT_TRUE(writer->finish().ok());
    input.tables.push_back({path, static_cast<std::int64_t>(file_size(path).value()), checksum_file(path).value(), split,
                            static_cast<std::int64_t>(contents.size())});
  }
  void SetUp() override {
    input.version = {"tiny", DatasetLayer::kRaw, 3};
    input.layout = kTinyLayout;
    input.dead = 2;
    add_table(Split::kTrain, {10, 11, 12, 10, 20});
    add_table(Split::kTest, {20, 21, 21});
    add_table(Split::kTrain, {11, 13, 14, 15, 16, 17, 18, 19});
    ASSERT_TRUE(make_directories(task.scratch_directory).ok());
  }
  Result<CurateReport> run() { return curate(input, config, task, {tables, faulty, publisher, monitor}); }
  std::string error_id() {
    const Result<CurateReport> report = run();
    return report.ok() ? "ok" : report.error().id;
  }
  std::string bytes_of(const DatasetFile& file) {
    return store::read_object(objects, store::parse_object_uri(file.uri).value(), 1 << 20).value();
  }

  testing::SampleFiles files;
  testing::FakeTableIo tables;
  store::testing::FakeObjectStore objects;
  store::testing::FaultyObjectStore faulty{objects};
  testing::FakePublisher publisher;
  testing::FakeMonitor monitor;
  CurateInput input;
  CurateConfig config{.dataset = "tiny", .validation_fraction = 0.3, .seed = 1, .drop_train_equal_to_test = true};
  DataTask task{JobId(18), AttemptNumber(1), "18:data", "tiny", files.path("scratch")};
};

TEST_F(CurateTest, counts_are_exact_and_add_up) {
  const CurateReport report = run().value();
  EXPECT_EQ(report.in, 18);
  EXPECT_EQ(report.good, 16);
  EXPECT_EQ(report.dead, 2);
  EXPECT_EQ(report.dropped_duplicates, 2);
  EXPECT_EQ(report.dropped_test_overlap, 1);
  EXPECT_EQ(report.kept, 13);
  EXPECT_EQ(report.test, 3);
  EXPECT_EQ(report.train + report.validation, 10);
  EXPECT_GT(report.validation, 0);
}

TEST_F(CurateTest, two_layers_are_published_with_lineage) {
  ASSERT_EQ(error_id(), "ok");
  ASSERT_EQ(publisher.published.size(), 2u);
  const VersionDraft& processed = publisher.published[0];
  const VersionDraft& curated = publisher.published[1];
  EXPECT_EQ(processed.layer, DatasetLayer::kProcessed);
  EXPECT_EQ(processed.parents.at(0).key.text(), "tiny@3/raw");
  EXPECT_EQ(processed.rows, 13);
  EXPECT_EQ(processed.files.back().role, "drop_list");
  EXPECT_EQ(processed.files.back().rows, 3);
  EXPECT_EQ(curated.layer, DatasetLayer::kCurated);
  EXPECT_EQ(curated.parents.at(0).key.text(), "tiny@1/processed");
  EXPECT_EQ(curated.rows, 13);
  EXPECT_EQ(curated.idempotency_key, "18:data");
  std::vector<std::string> roles;
  for (const DatasetFile& file : curated.files) roles.push_back(file.role);
  EXPECT_EQ(roles, (std::vector<std::string>{"parquet:train", "parquet:validation", "parquet:test", "pack:train", "pack:validation",
                                             "pack:test"}));
}

TEST_F(CurateTest, packs_hold_the_rows_of_their_split_in_order) {
  ASSERT_EQ(error_id(), "ok");
  std::string contents;
  for (const DatasetFile& file : publisher.published.at(1).files) {
    if (!file.role.starts_with("pack:")) continue;
    const PackReader pack = PackReader::open(files.write("x.pack", bytes_of(file))).value();
    ASSERT_TRUE(pack.verify().ok());
    ASSERT_EQ(pack.rows(), file.rows);
    EXPECT_EQ(pack.header().fields[1].shape, (std::vector<std::int64_t>{1, 2, 2}));
    EXPECT_EQ(file.uri, "ty://packs/" + file.checksum.substr(5) + ".pack");
    for (std::int64_t i = 0; i < pack.rows(); ++i) contents += static_cast<char>(pack.record(i)[1]);
  }
  ASSERT_EQ(contents.size(), 13u);
  EXPECT_EQ(contents.substr(10), std::string({20, 21, 21}));
  std::sort(contents.begin(), contents.begin() + 10);
  EXPECT_EQ(contents.substr(0, 10), std::string({10, 11, 12, 13, 14, 15, 16, 17, 18, 19}));
}

TEST_F(CurateTest, second_run_makes_the_same_objects_and_no_second_version) {
  const CurateReport first = run().value();
  const std::size_t count = objects.names().size();
  const CurateReport second = run().value();
  EXPECT_EQ(to_json(first.document()), to_json(second.document()));
  EXPECT_EQ(publisher.published.size(), 2u);
  std::size_t packs = 0;
  for (const store::ObjectName& name : objects.names()) packs += name.text.starts_with("packs/") ? 1 : 0;
  EXPECT_EQ(packs, 3u);
  EXPECT_GE(objects.names().size(), count);
}

TEST_F(CurateTest, failure_between_the_two_publications_is_repaired_by_the_next_run) {
  publisher.fail_publication(2);
  EXPECT_EQ(error_id(), "net.connect");
  EXPECT_EQ(publisher.published.size(), 1u);
  EXPECT_EQ(error_id(), "ok");
  ASSERT_EQ(publisher.published.size(), 2u);
  EXPECT_EQ(publisher.published[1].parents.at(0).key.text(), "tiny@1/processed");
}

TEST_F(CurateTest, every_failing_store_call_publishes_nothing) {
  for (int call = 1; call <= 9; ++call) {
    faulty.fail_call(call);
    EXPECT_EQ(error_id(), "store.injected") << call;
    EXPECT_TRUE(publisher.published.empty()) << call;
  }
  EXPECT_EQ(error_id(), "ok");
}

TEST_F(CurateTest, damaged_input_is_refused) {
  input.tables[0].checksum = "xxh3:" + std::string(32, '0');
  EXPECT_EQ(error_id(), "data.damaged_file");
  EXPECT_TRUE(publisher.published.empty());
}

TEST_F(CurateTest, label_outside_the_classes_is_refused) {
  input.layout.classes = 1;
  EXPECT_EQ(error_id(), "data.label");
}

TEST_F(CurateTest, without_validation_rows_there_is_no_validation_file) {
  config.validation_fraction = 0;
  EXPECT_EQ(run()->validation, 0);
  EXPECT_EQ(publisher.published.at(1).files.size(), 4u);
}

TEST_F(CurateTest, stop_request_ends_the_task_without_a_version) {
  monitor.stop = true;
  EXPECT_EQ(error_id(), "etl.stopped");
  EXPECT_TRUE(publisher.published.empty());
}

}  // namespace
}  // namespace trainyard::data
