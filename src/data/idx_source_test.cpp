#include "data/idx_source.h"

#include <gtest/gtest.h>

#include "base/checksum.h"

#include "data/testing/sample_files.h"

namespace trainyard::data {
namespace {

const std::vector<testing::TinyImage> kImages{{1, {0, 1, 2, 3}}, {2, {4, 5, 6, 7}}, {3, {8, 9, 10, 255}}};

class IdxSourceTest : public ::testing::Test {
 protected:
  Result<void> read(const std::string& images, const std::string& labels, ImageLayout layout = testing::kTinyLayout) {
    ASSIGN_OR_RETURN(const auto image_input, ByteInput::open(files.write("images", images)));
    ASSIGN_OR_RETURN(const auto label_input, ByteInput::open(files.write("labels", labels)));
    return read_inputs(*image_input, *label_input, layout);
  }
  Result<void> read_inputs(ByteInput& images, ByteInput& labels, ImageLayout layout) {
    ASSIGN_OR_RETURN(IdxImageSource source, IdxImageSource::open({images, labels, 0}, layout));
    for (;;) {
      ASSIGN_OR_RETURN(const bool more, source.next(2, batch, dead));
      if (!more) return {};
    }
  }
  std::string message(const std::string& images, const std::string& labels) {
    const Result<void> result = read(images, labels);
    return result.ok() ? "ok" : result.error().id + ": " + result.error().message;
  }

  testing::SampleFiles files;
  RecordBatch batch;
  std::vector<DeadLetter> dead;
};

TEST_F(IdxSourceTest, images_and_labels_are_joined_in_order) {
  ASSERT_TRUE(read(testing::idx_images(kImages), testing::idx_labels(kImages)).ok());
  ASSERT_EQ(batch.rows(), 3u);
  EXPECT_EQ(batch.records.size(), 15u);
  EXPECT_EQ(batch.records[5], std::byte{2});
  EXPECT_EQ(batch.records[14], std::byte{255});
  EXPECT_EQ(batch.offsets, (std::vector<std::int64_t>{0, 1, 2}));
}

TEST_F(IdxSourceTest, gzip_is_read_through_and_fingerprinted_as_it_lies_on_disk) {
  const std::string path = files.write_gzip("images.gz", testing::idx_images(kImages));
  const auto images = ByteInput::open(path).value();
  const auto labels = ByteInput::open(files.write_gzip("labels.gz", testing::idx_labels(kImages))).value();
  ASSERT_TRUE(read_inputs(*images, *labels, testing::kTinyLayout).ok());
  EXPECT_EQ(batch.rows(), 3u);
  const FileFingerprint fingerprint = images->fingerprint().value();
  EXPECT_EQ(fingerprint.sha256, sha256_hex(read_file(path).value()));
  EXPECT_EQ(static_cast<std::uint64_t>(fingerprint.size), file_size(path).value());
}

TEST_F(IdxSourceTest, faults_are_named) {
  const std::string images = testing::idx_images(kImages);
  const std::string labels = testing::idx_labels(kImages);
  EXPECT_NE(message(images.substr(0, images.size() - 1), labels).find("announces 3 items and only 2 are whole"), std::string::npos);
  EXPECT_NE(message(images, labels.substr(0, labels.size() - 1)).find("truncated"), std::string::npos);
  EXPECT_NE(message(images.substr(0, 10), labels).find("inside the header"), std::string::npos);
  EXPECT_NE(message("", labels).find("truncated"), std::string::npos);
  EXPECT_NE(message(images + "x", labels).find("behind the last item"), std::string::npos);
  EXPECT_NE(message(images, labels + "x").find("behind the last item"), std::string::npos);
  EXPECT_NE(message("PNG" + images, labels).find("no IDX file"), std::string::npos);
  EXPECT_NE(message(labels, images).find("mixed up"), std::string::npos);
  std::string other_type = images;
  other_type[2] = 0x0d;
  EXPECT_NE(message(other_type, labels).find("type 0d"), std::string::npos);
  EXPECT_NE(message(images, testing::idx_labels({{1, {}}})).find("3 images and there are 1 labels"), std::string::npos);
  EXPECT_EQ(read(images, labels, {.height = 3, .width = 2, .classes = 10}).error().id, "data.idx");
}

TEST_F(IdxSourceTest, label_beyond_the_classes_is_a_dead_letter) {
  std::vector<testing::TinyImage> images = kImages;
  images[1].label = 10;
  ASSERT_TRUE(read(testing::idx_images(images), testing::idx_labels(images)).ok());
  EXPECT_EQ(batch.rows(), 2u);
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].line, 1);
  EXPECT_EQ(dead[0].column, "label");
  EXPECT_EQ(dead[0].raw.size(), 5u);
  EXPECT_EQ(batch.offsets, (std::vector<std::int64_t>{0, 2}));
}

TEST_F(IdxSourceTest, damaged_gzip_is_named) {
  const std::string path = files.write_gzip("images.gz", testing::idx_images(kImages));
  const std::string bytes = read_file(path).value();
  const std::string labels = testing::idx_labels(kImages);
  EXPECT_EQ(read(bytes.substr(0, bytes.size() - 9), labels).error().id, "data.gzip");
  std::string flipped = bytes;
  flipped[flipped.size() - 6] ^= 1;  // The CRC of the content.
  EXPECT_EQ(read(flipped, labels).error().id, "data.gzip");
  EXPECT_EQ(read(bytes + "junk", labels).error().id, "data.gzip");
}

TEST(ByteInputTest, directory_is_no_source) {
  const Error error = ByteInput::open("/").error();
  EXPECT_EQ(error.id, "data.not_a_file");
  EXPECT_NE(error.message.find("name the file in it: /"), std::string::npos);
}

TEST(ByteInputTest, missing_file_is_named_with_its_absolute_path) {
  const Error error = ByteInput::open("no/such/file").error();
  EXPECT_EQ(error.id, "data.missing_file");
  EXPECT_NE(error.message.find("/no/such/file"), std::string::npos);
}

}  // namespace
}  // namespace trainyard::data
