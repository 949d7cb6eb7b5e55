#include "data/csv_image_source.h"

#include <gtest/gtest.h>

#include "data/testing/sample_files.h"

namespace trainyard::data {
namespace {

class CsvImageSourceTest : public ::testing::Test {
 protected:
  Result<void> read(const std::string& body, std::string_view header = testing::kTinyHeader) {
    const auto input = ByteInput::open(files.write("x.csv", std::string(header) + body)).value();
    CsvImageSource source(*input, testing::kTinyLayout, {"x.csv", 7});
    for (;;) {
      ASSIGN_OR_RETURN(const bool more, source.next(2, batch, dead));
      if (!more) return {};
    }
  }

  testing::SampleFiles files;
  RecordBatch batch;
  std::vector<DeadLetter> dead;
};

TEST_F(CsvImageSourceTest, good_rows_become_records_with_their_line) {
  ASSERT_TRUE(read("3,0,1,2,255\n9,4,5,6,7\n0,0,0,0,0\n").ok());
  ASSERT_EQ(batch.rows(), 3u);
  EXPECT_TRUE(dead.empty());
  EXPECT_EQ(batch.records[0], std::byte{3});
  EXPECT_EQ(batch.records[4], std::byte{255});
  EXPECT_EQ(batch.offsets, (std::vector<std::int64_t>{2, 3, 4}));
  EXPECT_EQ(batch.sources, (std::vector<std::int64_t>{7, 7, 7}));
}

TEST_F(CsvImageSourceTest, each_kind_of_malformed_row_is_reported_with_line_column_and_code) {
  ASSERT_TRUE(read("1,2,3\n"         // line 2
                   "1,0,x,0,0\n"     // line 3
                   "10,0,0,0,0\n"    // line 4
                   "1,0,0,256,0\n"   // line 5
                   "1,0,0,\"0,0\n"   // line 6
                   "1,0,0,0,\xFF\n"  // line 7
                   "1,-1,0,0,0\n"    // line 8
                   "1,0,0,0, 1\n"    // line 9
                   "1,0,0,0,\n"      // line 10
                   "5,1,1,1,1\n")
                  .ok());
  ASSERT_EQ(batch.rows(), 1u);
  std::vector<std::string> found;
  for (const DeadLetter& letter : dead) found.push_back(std::to_string(letter.line) + " " + letter.code + " " + letter.column);
  EXPECT_EQ(found, (std::vector<std::string>{"2 column_count ", "3 not_a_number pixel_1", "4 out_of_range label", "5 out_of_range pixel_2",
                                             "6 bad_quote ", "7 invalid_utf8 ", "8 out_of_range pixel_0", "9 not_a_number pixel_3",
                                             "10 not_a_number pixel_3"}));
  EXPECT_EQ(dead[1].raw, "1,0,x,0,0");
  EXPECT_EQ(dead[1].source, "x.csv");
  EXPECT_EQ(dead[0].text(), "x.csv line 2: column_count: 3 columns instead of 5");
}

TEST_F(CsvImageSourceTest, wrong_header_makes_the_file_unusable) {
  EXPECT_EQ(read("", "label,pixel_0,pixel_1,pixel_2\n").error().id, "data.csv_header");
  EXPECT_EQ(read("", "label,pixel_1,pixel_2,pixel_3,pixel_4\n").error().id, "data.csv_header");
  EXPECT_EQ(read("1,2,3,4,5\n", "").error().id, "data.csv_header");
  EXPECT_EQ(read("", "").error().id, "data.csv_header");
}

TEST_F(CsvImageSourceTest, header_alone_is_an_empty_source) {
  ASSERT_TRUE(read("").ok());
  EXPECT_EQ(batch.rows(), 0u);
}

}  // namespace
}  // namespace trainyard::data
