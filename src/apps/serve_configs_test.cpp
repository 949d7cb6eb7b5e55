#include "apps/serve_configs.h"

#include <gtest/gtest.h>

namespace trainyard::apps {
namespace {

TEST(ServeConfig, what_is_not_said_has_its_default) {
  const auto config = decode<ServeConfig>(parse_json(R"({"model_name":"fashion","model_uri":"ty://models/x.onnx"})").value());
  ASSERT_TRUE(config.ok()) << config.error().describe();
  EXPECT_EQ(config->model_version, 1);
  EXPECT_EQ(config->port, 0);
  EXPECT_EQ(config->max_batch, 32);
  EXPECT_FALSE(config->insecure_public);
}

TEST(ServeConfig, bad_values_are_refused_at_their_place) {
  EXPECT_EQ(decode<ServeConfig>(parse_json(R"({"model_name":"m"})").value()).error().id, "spec.missing_key");
  EXPECT_EQ(decode<ServeConfig>(parse_json(R"({"model_name":"m","model_uri":"x","instances":0})").value()).error().where, "/instances");
  EXPECT_EQ(decode<ServeConfig>(parse_json(R"({"model_name":"m","model_uri":"x","prot":1})").value()).error().id, "spec.unknown_key");
}

TEST(PredictConfig, encoding_is_one_of_two_words) {
  EXPECT_TRUE(decode<PredictConfig>(parse_json(R"({"url":"http://h:1","model_name":"m","encoding":"json"})").value()).ok());
  EXPECT_EQ(decode<PredictConfig>(parse_json(R"({"url":"http://h:1","model_name":"m","encoding":"xml"})").value()).error().id,
            "spec.choice");
}

}  // namespace
}  // namespace trainyard::apps
