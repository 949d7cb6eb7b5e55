#include "runner/spec.h"

#include <gtest/gtest.h>

namespace trainyard::runner {
namespace {

constexpr std::string_view kSpec = R"({"job_id":"17","attempt":2,"kind":"train","name":"final","config":{"epochs":2},"object_root":"/o",
  "inputs":{"data":{"name":"fashion","layer":"curated","version":3,"rows":60000,"content_hash":"ab",
    "schema":[{"name":"label","type":"uint8"}],
    "files":[{"uri":"ty://p/a.pack","path":"/o/p/a.pack","size":785,"checksum":"xxh3:00","role":"pack:train","rows":1},
             {"uri":"ty://p/b.parquet","path":"/o/p/b","size":1,"checksum":"xxh3:01","role":"parquet","rows":1},
             {"uri":"ty://p/c.parquet","path":"/o/p/c","size":1,"checksum":"xxh3:02","role":"parquet","rows":1}]}},
  "outputs":{"data":{"name":"fashion","layer":"raw"}}})";

Result<RunnerSpec> read(std::string_view json) {
  ASSIGN_OR_RETURN(const Document document, parse_json(json));
  return runner_spec_from(document);
}

TEST(RunnerSpec, everything_the_server_writes_is_read) {
  const Result<RunnerSpec> spec = read(kSpec);
  ASSERT_TRUE(spec.ok()) << spec.error().describe();
  EXPECT_EQ(spec->job, JobId(17));
  EXPECT_EQ(spec->attempt, AttemptNumber(2));
  EXPECT_EQ(spec->config["epochs"], Document(2));
  const InputDataset data = spec->input("data").value();
  EXPECT_EQ(data.version, 3);
  EXPECT_EQ(data.files_of("parquet").size(), 2u);
  EXPECT_EQ(data.only_file_of("pack:train")->path, "/o/p/a.pack");
  EXPECT_EQ(spec->output("data")->layer, "raw");
}

TEST(RunnerSpec, missing_role_or_several_files_of_it_are_errors) {
  const InputDataset data = read(kSpec)->input("data").value();
  EXPECT_EQ(data.only_file_of("pack:test").error().id, "spec.input_file");
  EXPECT_EQ(data.only_file_of("parquet").error().id, "spec.input_file");
}

TEST(RunnerSpec, unknown_input_is_an_error_that_names_those_there_are) {
  const Error error = read(kSpec)->input("images").error();
  EXPECT_EQ(error.id, "spec.input");
  EXPECT_NE(error.message.find("data"), std::string::npos);
}

TEST(RunnerSpec, spec_without_job_or_kind_is_refused) {
  EXPECT_FALSE(read(R"({"kind":"train"})").ok());
  EXPECT_FALSE(read(R"({"job_id":"1"})").ok());
  EXPECT_FALSE(read(R"({"job_id":"1","kind":"train","attempt":0})").ok());
  EXPECT_FALSE(read(R"([1])").ok());
}

}  // namespace
}  // namespace trainyard::runner
