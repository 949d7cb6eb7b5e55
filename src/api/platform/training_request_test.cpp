#include "api/platform/training_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/job_spec.h"

namespace trainyard::api {
namespace {

Document request_of(const char* json) { return parse_json(json).value(); }

Error refused(const char* json) {
  const Result<Document> spec = training_job_spec(request_of(json));
  EXPECT_FALSE(spec.ok()) << json;
  return spec.ok() ? Error{} : spec.error();
}

TEST(TrainingRequest, published_body_becomes_a_gang_that_trains_what_it_says) {
  const Document request = request_of(R"({"model_config": {"architecture": "resnet18", "num_classes": 10},
 "training_config": {"epochs": 10, "batch_size": 32, "learning_rate": 0.001, "world_size": 2},
 "dataset": "cifar10"})");
  ASSERT_TRUE(is_training_request(request));
  const Document document = training_job_spec(request).value();
  const Result<JobSpec> spec = job_spec_from(document);
  ASSERT_TRUE(spec.ok()) << spec.error().describe();
  EXPECT_EQ(spec->kind, "train");
  EXPECT_EQ(spec->tasks, 2);
  EXPECT_EQ(spec->resources.cpu.milli, 900);
  EXPECT_EQ(spec->inputs.at("data"), "cifar10");
  EXPECT_EQ(spec->config["model"]["name"].text(), "resnet18");
  EXPECT_EQ(spec->config["model"]["num_classes"].as_int().value(), 10);
  EXPECT_EQ(spec->config["epochs"].as_int().value(), 10);
  EXPECT_EQ(spec->config["batch_size"].as_int().value(), 32);
  EXPECT_EQ(spec->config["learning_rate"].as_double().value(), 0.001);
}

TEST(TrainingRequest, published_short_body_trains_the_cnn_on_fashion_mnist) {
  const Document request = request_of(R"({"training_config":{"epochs":2,"batch_size":32}})");
  ASSERT_TRUE(is_training_request(request));
  const JobSpec spec = job_spec_from(training_job_spec(request).value()).value();
  EXPECT_EQ(spec.tasks, 1);
  EXPECT_EQ(spec.resources.cpu.milli, 900);
  EXPECT_EQ(spec.inputs.at("data"), "fashion");
  EXPECT_EQ(spec.config["model"]["name"].text(), "cnn");
  EXPECT_EQ(spec.config["epochs"].as_int().value(), 2);
}

TEST(TrainingRequest, job_specs_are_no_training_requests) {
  EXPECT_FALSE(is_training_request(request_of(R"({"kind":"train","dataset":"x"})")));
  EXPECT_FALSE(is_training_request(request_of(R"({"command":["a"],"dataset":"x"})")));
  EXPECT_FALSE(is_training_request(request_of(R"({"name":"x"})")));
  EXPECT_FALSE(is_training_request(request_of(R"(["dataset"])")));
  EXPECT_TRUE(is_training_request(request_of(R"({"dataset":"x"})")));
  EXPECT_TRUE(is_training_request(request_of(R"({"model_config":{}})")));
}

TEST(TrainingRequest, unknown_key_is_refused_at_its_place_with_the_nearest) {
  const Error inner = refused(R"({"training_config":{"epoch":2}})");
  EXPECT_EQ(inner.id, "spec.unknown_key");
  EXPECT_EQ(inner.where, "/training_config/epoch");
  EXPECT_THAT(inner.message, ::testing::HasSubstr("epochs"));
  const Error outer = refused(R"({"training_config":{},"datset":"x"})");
  EXPECT_EQ(outer.where, "/datset");
  EXPECT_THAT(outer.message, ::testing::HasSubstr("dataset"));
}

TEST(TrainingRequest, wrong_types_and_ranges_are_refused_at_their_place) {
  EXPECT_EQ(refused(R"({"training_config":{"epochs":"many"}})").where, "/training_config/epochs");
  EXPECT_EQ(refused(R"({"training_config":{"epochs":"many"}})").id, "spec.type");
  EXPECT_EQ(refused(R"({"training_config":{"epochs":1.5}})").id, "spec.type");
  EXPECT_EQ(refused(R"({"training_config":{"epochs":0}})").id, "spec.range");
  EXPECT_EQ(refused(R"({"training_config":{"epochs":0}})").where, "/training_config/epochs");
  EXPECT_EQ(refused(R"({"training_config":{"learning_rate":0}})").id, "spec.range");
  EXPECT_EQ(refused(R"({"training_config":{"world_size":0}})").where, "/training_config/world_size");
  EXPECT_EQ(refused(R"({"training_config":{"batch_size":-1}})").id, "spec.range");
  EXPECT_EQ(refused(R"({"training_config":[]})").where, "/training_config");
  EXPECT_EQ(refused(R"({"dataset":5})").where, "/dataset");
  EXPECT_EQ(refused(R"({"model_config":{"num_classes":1}})").id, "spec.range");
  const Error choice = refused(R"({"model_config":{"architecture":"resnet50"}})");
  EXPECT_EQ(choice.id, "spec.choice");
  EXPECT_EQ(choice.where, "/model_config/architecture");
  EXPECT_THAT(choice.message, ::testing::HasSubstr("resnet18"));
}

}  // namespace
}  // namespace trainyard::api
