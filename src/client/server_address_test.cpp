#include "client/server_address.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "client/api_client.h"

namespace trainyard::client {
namespace {

class ServerAddressTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory = make_temporary_directory("client-test").value();
    ASSERT_TRUE(make_directories(directory + "/trainyard").ok());
    variables["XDG_DATA_HOME"] = directory;
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(directory).ok()); }
  void write_server_file(const std::string& text) { ASSERT_TRUE(write_file_atomically(directory + "/trainyard/server.json", text).ok()); }
  void write_local() { write_server_file(R"({"url":"http://127.0.0.1:8470","token_file":"/data/token","pid":42})"); }
  Variables reader() const {
    return [this](std::string_view name) -> std::optional<std::string> {
      const auto found = variables.find(std::string(name));
      if (found == variables.end()) return std::nullopt;
      return found->second;
    };
  }
  Result<ServerAddress> find(const std::string& url = {}, const std::string& token_file = {}) {
    return find_server({url, token_file}, reader());
  }

  std::string directory;
  std::map<std::string, std::string> variables;
};

TEST_F(ServerAddressTest, local_server_file_is_found) {
  write_local();
  const Result<ServerAddress> found = find();
  ASSERT_TRUE(found.ok()) << found.error().describe();
  EXPECT_EQ(found->url, "http://127.0.0.1:8470");
  EXPECT_EQ(found->token_file, "/data/token");
}

TEST_F(ServerAddressTest, hints_beat_environment_beats_file) {
  write_local();
  variables["TRAINYARD_API_URL"] = "http://job:1";
  EXPECT_EQ(find()->url, "http://job:1");
  variables["TRAINYARD_URL"] = "http://user:1";
  EXPECT_EQ(find()->url, "http://user:1");
  variables["TRAINYARD_TOKEN_FILE"] = "/environment/token";
  EXPECT_EQ(find()->token_file, "/environment/token");
  const Result<ServerAddress> found = find("http://hint:1", "/hint/token");
  EXPECT_EQ(found->url, "http://hint:1");
  EXPECT_EQ(found->token_file, "/hint/token");
}

TEST_F(ServerAddressTest, local_token_is_not_sent_to_another_server) {
  write_local();
  EXPECT_EQ(find("http://elsewhere:1")->token_file, "");
  EXPECT_EQ(find("http://127.0.0.1:8470/")->token_file, "/data/token");
}

TEST_F(ServerAddressTest, certificate_authority_comes_with_its_server_or_from_the_environment) {
  write_server_file(R"({"url": "https://127.0.0.1:8470", "token_file": "/data/token", "ca_file": "/data/ca.pem"})");
  EXPECT_EQ(find()->ca_file, "/data/ca.pem");
  EXPECT_EQ(find("https://127.0.0.1:8470", "/hint/token")->ca_file, "/data/ca.pem");
  EXPECT_EQ(find("https://elsewhere:1", "/hint/token")->ca_file, "");
  variables["TRAINYARD_CA_FILE"] = "/environment/ca.pem";
  EXPECT_EQ(find("https://elsewhere:1", "/hint/token")->ca_file, "/environment/ca.pem");
}

TEST_F(ServerAddressTest, missing_server_says_what_to_do) {
  const Result<ServerAddress> found = find();
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().id, "client.no_server");
  EXPECT_NE(found.error().message.find("trainyard up"), std::string::npos);
  variables.clear();
  EXPECT_EQ(find().error().id, "client.no_server");
}

TEST_F(ServerAddressTest, relative_data_home_is_ignored) {
  variables["HOME"] = directory;
  variables["XDG_DATA_HOME"] = "relative";
  EXPECT_NE(find().error().message.find(directory + "/.local/share/trainyard/server.json"), std::string::npos);
}

TEST_F(ServerAddressTest, damaged_server_file_is_data_loss) {
  for (const char* text : {"", "{", "[]", R"({"url": 7})", R"({"url": "x", "token_file": 8})"}) {
    write_server_file(text);
    EXPECT_EQ(find().error().id, "client.server_file") << text;
  }
}

TEST_F(ServerAddressTest, missing_token_file_is_named) {
  const auto api = make_api_client({"http://127.0.0.1:1", directory + "/none"});
  ASSERT_FALSE(api.ok());
  EXPECT_NE(api.error().describe().find(directory + "/none"), std::string::npos);
}

}  // namespace
}  // namespace trainyard::client
