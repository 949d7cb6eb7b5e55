#include "apps/described_flags.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "base/describe.h"

namespace trainyard::apps {
namespace {

struct YardSettings {
  std::int64_t port = 80;
  std::string host = "here";
  Duration lease{15'000'000};
  bool workers = true;
  bool verbose = false;

  void describe(FieldVisitor& fields) {
    fields.field("port", port, {.min = 0, .max = 100}, "Where to listen.");
    fields.field("host", host, "Who listens.");
    fields.field("lease", lease, "How long.");
    fields.field("workers", workers, "the workers.");
    fields.field("verbose", verbose, "Say more.");
  }
};

class DescribedFlagsTest : public ::testing::Test {
 protected:
  DescribedFlagsTest() { add_described_flags(app_, schema_of<YardSettings>(), given_); }

  Result<YardSettings> parse(std::vector<std::string> words) {
    app_.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    return decode<YardSettings>(given_);
  }

  CLI::App app_{"A yard.", "yard"};
  Document given_ = Document::object();
};

TEST_F(DescribedFlagsTest, values_are_taken_and_the_rest_keeps_its_default) {
  const Result<YardSettings> settings = parse({"--port", "7", "--lease=1m", "--no-workers", "--verbose"});
  ASSERT_TRUE(settings.ok()) << settings.error().describe();
  EXPECT_EQ(settings->port, 7);
  EXPECT_EQ(settings->host, "here");
  EXPECT_EQ(settings->lease, Duration(60'000'000));
  EXPECT_FALSE(settings->workers);
  EXPECT_TRUE(settings->verbose);
}

TEST_F(DescribedFlagsTest, value_out_of_range_is_an_error_at_the_flag) {
  const Result<YardSettings> settings = parse({"--port", "101"});
  ASSERT_FALSE(settings.ok());
  EXPECT_EQ(settings.error().id, "spec.range");
  EXPECT_EQ(settings.error().where, "--port");
}

TEST_F(DescribedFlagsTest, help_shows_type_bounds_default_and_sentence) {
  const std::string help = app_.help();
  EXPECT_NE(help.find("--port 0..100 [80]"), std::string::npos) << help;
  EXPECT_NE(help.find("--lease TEXT [15s]"), std::string::npos) << help;
  EXPECT_NE(help.find("Where to listen."), std::string::npos) << help;
  EXPECT_NE(help.find("--no-workers"), std::string::npos) << help;
  EXPECT_NE(help.find("Turns off the workers."), std::string::npos) << help;
}

TEST_F(DescribedFlagsTest, unknown_flag_is_refused) { EXPECT_THROW(parse({"--prot", "1"}), CLI::ExtrasError); }

}  // namespace
}  // namespace trainyard::apps
