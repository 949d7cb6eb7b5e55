#include "runner/server.h"

#include <gtest/gtest.h>

namespace trainyard::runner {
namespace {

TEST(ServerConnection, environment_without_a_server_is_an_error) {
  EXPECT_EQ(ServerConnection::make(Environment{}).error().id, "runner.no_server");
}

TEST(ServerConnection, missing_token_file_is_an_error) {
  Environment environment;
  environment.api_url = "http://127.0.0.1:1";
  environment.token_file = "/nowhere/token";
  EXPECT_EQ(ServerConnection::make(environment).error().category, Category::kNotFound);
}

}  // namespace
}  // namespace trainyard::runner
