#include "sim/text_input.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "sim/testing/workloads.h"

namespace trainyard::sim {
namespace {

using testing::gzipped;
using Quotes = RecordReader::Quotes;

/// All records of the bytes, "|" between them; the error's id at the end if there is one.
std::string records(std::string_view bytes, Quotes quotes = Quotes::kNone, const ReadLimits& limits = {}) {
  TextInput input = TextInput::over("file", bytes);
  RecordReader reader(input, quotes, limits);
  std::string out;
  std::string_view record;
  for (;;) {
    const Result<bool> more = reader.next(record);
    if (!more.ok()) return out + "!" + more.error().id + "@" + more.error().where;
    if (!more.value()) return out;
    out += std::string(record) + "|";
  }
}

TEST(RecordReader, lines_lose_their_ends_and_the_byte_order_mark) {
  EXPECT_EQ(records("\xEF\xBB\xBF"
                    "a\r\nb\n\nc"),
            "a|b||c|");
  EXPECT_EQ(records(""), "");
  EXPECT_EQ(records("\n"), "|");
}

TEST(RecordReader, record_goes_on_while_a_quote_is_open) {
  EXPECT_EQ(records("a,\"b\nc\",d\ne", Quotes::kRfc4180), "a,\"b\nc\",d|e|");
  EXPECT_EQ(records("x\na,\"b\nc\n", Quotes::kRfc4180), "x|!sim.open_quote@file:2");
}

TEST(RecordReader, record_of_any_length_up_to_the_limit_is_whole) {
  for (const std::size_t size : {std::size_t{255} << 10, std::size_t{256} << 10, std::size_t{257} << 10, std::size_t{1} << 20}) {
    const std::string line(size, 'x');
    EXPECT_EQ(records(line + "\n" + line).size(), 2 * size + 2) << size;
    EXPECT_EQ(records(line + "\nend"), line + "|end|") << size;
  }
  EXPECT_EQ(records("ok\n" + std::string((std::size_t{1} << 20) + 1, 'x')), "ok|!sim.record_too_long@file:2");
}

TEST(RecordReader, hostile_bytes_are_errors_with_their_line) {
  EXPECT_EQ(records(std::string_view("a\nb\0c\n", 6)), "a|!sim.nul_byte@file:2");
  EXPECT_EQ(records("a\nb\nc\n", Quotes::kNone, {.records_max = 2}), "a|b|!sim.too_many_records@file:3");
  EXPECT_EQ(records(std::string(1000, '\n'), Quotes::kNone, {.bytes_max = 999}).substr(0, 20), "!sim.too_large@file:");
}

TEST(RecordReader, gzip_is_read_in_one_and_in_several_members) {
  EXPECT_EQ(records(gzipped("a\nb\n")), "a|b|");
  EXPECT_EQ(records(gzipped("a\nb") + gzipped("c\n")), "a|bc|");
}

TEST(RecordReader, gzip_that_is_cut_off_or_damaged_is_an_error) {
  const std::string whole = gzipped("some text that is long enough to be cut\nand more\n");
  EXPECT_NE(records(std::string_view(whole).substr(0, whole.size() - 5)).find("!sim.gzip"), std::string::npos);
  std::string damaged = whole;
  damaged[whole.size() / 2] = static_cast<char>(damaged[whole.size() / 2] ^ 0x55);
  EXPECT_NE(records(damaged).find("!sim.gzip"), std::string::npos);
}

TEST(RecordReader, gzip_bomb_ends_at_the_limit_of_bytes) {
  const std::string bomb = gzipped(std::string(std::size_t{8} << 20, '\n'));
  ASSERT_LT(bomb.size(), 10'000U);
  const std::string told = records(bomb, Quotes::kNone, {.bytes_max = std::uint64_t{1} << 20});
  EXPECT_NE(told.find("!sim.too_large"), std::string::npos);
}

TEST(TextInput, directory_and_absent_file_are_errors) {
  EXPECT_EQ(TextInput::open("/").error().id, "sim.not_a_file");
  EXPECT_EQ(TextInput::open("/nowhere/at/all").error().category, Category::kNotFound);
}

TEST(TextInput, file_reads_like_its_bytes) {
  const std::string directory = make_temporary_directory("text-input").value();
  const std::string path = directory + "/lines.gz";
  ASSERT_TRUE(write_file_atomically(path, gzipped("one\ntwo\n")).ok());
  Result<TextInput> input = TextInput::open(path);
  ASSERT_TRUE(input.ok());
  RecordReader reader(input.value(), Quotes::kNone, {});
  std::string_view record;
  ASSERT_TRUE(reader.next(record).value());
  ASSERT_TRUE(reader.next(record).value());
  EXPECT_EQ(record, "two");
  EXPECT_EQ(reader.place().line, 2U);
  EXPECT_EQ(reader.place().file, path);
  EXPECT_TRUE(remove_tree(directory).ok());
}

}  // namespace
}  // namespace trainyard::sim
