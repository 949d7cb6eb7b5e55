#include "apps/server/data_directory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/document.h"
#include "base/failpoint.h"

namespace trainyard::apps {
namespace {

class DataDirectoryTest : public ::testing::Test {
 protected:
  ~DataDirectoryTest() override { (void)remove_tree(root).ok(); }
  std::string root = make_temporary_directory("trainyard-server-").value();
};

TEST_F(DataDirectoryTest, directory_is_made_with_all_its_parts) {
  const DataDirectory directory = DataDirectory::open(root + "/new/deep").value();
  for (const char* name : {"lock", "objects", "logs", "work", "checkpoints", "cache", "run"}) {
    EXPECT_EQ(::access(directory.path(name).c_str(), F_OK), 0) << name;
  }
  EXPECT_EQ(directory.remembered_port(), 0);
}

TEST_F(DataDirectoryTest, second_server_is_refused_with_the_pid_of_the_first_until_that_ends) {
  {
    const Result<DataDirectory> first = DataDirectory::open(root);
    ASSERT_TRUE(first.ok());
    const Result<DataDirectory> second = DataDirectory::open(root);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().id, "data.locked");
    EXPECT_THAT(second.error().message, ::testing::HasSubstr("pid: " + std::to_string(::getpid())));
    EXPECT_THAT(second.error().message, ::testing::HasSubstr("trainyard down"));
  }
  EXPECT_TRUE(DataDirectory::open(root).ok());
}

TEST_F(DataDirectoryTest, same_directory_by_another_name_is_the_same) {
  ASSERT_EQ(::symlink(root.c_str(), (root + "-link").c_str()), 0);
  const Result<DataDirectory> first = DataDirectory::open(root);
  EXPECT_EQ(DataDirectory::open(root + "-link").error().id, "data.locked");
  ASSERT_EQ(::unlink((root + "-link").c_str()), 0);
}

TEST_F(DataDirectoryTest, directory_that_holds_other_things_is_refused_untouched) {
  ASSERT_TRUE(write_file_atomically(root + "/thesis.tex", "x").ok());
  const Result<DataDirectory> foreign = DataDirectory::open(root);
  ASSERT_FALSE(foreign.ok());
  EXPECT_EQ(foreign.error().id, "data.foreign");
  EXPECT_THAT(foreign.error().message, ::testing::HasSubstr("thesis.tex"));
  EXPECT_EQ(list_directory(root).value(), std::vector<std::string>{"thesis.tex"});
}

TEST_F(DataDirectoryTest, path_that_is_a_file_cannot_be_used) {
  ASSERT_TRUE(write_file_atomically(root + "/file", "x").ok());
  EXPECT_FALSE(DataDirectory::open(root + "/file").ok());
  EXPECT_FALSE(DataDirectory::open(root + "/file/below").ok());
}

TEST_F(DataDirectoryTest, port_of_the_last_server_is_remembered) {
  const DataDirectory directory = DataDirectory::open(root).value();
  ASSERT_TRUE(directory.write_address({"http://127.0.0.1:41234", directory.path("token"), 77}).ok());
  EXPECT_EQ(directory.remembered_port(), 41'234);
  const Document written = parse_json(read_file(directory.path("server.json")).value()).value();
  EXPECT_EQ(written["token_file"].text(), directory.path("token"));
  EXPECT_EQ(written["pid"].as_int().value(), 77);
  EXPECT_TRUE(written["ca_file"].is_null()) << "without TLS nobody has to be trusted";
  ASSERT_TRUE(directory.write_address({"https://127.0.0.1:41234", directory.path("token"), 77, "/etc/yard.pem"}).ok());
  EXPECT_EQ(parse_json(read_file(directory.path("server.json")).value()).value()["ca_file"].text(), "/etc/yard.pem");
}

TEST_F(DataDirectoryTest, address_that_cannot_be_read_names_no_port) {
  const DataDirectory directory = DataDirectory::open(root).value();
  for (const char* text : {"", "{", "[]", R"({"url":5})", R"({"url":"http"})", R"({"url":"http://h:x"})", R"({"url":"http://h:99999"})"}) {
    ASSERT_TRUE(write_file_atomically(directory.path("server.json"), text).ok());
    EXPECT_EQ(directory.remembered_port(), 0) << text;
  }
}

TEST_F(DataDirectoryTest, full_disk_is_found_and_leaves_nothing) {
  const DataDirectory directory = DataDirectory::open(root).value();
  EXPECT_TRUE(directory.probe_room().ok());
  EXPECT_TRUE(list_directory(directory.path("run"))->empty());
  ASSERT_TRUE(arm_failpoints("server.probe_disk=disk_full").ok());
  const Result<void> full = directory.probe_room();
  ASSERT_TRUE(arm_failpoints("").ok());
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().id, "io.disk_full");
}

}  // namespace
}  // namespace trainyard::apps
