#include "apps/warden/spares.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <optional>

#include "base/file.h"

namespace trainyard::warden {
namespace {

class SparesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root = make_temporary_directory("trainyard-spares-test").value();
    ASSERT_TRUE(make_directories(root + "/spool").ok());
    spares.emplace(Spares::make(root + "/spare").value());
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(root).ok()); }
  static ino_t inode(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return info.st_ino;
  }
  Result<void> write(const std::string& path, std::string_view text) {
    ASSIGN_OR_RETURN(const std::string staged, spares->stage(text));
    return spares->publish(staged, path);
  }
  static AttemptKey attempt(std::uint64_t job, std::uint32_t number = 1) { return {JobId(job), AttemptNumber(number)}; }

  std::string root;
  std::optional<Spares> spares;
};

TEST_F(SparesTest, file_that_was_taken_back_is_the_next_one_and_holds_nothing_of_the_last) {
  ASSERT_TRUE(write(root + "/spool/a", "a long text").ok());
  const ino_t first = inode(root + "/spool/a");
  spares->take_back(root + "/spool/a");
  EXPECT_FALSE(file_exists(root + "/spool/a"));
  ASSERT_TRUE(write(root + "/spool/b", "short").ok());
  EXPECT_EQ(inode(root + "/spool/b"), first);
  EXPECT_EQ(read_file(root + "/spool/b").value(), "short");
  struct stat info {};
  ASSERT_EQ(::stat((root + "/spool/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(SparesTest, publishing_replaces_what_is_there_and_makes_the_directory_that_is_not) {
  ASSERT_TRUE(write(root + "/spool/a", "one").ok());
  ASSERT_TRUE(write(root + "/spool/a", "two").ok());
  EXPECT_EQ(read_file(root + "/spool/a").value(), "two");
  ASSERT_TRUE(write(root + "/other/place/c", "three").ok());
  EXPECT_EQ(read_file(root + "/other/place/c").value(), "three");
}

TEST_F(SparesTest, absent_files_and_a_removed_directory_are_no_trouble) {
  spares->take_back(root + "/spool/never");
  ASSERT_TRUE(write(root + "/spool/a", "a").ok());
  spares->take_back(root + "/spool/a");
  ASSERT_TRUE(remove_tree(root + "/spare").ok());
  EXPECT_TRUE(write(root + "/spool/b", "b").ok());
}

TEST_F(SparesTest, number_of_spares_is_bounded) {
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(write(root + "/spool/" + std::to_string(i), "x").ok());
  for (int i = 0; i < 1000; ++i) spares->take_back(root + "/spool/" + std::to_string(i));
  EXPECT_TRUE(list_directory(root + "/spool").value().empty());
  EXPECT_LE(list_directory(root + "/spare").value().size(), 256u);
}

TEST_F(SparesTest, empty_working_directory_serves_the_next_job_under_its_own_name) {
  ASSERT_TRUE(spares->make_workdir(root + "/work", attempt(1)).ok());
  const ino_t first = inode(root + "/work/1/1/tmp");
  spares->take_back_workdir(root + "/work", attempt(1));
  EXPECT_FALSE(file_exists(root + "/work/1"));
  ASSERT_TRUE(spares->make_workdir(root + "/work", attempt(2, 7)).ok());
  EXPECT_EQ(inode(root + "/work/2/7/tmp"), first);
  EXPECT_FALSE(file_exists(root + "/work/2/1"));
}

TEST_F(SparesTest, what_a_program_left_stays_and_its_temporary_files_go) {
  ASSERT_TRUE(spares->make_workdir(root + "/work", attempt(1)).ok());
  ASSERT_TRUE(write_file_atomically(root + "/work/1/1/tmp/scratch", "x").ok());
  spares->take_back_workdir(root + "/work", attempt(1));
  EXPECT_FALSE(file_exists(root + "/work/1"));

  ASSERT_TRUE(spares->make_workdir(root + "/work", attempt(2)).ok());
  ASSERT_TRUE(write_file_atomically(root + "/work/2/1/model.bin", "x").ok());
  spares->take_back_workdir(root + "/work", attempt(2));
  EXPECT_TRUE(file_exists(root + "/work/2/1/model.bin"));
  EXPECT_FALSE(file_exists(root + "/work/2/1/tmp"));
}

TEST_F(SparesTest, what_a_program_left_in_a_directory_that_served_before_stays) {
  for (const char* left : {"/work/2/1/model.bin", "/work/2/1/tmp/scratch", "/work/2/beside"}) {
    ASSERT_TRUE(spares->make_workdir(root + "/work", attempt(1)).ok());
    spares->take_back_workdir(root + "/work", attempt(1));
    ASSERT_TRUE(spares->make_workdir(root + "/work", attempt(2)).ok());
    ASSERT_TRUE(write_file_atomically(root + left, "x").ok());
    spares->take_back_workdir(root + "/work", attempt(2));
    EXPECT_EQ(file_exists(root + left), std::string_view(left) != "/work/2/1/tmp/scratch") << left;
    ASSERT_TRUE(spares->make_workdir(root + "/work", attempt(3)).ok());
    EXPECT_FALSE(file_exists(root + "/work/3/1/tmp/scratch"));
    ASSERT_TRUE(remove_tree(root + "/work").ok());
  }
}

TEST_F(SparesTest, working_directory_whose_mode_was_changed_is_not_used_again) {
  ASSERT_TRUE(spares->make_workdir(root + "/work", attempt(1)).ok());
  ASSERT_EQ(::chmod((root + "/work/1/1").c_str(), 0755), 0);
  spares->take_back_workdir(root + "/work", attempt(1));
  EXPECT_TRUE(list_directory(root + "/spare").value().empty());
  EXPECT_FALSE(file_exists(root + "/work/1"));
}

TEST_F(SparesTest, second_attempt_of_a_job_gets_its_directory_beside_the_first) {
  ASSERT_TRUE(spares->make_workdir(root + "/work", attempt(9)).ok());
  spares->take_back_workdir(root + "/work", attempt(9));
  ASSERT_TRUE(spares->make_workdir(root + "/work", attempt(1, 1)).ok());
  ASSERT_TRUE(write_file_atomically(root + "/work/1/1/kept", "x").ok());
  spares->take_back_workdir(root + "/work", attempt(1, 1));
  ASSERT_TRUE(spares->make_workdir(root + "/work", attempt(1, 2)).ok());
  EXPECT_TRUE(file_exists(root + "/work/1/1/kept"));
  EXPECT_TRUE(file_exists(root + "/work/1/2/tmp"));
  ASSERT_TRUE(spares->make_workdir(root + "/work", attempt(1, 2)).ok()) << "it may be there already: other ranks share it";
}

}  // namespace
}  // namespace trainyard::warden
