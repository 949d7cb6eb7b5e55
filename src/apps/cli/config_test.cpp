#include "apps/cli/config.h"

#include <gtest/gtest.h>

#include <map>

#include "base/file.h"

namespace trainyard::apps {
namespace {

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = make_temporary_directory("trainyard-config-").value();
    places_ = {root_ + "/project.yaml", root_ + "/user.yaml", root_ + "/system.yaml"};
    variables_["HOME"] = root_;
    variables_["XDG_DATA_HOME"] = root_ + "/data";
  }
  void TearDown() override { ASSERT_TRUE(remove_tree(root_).ok()); }

  void write(const std::string& path, const std::string& text) { ASSERT_TRUE(write_file_atomically(path, text).ok()); }
  Result<Config> load() const {
    return Config::load(places_, [this](std::string_view name) -> std::optional<std::string> {
      const auto found = variables_.find(std::string(name));
      return found == variables_.end() ? std::nullopt : std::optional(found->second);
    });
  }
  std::string fault() const {
    const Result<Config> config = load();
    return config.ok() ? "accepted" : config.error().where.substr(root_.size() + 1) + " " + config.error().id;
  }

  std::string root_;
  ConfigPlaces places_;
  std::map<std::string, std::string> variables_;
};

TEST_F(ConfigTest, stronger_layer_wins_and_all_are_told) {
  write(places_.project, "output: yaml\n");
  write(places_.user, "output: json\nurl: http://user:1\n");
  write(places_.system, "output: wide\nreconnect_for: 1m\n");
  variables_["TRAINYARD_OUTPUT"] = "name";
  Config config = load().value();
  config.set_flag("output", "ndjson");
  std::vector<std::string> told;
  for (const ConfigValue& layer : config.layers("output")) told.push_back(std::string(name_of(layer.layer)) + "=" + layer.value);
  EXPECT_EQ(told,
            (std::vector<std::string>{"flag=ndjson", "environment=name", "project=yaml", "user=json", "system=wide", "default=table"}));
  EXPECT_EQ(config.value("output").where, "--output");
  EXPECT_EQ(config.value("url").value, "http://user:1");
  EXPECT_EQ(config.value("url").where, places_.user + ":2:1");
  EXPECT_EQ(config.value("reconnect_for").value, "1m");
  EXPECT_EQ(config.value("queue").layer, ConfigLayer::kPreset);
}

TEST_F(ConfigTest, faults_name_their_place) {
  write(places_.user, "# nothing yet\nulr: http://x\n");
  EXPECT_EQ(fault(), "user.yaml:2:1 config.unknown_key");
  EXPECT_NE(load().error().message.find("did you mean \"url\"?"), std::string::npos);
  write(places_.user, "url: [a, b]\n");
  EXPECT_EQ(fault(), "user.yaml:1:1 config.type");
  write(places_.user, "- url\n");
  EXPECT_EQ(fault(), "user.yaml:1:1 config.type");
  write(places_.user, "# only words\n");
  EXPECT_TRUE(load().ok());
}

TEST_F(ConfigTest, project_may_not_choose_tokens) {
  write(places_.project, "url: http://theirs:1\ntoken_file: /etc/shadow\n");
  EXPECT_EQ(fault(), "project.yaml:2:1 config.not_in_project");
  write(places_.project, "tokens: {\"http://theirs:1\": /etc/shadow}\n");
  EXPECT_EQ(fault().substr(0, 18), "project.yaml:1:1 c");
}

TEST_F(ConfigTest, server_of_a_project_gets_no_token_of_the_user) {
  write(places_.project, "url: http://theirs:1\n");
  write(places_.user, "token_file: mine.token\n");
  variables_["TRAINYARD_TOKEN_FILE"] = "/env.token";
  EXPECT_EQ(load()->address()->url, "http://theirs:1");
  EXPECT_EQ(load()->address()->token_file, "");
  Config told = load().value();
  told.set_flag("token_file", "/flag.token");
  EXPECT_EQ(told.address()->token_file, "/flag.token");
}

TEST_F(ConfigTest, token_that_is_kept_for_a_server_goes_to_it_alone) {
  write(places_.project, "url: http://theirs:1/\n");
  write(places_.user, "tokens:\n  \"http://theirs:1\": ~/theirs.token\n  http://other:2: other.token\n");
  EXPECT_EQ(load()->address()->token_file, root_ + "/theirs.token");
  variables_["TRAINYARD_URL"] = "http://other:2";
  EXPECT_EQ(load()->address()->token_file, root_ + "/other.token");
  variables_["TRAINYARD_URL"] = "http://third:3";
  EXPECT_EQ(load()->address()->token_file, "");
}

TEST_F(ConfigTest, server_and_token_of_the_user_go_together) {
  write(places_.user, "url: http://mine:1\ntoken_file: mine.token\n");
  EXPECT_EQ(load()->address()->url, "http://mine:1");
  EXPECT_EQ(load()->address()->token_file, root_ + "/mine.token");
  variables_["TRAINYARD_TOKEN_FILE"] = "/env.token";
  EXPECT_EQ(load()->address()->token_file, "/env.token");
}

TEST_F(ConfigTest, project_may_not_say_whom_to_trust_and_others_may) {
  write(places_.project, "ca_file: theirs.pem\n");
  EXPECT_EQ(fault(), "project.yaml:1:1 config.not_in_project");
  write(places_.project, "");
  write(places_.user, "url: https://mine:1\nca_file: mine.pem\n");
  EXPECT_EQ(load()->address()->ca_file, root_ + "/mine.pem");
  variables_["TRAINYARD_CA_FILE"] = "/env.pem";
  EXPECT_EQ(load()->address()->ca_file, "/env.pem");
  Config told = load().value();
  told.set_flag("ca_file", "/flag.pem");
  EXPECT_EQ(told.address()->ca_file, "/flag.pem");
}

TEST_F(ConfigTest, files_are_found_above_and_in_the_home) {
  ASSERT_TRUE(make_directories(root_ + "/p/deep/er").ok());
  write(root_ + "/p/trainyard.yaml", "output: json\n");
  const auto variables = [this](std::string_view name) -> std::optional<std::string> {
    return name == "HOME" ? std::optional(root_) : std::nullopt;
  };
  EXPECT_EQ(config_places(root_ + "/p/deep/er", variables).project, root_ + "/p/trainyard.yaml");
  EXPECT_EQ(config_places(root_ + "/p/deep/er", variables).user, root_ + "/.config/trainyard/config.yaml");
  ASSERT_TRUE(make_directories(root_ + "/p/deep/.git").ok());
  EXPECT_EQ(config_places(root_ + "/p/deep/er", variables).project, "") << "the search ends at the top of the project";
}

}  // namespace
}  // namespace trainyard::apps
