#include "domain/dataset_ref.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(DatasetRefTest, bare_name_means_latest_curated) {
  EXPECT_EQ(parse_dataset_ref("fashion").value(), (DatasetRef{"fashion", std::nullopt, DatasetLayer::kCurated}));
}

TEST(DatasetRefTest, version_and_layer_are_read) {
  EXPECT_EQ(parse_dataset_ref("fashion@3/raw").value(), (DatasetRef{"fashion", 3, DatasetLayer::kRaw}));
  EXPECT_EQ(parse_dataset_ref("fashion@latest/processed").value(), (DatasetRef{"fashion", std::nullopt, DatasetLayer::kProcessed}));
  EXPECT_EQ(parse_dataset_ref("fashion/raw").value(), (DatasetRef{"fashion", std::nullopt, DatasetLayer::kRaw}));
  EXPECT_EQ(parse_dataset_ref("fashion@12").value(), (DatasetRef{"fashion", 12, DatasetLayer::kCurated}));
}

TEST(DatasetRefTest, formatted_ref_reads_back_equal) {
  for (const char* text : {"fashion@3/curated", "fashion@latest/curated", "a.b-c_1@9/raw"}) {
    EXPECT_EQ(format_dataset_ref(parse_dataset_ref(text).value()), text);
  }
}

TEST(DatasetRefTest, malformed_ref_names_its_faulty_part) {
  EXPECT_EQ(parse_dataset_ref("fashion@0/raw").error().id, "dataset.ref");
  EXPECT_EQ(parse_dataset_ref("fashion@newest").error().id, "dataset.ref");
  EXPECT_EQ(parse_dataset_ref("fashion@3x").error().id, "dataset.ref");
  EXPECT_EQ(parse_dataset_ref("fashion@3/gold").error().id, "dataset.layer");
  EXPECT_EQ(parse_dataset_ref("fashion@3/raw/x").error().id, "dataset.layer");
  EXPECT_EQ(parse_dataset_ref("").error().id, "dataset.name");
  EXPECT_EQ(parse_dataset_ref("../etc").error().id, "dataset.layer");
  EXPECT_EQ(parse_dataset_ref("-x").error().id, "dataset.name");
  EXPECT_EQ(parse_dataset_ref(std::string(65, 'a')).error().id, "dataset.name");
}

}  // namespace
}  // namespace trainyard
