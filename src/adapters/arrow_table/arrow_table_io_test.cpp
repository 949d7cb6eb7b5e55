#include "adapters/arrow_table/arrow_table_io.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "base/checksum.h"
#include "base/file.h"

namespace trainyard::adapters::arrow_table {
namespace {

using data::ColumnType;
using data::Table;
using data::TableSchema;

const TableSchema kAllTypes{{"small", ColumnType::kUint8, 0}, {"number", ColumnType::kInt64, 0}, {"real", ColumnType::kFloat, 0},
                            {"text", ColumnType::kString, 0}, {"blob", ColumnType::kBinary, 0},  {"pixels", ColumnType::kFixedBytes, 3},
                            {"_off", ColumnType::kInt64, 0}};

Table rows_from(std::int64_t first, std::size_t count) {
  std::vector<std::uint8_t> small;
  std::vector<std::int64_t> number;
  std::vector<float> real;
  std::vector<std::string> text, blob;
  std::vector<std::byte> pixels;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t n = first + static_cast<std::int64_t>(i);
    small.push_back(static_cast<std::uint8_t>(n));
    number.push_back(-n);
    real.push_back(static_cast<float>(n) / 2);
    text.push_back("row " + std::to_string(n));
    blob.push_back(std::string("\0\xFF", 2) + std::to_string(n));
    for (int k = 0; k < 3; ++k) pixels.push_back(static_cast<std::byte>(n + k));
  }
  Table table;
  table.rows = count;
  table.columns.resize(7);
  table.columns[0] = small;
  table.columns[1] = number;
  table.columns[2] = real;
  table.columns[3] = text;
  table.columns[4] = blob;
  table.columns[5] = pixels;
  table.columns[6] = number;
  return table;
}

class ArrowTableTest : public ::testing::Test {
 protected:
  ~ArrowTableTest() override { (void)remove_tree(directory).ok(); }

  /// Writes `count` rows in batches of 1000.
  void write(std::size_t count, data::TableWriteSettings settings = {}) {
    auto writer = io->create(path, kAllTypes, settings).value();
    for (std::size_t first = 0; first < count; first += 1000) {
      ASSERT_TRUE(writer->append(rows_from(static_cast<std::int64_t>(first), std::min<std::size_t>(1000, count - first))).ok());
    }
    EXPECT_FALSE(file_exists(path)) << "nothing is visible before the end";
    ASSERT_TRUE(writer->finish().ok());
  }
  std::string open_error(const TableSchema& expected) {
    const auto reader = io->open(path, expected);
    return reader.ok() ? "ok" : reader.error().id;
  }

