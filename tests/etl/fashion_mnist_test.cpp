#include <array>

#include "adapters/arrow_table/arrow_table_io.h"
#include "data/dead_letter_log.h"
#include "data/pack.h"
#include "tests/etl/etl_fixture.h"

namespace trainyard::tests {
namespace {

constexpr std::string_view kMnist = "/usr/share/datasets/fashion-mnist/";

/// The 70,000 real images and the 40 rows of examples/fashion-mnist/extra.csv.
class FashionMnistTest : public EtlTest {
 protected:
  void SetUp() override {
    if (!file_exists(std::string(kMnist) + "train-images-idx3-ubyte.gz"))
      GTEST_SKIP() << "NOT RUN: the package dataset-fashion-mnist is not installed";
  }
  static Document source(const std::string& file, const std::string& format, const std::string& split) {
    return Document::object({{"path", file.front() == 'e' ? file : std::string(kMnist) + file}, {"format", format}, {"split", split}});
  }
  static Document config() {
    return Document::object({{"dataset", "fashion"},
                             {"sources", Document::array({source("train-images-idx3-ubyte.gz", "idx_images", "train"),
                                                          source("train-labels-idx1-ubyte.gz", "idx_labels", "train"),
                                                          source("t10k-images-idx3-ubyte.gz", "idx_images", "test"),
                                                          source("t10k-labels-idx1-ubyte.gz", "idx_labels", "test"),
                                                          source("examples/fashion-mnist/extra.csv", "csv", "train")})}});
  }
  static Document curate_config() { return Document::object({{"dataset", "fashion"}, {"seed", 1}, {"validation_fraction", 0.1}}); }

  static std::string counts(const Document& result, const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : " ") + name + "=" + std::to_string(result.int_at(name).value_or(-1));
    return text;
  }

  /// Labels of a pack, counted.
  std::array<int, 10> histogram(const std::string& role) {
    const data::DatasetVersion curated = catalog.get({"fashion", std::nullopt, DatasetLayer::kCurated}).value();
    const data::PackReader pack = data::PackReader::open(object_path(curated.files_with_role(role).at(0))).value();
    EXPECT_TRUE(pack.verify().ok());
    std::array<int, 10> labels{};
    for (std::int64_t i = 0; i < pack.rows(); ++i) ++labels.at(static_cast<std::size_t>(pack.record(i).front()));
    return labels;
  }

  void expect_dead_letters(const data::DatasetVersion& raw) {
    const auto tables = adapters::arrow_table::make_arrow_table_io();
    const auto reader = tables->open(object_path(raw.files_with_role("dead_letters").at(0)), data::dead_letter_schema()).value();
    data::Table table;
    ASSERT_TRUE(reader->next(table).value());
    ASSERT_EQ(table.rows, 5u);
    EXPECT_EQ(std::get<std::vector<std::int64_t>>(table.columns[1]), (std::vector<std::int64_t>{5, 11, 19, 28, 36}));
    EXPECT_EQ(std::get<std::vector<std::string>>(table.columns[3]),
              (std::vector<std::string>{"column_count", "not_a_number", "out_of_range", "bad_quote", "invalid_utf8"}));
    EXPECT_EQ(std::get<std::vector<std::string>>(table.columns[4]), (std::vector<std::string>{"", "pixel_4", "label", "", ""}));
    EXPECT_EQ(std::get<std::vector<std::string>>(table.columns[2]).at(4), "1,\xff,0");
  }
};

TEST_F(FashionMnistTest, counts_and_content_are_exactly_the_known_ones) {
  const JobExit ingest = run("ingest", 1, config());
  ASSERT_EQ(ingest.code, 0) << ingest.errors;
  EXPECT_EQ(counts(ingest.result, {"in", "good", "dead", "train", "test"}), "in=70040 good=70035 dead=5 train=60035 test=10000");
  EXPECT_EQ(*ingest.result.string_at("content_hash"), "d22df061f766182c55d75ebd77240e86");
  expect_dead_letters(catalog.get({"fashion", 1, DatasetLayer::kRaw}).value());

  const JobExit curate = run("curate", 2, curate_config());
  ASSERT_EQ(curate.code, 0) << curate.errors;
  EXPECT_EQ(counts(curate.result, {"in", "good", "dead", "kept", "dropped_duplicates", "dropped_test_overlap"}),
            "in=70040 good=70035 dead=5 kept=70015 dropped_duplicates=20 dropped_test_overlap=0");
  EXPECT_EQ(counts(curate.result, {"train", "validation", "test"}), "train=53978 validation=6037 test=10000");
  EXPECT_EQ(*curate.result.string_at("content_hash"), "b3a6deb7d8551379448c663a1ad55fcc");
  EXPECT_LT(ingest.cpu_seconds + curate.cpu_seconds, 8.0) << "one core for both steps";

  std::array<int, 10> each{};
  each.fill(1000);
  EXPECT_EQ(histogram("pack:test"), each);
  const std::array<int, 10> train = histogram("pack:train");
  const std::array<int, 10> validation = histogram("pack:validation");
  int rows = 0;
  for (std::size_t label = 0; label < 10; ++label) {
    EXPECT_GE(train[label] + validation[label], 6000);
    rows += train[label] + validation[label];
  }
  EXPECT_EQ(rows, 60'015);
}

TEST_F(FashionMnistTest, three_layers_are_linked_and_every_file_verifies) {
  ASSERT_EQ(run("ingest", 1, config()).code, 0);
  ASSERT_EQ(run("curate", 2, curate_config()).code, 0);
  const data::Lineage lineage = catalog.lineage({"fashion", DatasetLayer::kCurated, 1}).value();
  EXPECT_EQ(lineage.parents.at(0).parent.text(), "fashion@1/processed");
  ASSERT_EQ(lineage.ancestors.size(), 2u);
  EXPECT_EQ(lineage.ancestors[0].text(), "fashion@1/raw");

  std::size_t verified = 0;
  const std::vector<data::DatasetVersion> versions = catalog.versions("fashion").value();
  for (const data::DatasetVersion& version : versions) {
    for (const data::DatasetFile& file : version.draft.files) {
      EXPECT_TRUE(objects->verify(store::parse_object_uri(file.uri).value()).ok()) << file.uri;
      ++verified;
    }
  }
  EXPECT_EQ(verified, 3u + 3u + 6u);
  const data::DatasetVersion processed = catalog.get({"fashion", 1, DatasetLayer::kProcessed}).value();
  EXPECT_EQ(processed.files_with_role("drop_list").at(0).rows, 20);
  EXPECT_EQ(processed.draft.rows, 70'015);
}

TEST_F(FashionMnistTest, same_input_makes_the_same_objects_in_every_store) {
  ASSERT_EQ(run("ingest", 1, config()).code, 0);
  ASSERT_EQ(run("curate", 2, curate_config()).code, 0);
  ASSERT_EQ(run("ingest", 3, config()).code, 0);
  ASSERT_EQ(run("curate", 4, curate_config()).code, 0);
  const data::DatasetVersion first = catalog.get({"fashion", 1, DatasetLayer::kCurated}).value();
  const data::DatasetVersion second = catalog.get({"fashion", 2, DatasetLayer::kCurated}).value();
  EXPECT_EQ(first.draft.files, second.draft.files);
  EXPECT_EQ(first.draft.content_hash, second.draft.content_hash);
}

}  // namespace
}  // namespace trainyard::tests
