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