  std::string directory = make_temporary_directory("trainyard-arrow-").value();
  std::string path = directory + "/x.parquet";
  std::unique_ptr<data::TableIo> io = make_arrow_table_io();
};

TEST_F(ArrowTableTest, every_type_reads_back_over_several_row_groups) {
  write(20'500, {.compression_level = 1, .rows_per_group = 4096});
  const auto reader = io->open(path, kAllTypes).value();
  EXPECT_EQ(reader->rows(), 20'500);
  EXPECT_EQ(reader->file_schema(), kAllTypes);
  Table batch;
  std::int64_t next = 0;
  for (;;) {
    const Result<bool> more = reader->next(batch);
    ASSERT_TRUE(more.ok()) << more.error().describe();
    if (!*more) break;
    ASSERT_TRUE(data::check_table(kAllTypes, batch).ok());
    EXPECT_EQ(batch.columns, rows_from(next, batch.rows).columns);
    next += static_cast<std::int64_t>(batch.rows);
  }
  EXPECT_EQ(next, 20'500);
}

TEST_F(ArrowTableTest, some_columns_are_read_in_the_order_asked_for) {
  write(10);
  const auto reader = io->open(path, {kAllTypes[5], kAllTypes[0]}).value();
  Table batch;
  ASSERT_TRUE(reader->next(batch).value());
  ASSERT_EQ(batch.columns.size(), 2u);
  EXPECT_EQ(batch.columns[0], rows_from(0, 10).columns[5]);
  EXPECT_EQ(batch.columns[1], rows_from(0, 10).columns[0]);
}

TEST_F(ArrowTableTest, same_rows_make_the_same_bytes_however_they_are_batched) {
  write(3000);
  const std::string first = read_file(path).value();
  ASSERT_TRUE(remove_tree(path).ok());
  auto writer = io->create(path, kAllTypes, {}).value();
  ASSERT_TRUE(writer->append(rows_from(0, 3000)).ok());
  ASSERT_TRUE(writer->finish().ok());
  EXPECT_EQ(read_file(path).value(), first);
}

TEST_F(ArrowTableTest, missing_or_other_column_is_named) {
  write(1);
  EXPECT_EQ(open_error({{"absent", ColumnType::kInt64, 0}}), "data.table_column");
  EXPECT_EQ(open_error({{"small", ColumnType::kInt64, 0}}), "data.table_column");
  EXPECT_EQ(open_error({{"pixels", ColumnType::kFixedBytes, 4}}), "data.table_column");
}

TEST_F(ArrowTableTest, damaged_file_is_refused) {
  EXPECT_EQ(io->open(path, kAllTypes).error().category, Category::kNotFound);
  write(5000);
  std::string bytes = read_file(path).value();
  ASSERT_TRUE(write_file_atomically(path, bytes.substr(0, bytes.size() / 2)).ok());
  EXPECT_EQ(open_error(kAllTypes), "data.table");
  ASSERT_TRUE(write_file_atomically(path, "no table").ok());
  EXPECT_EQ(open_error(kAllTypes), "data.table");

  bytes[bytes.size() / 3] ^= 1;
  ASSERT_TRUE(write_file_atomically(path, bytes).ok());
  const auto reader = io->open(path, kAllTypes).value();
  Table batch;
  Result<bool> more = true;
  while (more.ok() && *more) more = reader->next(batch);
  EXPECT_EQ(more.ok() ? "ok" : more.error().id, "data.table") << "a page checksum notices one flipped bit";
}

TEST_F(ArrowTableTest, abandoned_writer_leaves_nothing) {
  {
    auto writer = io->create(path, kAllTypes, {}).value();
    ASSERT_TRUE(writer->append(rows_from(0, 1000)).ok());
  }
  EXPECT_TRUE(list_directory(directory).value().empty());
}

TEST_F(ArrowTableTest, table_that_contradicts_its_schema_is_refused) {
  auto writer = io->create(path, kAllTypes, {}).value();
  Table rows = rows_from(0, 10);
  rows.columns[1] = std::vector<std::int64_t>(9);
  EXPECT_EQ(writer->append(rows).error().id, "table.shape");
}

/// A limit on the size of files stands in for a full disk: write(2) fails half-way with an error of the system. Runs in a child process.
[[noreturn]] void write_beyond_the_limit(data::TableIo& io, const std::string& directory) {
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{.rlim_cur = 20'000, .rlim_max = 20'000};
  ::setrlimit(RLIMIT_FSIZE, &limit);
  auto writer = io.create(directory + "/x.parquet", kAllTypes, {.compression_level = 1, .rows_per_group = 1024}).value();
  Result<void> result;
  for (std::int64_t i = 0; result.ok() && i < 100; ++i) result = writer->append(rows_from(i * 1000, 1000));
  if (result.ok()) result = writer->finish();
  const bool named = !result.ok() && result.error().message.starts_with("write");
  writer.reset();
  std::_Exit(named && list_directory(directory).value().empty() ? 0 : 1);
}

TEST_F(ArrowTableTest, failing_write_keeps_its_cause_and_leaves_nothing) {
  EXPECT_EXIT(write_beyond_the_limit(*io, directory), ::testing::ExitedWithCode(0), "");
}

/// libparquet exports an OpenSSL of its own; hashing in this process must still use the system's.
TEST(ArrowLinkTest, openssl_of_the_system_comes_first) {
  Dl_info info{};
  void* const symbol = ::dlsym(RTLD_DEFAULT, "EVP_DigestInit_ex");
  ASSERT_NE(symbol, nullptr);
  ASSERT_NE(::dladdr(symbol, &info), 0);
  EXPECT_NE(std::string(info.dli_fname).find("libcrypto"), std::string::npos) << info.dli_fname;
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace trainyard::adapters::arrow_table
