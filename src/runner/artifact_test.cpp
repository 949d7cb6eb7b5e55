#include "runner/artifact.h"

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "base/file.h"
#include "store/testing/fake_object_store.h"

namespace trainyard::runner {
namespace {

TEST(Artifact, file_is_stored_under_its_content) {
  const std::string directory = make_temporary_directory("trainyard-artifact-").value();
  const std::string content(3'000'000, 'x');
  ASSERT_TRUE(write_file_atomically(directory + "/model", content).ok());
  store::testing::FakeObjectStore objects;
  const ArtifactPlace place{.name = "model.onnx", .bucket = "models", .extension = ".onnx"};
  const Result<ArtifactEvent> artifact = put_object(objects, place, directory + "/model");
  ASSERT_TRUE(artifact.ok()) << artifact.error().describe();
  const std::string hash = xxh3_hex(as_bytes(content));
  EXPECT_EQ(artifact->uri, "ty://models/" + hash + ".onnx");
  EXPECT_EQ(artifact->checksum, "xxh3:" + hash);
  EXPECT_EQ(artifact->size, content.size());
  EXPECT_EQ(read_object(objects, {"models/" + hash + ".onnx"}, content.size()).value(), content);
  EXPECT_TRUE(put_object(objects, place, directory + "/model").ok()) << "the same bytes again are no error";
  EXPECT_TRUE(remove_tree(directory).ok());
}

}  // namespace
}  // namespace trainyard::runner
