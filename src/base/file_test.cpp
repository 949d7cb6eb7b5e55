#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace trainyard {
namespace {

/// A directory of its own for each test.
class FileTest : public ::testing::Test {
 protected:
  FileTest() : directory(make_temporary_directory("trainyard-file-").value()) {}
  ~FileTest() override { EXPECT_TRUE(remove_tree(directory).ok()); }
  std::string path(const std::string& name) const { return directory + "/" + name; }
  mode_t mode_of(const std::string& name) const {
    struct stat info {};
    EXPECT_EQ(::stat(path(name).c_str(), &info), 0);
    return info.st_mode & 07777;
  }

  const std::string directory;
};

TEST_F(FileTest, durable_and_atomic_writes_read_back_and_replace) {
  for (const auto write : {&write_file_durably, &write_file_atomically}) {
    ASSERT_TRUE(write(path("a"), "first", 0600).ok());
    EXPECT_EQ(read_file(path("a")).value(), "first");
    const std::string binary("\0\xff\n", 3);
    ASSERT_TRUE(write(path("a"), binary, 0600).ok());
    EXPECT_EQ(read_file(path("a")).value(), binary);
    ASSERT_TRUE(write(path("a"), "", 0600).ok());
    EXPECT_EQ(read_file(path("a")).value(), "");
  }
  EXPECT_EQ(list_directory(directory).value(), (std::vector<std::string>{"a"}));
}

TEST_F(FileTest, written_file_is_private_by_default) {
  ASSERT_TRUE(write_file_durably(path("token"), "secret").ok());
  EXPECT_EQ(mode_of("token"), 0600u);
}

TEST_F(FileTest, failed_write_leaves_neither_a_file_nor_a_temporary) {
  const Result<void> missing_parent = write_file_durably(path("none/a"), "text");
  ASSERT_FALSE(missing_parent.ok());
  EXPECT_EQ(missing_parent.error().category, Category::kNotFound);
  ASSERT_TRUE(make_directories(path("taken/inner")).ok());
  EXPECT_FALSE(write_file_durably(path("taken"), "text").ok());
  EXPECT_EQ(list_directory(directory).value(), (std::vector<std::string>{"taken"}));
}

TEST_F(FileTest, large_file_reads_back_whole) {
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += static_cast<char>('a' + i % 26);
  ASSERT_TRUE(write_file_atomically(path("big"), text).ok());
  EXPECT_EQ(read_file(path("big")).value(), text);
  EXPECT_EQ(file_size(path("big")).value(), text.size());
}

TEST_F(FileTest, file_beyond_the_bound_is_refused) {
  ASSERT_TRUE(write_file_atomically(path("a"), "12345").ok());
  EXPECT_EQ(read_file(path("a"), 5).value(), "12345");
  const Result<std::string> result = read_file(path("a"), 4);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().category, Category::kResourceExhausted);
  EXPECT_EQ(result.error().id, "io.too_large");
}

TEST_F(FileTest, absent_file_is_not_found) {
  EXPECT_EQ(read_file(path("none")).error().category, Category::kNotFound);
  EXPECT_EQ(file_size(path("none")).error().category, Category::kNotFound);
  EXPECT_EQ(list_directory(path("none")).error().category, Category::kNotFound);
  EXPECT_FALSE(file_exists(path("none")));
}

TEST_F(FileTest, directory_cannot_be_read_as_a_file) { EXPECT_FALSE(read_file(directory).ok()); }

TEST_F(FileTest, opened_file_is_closed_on_exec) {
  const Result<UniqueFd> fd = open_file(path("a"), O_WRONLY | O_CREAT);
  ASSERT_TRUE(fd.ok());
  EXPECT_NE(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(FileTest, read_at_returns_fewer_bytes_only_at_the_end) {
  ASSERT_TRUE(write_file_atomically(path("a"), "0123456789").ok());
  const UniqueFd fd = open_file(path("a"), O_RDONLY).value();
  std::vector<std::byte> buffer(4);
  EXPECT_EQ(read_at(fd.get(), buffer, 3, "a").value(), 4u);
  EXPECT_EQ(as_text(buffer), "3456");
  EXPECT_EQ(read_at(fd.get(), buffer, 8, "a").value(), 2u);
  EXPECT_EQ(read_at(fd.get(), buffer, 100, "a").value(), 0u);
}

TEST_F(FileTest, write_to_a_closed_pipe_is_an_error) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  EXPECT_FALSE(write_all(read_end.get(), "x", "pipe").ok());
  EXPECT_TRUE(write_all(write_end.get(), "x", "pipe").ok());
}

TEST_F(FileTest, make_directories_makes_private_ones_and_accepts_existing_ones) {
  ASSERT_TRUE(make_directories(path("a/b//c/")).ok());
  ASSERT_TRUE(make_directories(path("a/b/c")).ok());
  EXPECT_EQ(mode_of("a"), 0700u);
  EXPECT_EQ(mode_of("a/b/c"), 0700u);
  ASSERT_TRUE(write_file_atomically(path("file"), "x").ok());
  EXPECT_FALSE(make_directories(path("file")).ok());
  EXPECT_FALSE(make_directories(path("file/below")).ok());
  EXPECT_FALSE(make_directories("").ok());
}

TEST_F(FileTest, remove_tree_removes_all_below_and_accepts_an_absent_path) {
  ASSERT_TRUE(make_directories(path("a/b")).ok());
  ASSERT_TRUE(write_file_atomically(path("a/b/file"), "x").ok());
  EXPECT_TRUE(remove_tree(path("a")).ok());
  EXPECT_FALSE(file_exists(path("a")));
  EXPECT_TRUE(remove_tree(path("a")).ok());
}

TEST_F(FileTest, directory_listing_is_sorted) {
  for (const char* name : {"c", "a", "b.txt", ".hidden"}) ASSERT_TRUE(write_file_atomically(path(name), "").ok());
  EXPECT_EQ(list_directory(directory).value(), (std::vector<std::string>{".hidden", "a", "b.txt", "c"}));
}

TEST_F(FileTest, temporary_directories_are_private_and_differ) {
  const std::string other = make_temporary_directory("trainyard-file-").value();
  EXPECT_NE(other, directory);
  struct stat info {};
  ASSERT_EQ(::stat(other.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  EXPECT_TRUE(remove_tree(other).ok());
}

TEST(UniqueFd, moved_descriptor_is_closed_once_by_its_last_owner) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd first(ends[0]);
  const UniqueFd other_end(ends[1]);
  UniqueFd second(std::move(first));
  EXPECT_FALSE(first.valid());
  EXPECT_TRUE(second.valid());
  second.reset();
  EXPECT_EQ(::fcntl(ends[0], F_GETFD), -1);
  EXPECT_NE(::fcntl(ends[1], F_GETFD), -1);
}

}  // namespace
}  // namespace trainyard
