#include "data/pack.h"

#include <gtest/gtest.h>

#include "data/testing/sample_files.h"

namespace trainyard::data {
namespace {

class PackTest : public ::testing::Test {
 protected:
  /// Three records of a label and two pixels.
  std::string write_pack() {
    PackHeader header;
    header.record_bytes = 3;
    header.fields = {{"label", "uint8", {}, 0}, {"pixels", "uint8", {1, 1, 2}, 1}};
    header.classes = 10;
    PackWriter writer = PackWriter::create(path, header).value();
    EXPECT_TRUE(writer.append(as_bytes("abc")).ok());
    EXPECT_TRUE(writer.append(as_bytes("defghi")).ok());
    written = writer.finish().value();
    return read_file(path).value();
  }
  std::string error_of(const std::string& bytes) {
    const Result<PackReader> pack = PackReader::open(files.write("other.pack", bytes));
    return pack.ok() ? "ok" : pack.error().id;
  }

  testing::SampleFiles files;
  std::string path = files.path("x.pack");
  PackHeader written;
};

TEST_F(PackTest, written_pack_reads_back) {
  write_pack();
  const PackReader pack = PackReader::open(path).value();
  EXPECT_EQ(pack.rows(), 3);
  EXPECT_EQ(pack.header().fields, written.fields);
  EXPECT_EQ(pack.header().classes, 10);
  EXPECT_EQ(pack.header().checksum, "xxh3:" + xxh3_hex(as_bytes("abcdefghi")));
  EXPECT_EQ(as_text(pack.record(1)), "def");
  EXPECT_TRUE(pack.verify().ok());
}

TEST_F(PackTest, layout_on_disk_is_as_documented) {
  const std::string bytes = write_pack();
  ASSERT_EQ(bytes.size(), 4096u + 9u);
  EXPECT_EQ(bytes.substr(0, 8), "TYPACK01");
  EXPECT_EQ(bytes.substr(8, 4), std::string("\x01\0\0\0", 4));
  const auto length = static_cast<unsigned char>(bytes[12]) + 256U * static_cast<unsigned char>(bytes[13]);
  const Document header = parse_json(bytes.substr(16, length)).value();
  EXPECT_EQ(
      to_json(header),
      "{\"record_bytes\":3,\"rows\":3,\"fields\":[{\"name\":\"label\",\"type\":\"uint8\",\"shape\":[],\"offset\":0},{\"name\":\"pixels\","
      "\"type\":\"uint8\",\"shape\":[1,1,2],\"offset\":1}],\"classes\":10,\"checksum\":\"" +
          written.checksum + "\"}");
  EXPECT_EQ(bytes.find_first_not_of('\0', 16 + length), 4096u);
}

TEST_F(PackTest, damaged_pack_is_refused) {
  const std::string bytes = write_pack();
  EXPECT_EQ(error_of(bytes), "ok");
  EXPECT_EQ(error_of(bytes.substr(0, 100)), "data.pack");
  EXPECT_EQ(error_of(bytes.substr(0, bytes.size() - 1)), "data.pack");
  EXPECT_EQ(error_of(bytes + "x"), "data.pack");
  EXPECT_EQ(error_of("XX" + bytes.substr(2)), "data.pack");
  std::string version = bytes;
  version[8] = 2;
  EXPECT_EQ(error_of(version), "data.pack");
  std::string length = bytes;
  length[13] = '\x7f';
  EXPECT_EQ(error_of(length), "data.pack");
  std::string json = bytes;
  json[16] = '[';
  EXPECT_EQ(error_of(json), "data.pack");
}

TEST_F(PackTest, flipped_bit_in_a_record_fails_verification) {
  std::string bytes = write_pack();
  bytes.back() ^= 1;
  const PackReader pack = PackReader::open(files.write("other.pack", bytes)).value();
  EXPECT_EQ(pack.verify().error().id, "data.pack");
}

TEST_F(PackTest, empty_pack_is_a_pack) {
  PackHeader header;
  header.record_bytes = 3;
  PackWriter writer = PackWriter::create(path, header).value();
  ASSERT_TRUE(writer.finish().ok());
  EXPECT_EQ(PackReader::open(path).value().rows(), 0);
}

}  // namespace
}  // namespace trainyard::data
