#include "runner/environment.h"

#include <gtest/gtest.h>

#include <map>

namespace trainyard::runner {
namespace {

using Variables = std::map<std::string, std::string>;

Variables complete() {
  return {{"TRAINYARD_JOB_ID", "17"},
          {"TRAINYARD_ATTEMPT", "3"},
          {"TRAINYARD_API_URL", "http://127.0.0.1:8470"},
          {"TRAINYARD_TOKEN_FILE", "/w/token"},
          {"TRAINYARD_CA_FILE", "/w/ca.pem"},
          {"TRAINYARD_SPEC", "/w/spec.json"},
          {"TRAINYARD_WORKDIR", "/w"},
          {"TRAINYARD_CHECKPOINT_URI", "file:///c/17"},
          {"RANK", "1"},
          {"LOCAL_RANK", "1"},
          {"WORLD_SIZE", "2"},
          {"LOCAL_WORLD_SIZE", "2"},
          {"MASTER_ADDR", "127.0.0.1"},
          {"MASTER_PORT", "29500"},
          {"OMP_NUM_THREADS", "2"}};
}

Result<Environment> read(const Variables& variables) {
  return environment_from([&variables](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(Environment, complete_variables_are_read) {
  const Result<Environment> environment = read(complete());
  ASSERT_TRUE(environment.ok()) << environment.error().describe();
  EXPECT_EQ(environment->rank, (RankKey{{JobId(17), AttemptNumber(3)}, 1}));
  EXPECT_EQ(environment->world_size, 2u);
  EXPECT_EQ(environment->ca_file, "/w/ca.pem");
  EXPECT_EQ(environment->checkpoint_directory, "/c/17");
  EXPECT_EQ(environment->master_port, 29500);
  EXPECT_EQ(environment->threads, 2);
  EXPECT_FALSE(environment->is_first_rank());
}

TEST(Environment, spec_and_workdir_suffice_for_a_rank_of_its_own) {
  const Result<Environment> environment = read({{"TRAINYARD_SPEC", "/s"}, {"TRAINYARD_WORKDIR", "/w"}});
  ASSERT_TRUE(environment.ok());
  EXPECT_EQ(environment->world_size, 1u);
  EXPECT_TRUE(environment->is_first_rank());
  EXPECT_TRUE(environment->checkpoint_directory.empty());
}

TEST(Environment, faulty_variable_is_an_error_that_names_it) {
  for (const auto& [name, value] : Variables{{"RANK", "2"},
                                             {"WORLD_SIZE", "0"},
                                             {"TRAINYARD_JOB_ID", "x"},
                                             {"TRAINYARD_ATTEMPT", "-1"},
                                             {"TRAINYARD_SPEC", ""},
                                             {"TRAINYARD_WORKDIR", "relative"},
                                             {"TRAINYARD_CHECKPOINT_URI", "s3://bucket"},
                                             {"MASTER_PORT", "70000"},
                                             {"OMP_NUM_THREADS", "1x"}}) {
    Variables variables = complete();
    variables[name] = value;
    const Result<Environment> environment = read(variables);
    ASSERT_FALSE(environment.ok()) << name;
    EXPECT_EQ(environment.error().id, "runner.environment");
    EXPECT_EQ(environment.error().where, name);
  }
}

}  // namespace
}  // namespace trainyard::runner
