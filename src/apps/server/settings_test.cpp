#include "apps/server/settings.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace trainyard::apps {
namespace {

/// The flags as the command line collects them: texts by name.
Document flags(std::vector<std::pair<std::string, Document>> given) {
  Document flags = Document::object();
  for (auto& [name, value] : given) flags.set(name, std::move(value)).set_where("--" + name);
  return flags;
}

TEST(ServerSettings, texts_of_flags_set_every_kind_of_field) {
  const Result<ServerSettings> settings = read_server_settings("", flags({{"data", "/d"},
                                                                          {"port", "0"},
                                                                          {"cpus", "3500m"},
                                                                          {"memory", "2GiB"},
                                                                          {"lease", "5s"},
                                                                          {"agent", false},
                                                                          {"datasets.synthetic-fallback", true},
                                                                          {"lifeline", "9"}}));
  ASSERT_TRUE(settings.ok()) << settings.error().describe();
  EXPECT_EQ(settings->data, "/d");
  EXPECT_EQ(settings->port, 0);
  EXPECT_EQ(settings->cpus.milli, 3500);
  EXPECT_EQ(settings->memory.bytes, std::int64_t{2} << 30);
  EXPECT_EQ(settings->lease, Duration(5'000'000));
  EXPECT_FALSE(settings->embedded_agent);
  EXPECT_TRUE(settings->synthetic_fallback);
  EXPECT_EQ(settings->lifeline, 9);
}

TEST(ServerSettings, nothing_given_keeps_the_defaults) {
  const Result<ServerSettings> settings = read_server_settings("", Document::object());
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->port, 8470);
  EXPECT_TRUE(settings->embedded_agent);
  EXPECT_FALSE(settings->verbose);
}

TEST(ServerSettings, faulty_value_names_the_flag) {
  const Result<ServerSettings> range = read_server_settings("", flags({{"port", "65536"}}));
  ASSERT_FALSE(range.ok());
  EXPECT_EQ(range.error().id, "spec.range");
  EXPECT_EQ(range.error().where, "--port");
  const Result<ServerSettings> type = read_server_settings("", flags({{"port", "many"}}));
  ASSERT_FALSE(type.ok());
  EXPECT_EQ(type.error().where, "--port");
}

TEST(ServerSettings, spans_too_short_to_work_are_refused_with_their_range) {
  for (const auto& [flag, value] : std::vector<std::pair<std::string, std::string>>{{"lease", "1ms"},
                                                                                    {"lease", "0s"},
                                                                                    {"lease", "499ms"},
                                                                                    {"lease", "25h"},
                                                                                    {"takeover", "0s"},
                                                                                    {"takeover", "900ms"},
                                                                                    {"takeover", "2h"}}) {
    const Result<ServerSettings> settings = read_server_settings("", flags({{flag, value}}));
    ASSERT_FALSE(settings.ok()) << flag << " " << value;
    EXPECT_EQ(settings.error().id, "server.span");
    EXPECT_EQ(settings.error().where, "--" + flag);
    EXPECT_NE(settings.error().message.find(flag == "lease" ? "between 500ms and 1d" : "between 1s and 1h"), std::string::npos)
        << settings.error().message;
  }
  EXPECT_TRUE(read_server_settings("", flags({{"lease", "500ms"}, {"takeover", "1s"}})).ok());
}

TEST(ServerSettings, certificate_without_its_key_and_the_other_way_round_are_told_apart) {
  const Result<ServerSettings> no_key = read_server_settings("", flags({{"tls-cert", "/yard.pem"}}));
  ASSERT_FALSE(no_key.ok());
  EXPECT_EQ(no_key.error().id, "server.tls");
  EXPECT_NE(no_key.error().message.find("--tls-cert needs --tls-key, which is missing"), std::string::npos) << no_key.error().message;
  const Result<ServerSettings> no_certificate = read_server_settings("", flags({{"tls-key", "/yard.key"}}));
  ASSERT_FALSE(no_certificate.ok());
  EXPECT_NE(no_certificate.error().message.find("--tls-key needs --tls-cert"), std::string::npos) << no_certificate.error().message;
}

TEST(ServerSettings, name_of_a_node_that_no_route_can_name_is_refused) {
  for (const char* name : {"bad name!", "a/b", "", ".hidden"}) {
    const Result<ServerSettings> settings = read_server_settings("", flags({{"node", name}}));
    ASSERT_FALSE(settings.ok()) << name;
    EXPECT_EQ(settings.error().id, "access.node_name");
    EXPECT_EQ(settings.error().where, "--node");
  }
}

TEST(ServerSettings, flags_win_over_the_file) {
  const std::string directory = make_temporary_directory("trainyard-settings-").value();
  const std::string file = directory + "/server.yaml";
  ASSERT_TRUE(write_file_durably(file, "port: 9000\nhost: 127.0.0.2\nagent: false\n").ok());
  const Result<ServerSettings> settings = read_server_settings(file, flags({{"port", "9001"}}));
  ASSERT_TRUE(settings.ok()) << settings.error().describe();
  EXPECT_EQ(settings->port, 9001);
  EXPECT_EQ(settings->host, "127.0.0.2");
  EXPECT_FALSE(settings->embedded_agent);
  ASSERT_TRUE(write_file_durably(file, "prot: 9000\n").ok());
  const Result<ServerSettings> faulty = read_server_settings(file, Document::object());
  ASSERT_FALSE(faulty.ok());
  EXPECT_EQ(faulty.error().id, "spec.unknown_key");
  EXPECT_NE(faulty.error().where.find("server.yaml:1:"), std::string::npos) << faulty.error().where;
  EXPECT_TRUE(remove_tree(directory).ok());
}

}  // namespace
}  // namespace trainyard::apps
