#include "apps/server/runners.h"

#include <gtest/gtest.h>

namespace trainyard::apps {
namespace {

Result<void> check(const std::string& yaml) {
  const Result<JobSpec> spec = job_spec_from(parse_yaml(yaml, "job.yaml").value());
  EXPECT_TRUE(spec.ok()) << yaml;
  return check_runner(*spec);
}

/// "WHERE ID" of the error, "" for none.
std::string fault(const std::string& yaml) {
  const Result<void> checked = check(yaml);
  return checked.ok() ? "" : checked.error().where + " " + checked.error().id;
}

TEST(CheckRunner, configurations_that_the_programs_take_pass) {
  EXPECT_EQ(fault("{kind: train, config: {model: {name: mlp}, steps: 5}}"), "");
  EXPECT_EQ(fault("{kind: train}"), "");
  EXPECT_EQ(fault("{kind: curate, config: {seed: 3}}"), "");
  EXPECT_EQ(fault("{kind: serve, config: {model_name: a, model_uri: /m.onnx}}"), "");
  EXPECT_EQ(fault("{kind: predict, config: {model_name: a, url: 'http://h:1'}}"), "");
  EXPECT_EQ(fault("{kind: ingest, config: {sources: [{path: a.csv, format: csv}]}}"), "");
  EXPECT_EQ(fault("{command: [ls], config: {whatever: 1}}"), "");
}

TEST(CheckRunner, unknown_kind_names_the_nearest_one) {
  EXPECT_EQ(fault("{kind: trian}"), "/kind spec.kind");
  EXPECT_NE(check("{kind: trian}").error().message.find("did you mean \"train\"?"), std::string::npos);
}

TEST(CheckRunner, faults_of_a_configuration_stand_at_their_place) {
  EXPECT_EQ(fault("kind: train\nconfig:\n  stepz: 5\n"), "job.yaml:3:3 spec.unknown_key");
  EXPECT_EQ(fault("kind: train\nconfig:\n  model: {nmae: mlp}\n"), "job.yaml:3:11 spec.unknown_key");
  EXPECT_EQ(fault("kind: train\nconfig:\n  steps: -1\n"), "job.yaml:3:3 spec.range");
  EXPECT_EQ(fault("kind: serve\nconfig:\n  model_name: a\n"), "job.yaml:2:1 spec.missing_key");
}

TEST(CheckRunner, sources_that_do_not_belong_together_stand_at_their_place) {
  EXPECT_EQ(fault("kind: ingest\nconfig:\n  sources:\n    - {path: a, format: idx_images}\n"), "job.yaml:4:7 ingest.sources");
  EXPECT_EQ(fault("kind: ingest\nconfig:\n  sources:\n    - {path: a, format: csv, sha256: beef}\n"), "job.yaml:4:30 ingest.sources");
}

TEST(CheckRunner, references_have_no_value_yet_and_are_not_judged) {
  EXPECT_EQ(fault("{kind: train, config: {steps: '${tasks.a.result.n}', model: {width: '${tasks.a.result.w}'}}}"), "");
  EXPECT_EQ(fault("{kind: serve, config: {model_name: a, model_uri: '${tasks.a.result.uri}'}}"), "");
  EXPECT_EQ(fault("{kind: ingest, config: {sources: [{path: '${tasks.a.result.file}', format: csv}]}}"), "");
  EXPECT_EQ(fault("{kind: ingest, config: {sources: ['${tasks.a.result.source}']}}"), "");
}

TEST(CheckRunner, faults_beside_references_are_found) {
  EXPECT_EQ(fault("kind: train\nconfig:\n  steps: '${tasks.a.result.n}'\n  batchsize: 3\n"), "job.yaml:4:3 spec.unknown_key");
  EXPECT_EQ(fault("kind: train\nconfig:\n  stepz: '${tasks.a.result.n}'\n"), "job.yaml:3:3 spec.unknown_key");
  EXPECT_EQ(fault("kind: serve\nconfig:\n  model_uri: '${tasks.a.result.uri}'\n  model_nmae: a\n"), "job.yaml:2:1 spec.missing_key");
}

}  // namespace
}  // namespace trainyard::apps
