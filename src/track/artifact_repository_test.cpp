#include "track/artifact_repository.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "track/testing/tracking_fixture.h"

namespace trainyard::track {
namespace {

class ArtifactRepositoryTest : public testing::TrackingTest {
 protected:
  ArtifactRepository& artifacts() { return tracking.artifacts(); }
  void put(const std::string& path, std::string_view text) { ASSERT_TRUE(artifacts().put(path, as_bytes(text)).ok()) << path; }
  std::string text_of(const std::string& path) {
    const auto object = artifacts().find(path);
    return object.ok() ? artifacts().read(*object, 0, 1000).value() : object.error().message;
  }
  std::vector<std::string> names_in(const std::string& directory) {
    std::vector<std::string> names;
    const std::vector<ArtifactEntry> entries = artifacts().list(directory).value();
    for (const ArtifactEntry& entry : entries) names.push_back(entry.path + (entry.directory ? "/" : ""));
    return names;
  }
};

TEST_F(ArtifactRepositoryTest, file_is_read_back_and_can_be_replaced) {
  put("1/r/artifacts/a b.txt", "one");
  EXPECT_EQ(text_of("1/r/artifacts/a b.txt"), "one");
  put("1/r/artifacts/a b.txt", "two");
  EXPECT_EQ(text_of("1/r/artifacts/a b.txt"), "two");
  EXPECT_EQ(artifacts().read(artifacts().find("1/r/artifacts/a b.txt").value(), 1, 1).value(), "w");
  EXPECT_EQ(text_of("1/r/none"), "No such artifact: '1/r/none'");
  EXPECT_EQ(artifacts().find("1/r").error().category, Category::kInvalidArgument);
}

TEST_F(ArtifactRepositoryTest, listing_shows_what_lies_directly_in_a_directory) {
  put("1/r/b", "x");
  put("1/r/a/c", "x");
  put("1/r/a/d/e", "");
  EXPECT_EQ(names_in("1/r"), (std::vector<std::string>{"1/r/a/", "1/r/b"}));
  EXPECT_EQ(names_in("1/r/a"), (std::vector<std::string>{"1/r/a/c", "1/r/a/d/"}));
  EXPECT_EQ(names_in(""), (std::vector<std::string>{"1/"}));
  EXPECT_TRUE(names_in("none").empty());
}

TEST_F(ArtifactRepositoryTest, file_cannot_become_a_directory) {
  put("1/a", "x");
  EXPECT_FALSE(artifacts().put("1/a/b", as_bytes("y")).ok());
  EXPECT_FALSE(artifacts().put("1", as_bytes("y")).ok());
  EXPECT_FALSE(artifacts().put("", as_bytes("y")).ok());
}

TEST_F(ArtifactRepositoryTest, removal_takes_everything_below_and_empty_parents) {
  put("1/r/a/b/c", "x");
  put("1/r/a/d", "x");
  put("1/s", "x");
  ASSERT_TRUE(artifacts().remove("1/r").ok());
  EXPECT_EQ(names_in("1"), (std::vector<std::string>{"1/s"}));
  ASSERT_TRUE(artifacts().remove("1/s").ok());
  EXPECT_TRUE(names_in("").empty());
  EXPECT_TRUE(artifacts().remove("1/s").ok());
}

TEST_F(ArtifactRepositoryTest, stored_object_can_be_shown_as_a_file) {
  store::SpanSource source(as_bytes("model"));
  const store::ObjectInfo object = objects.put_if_absent({"models/x.onnx"}, source).value();
  ASSERT_TRUE(artifacts().link("1/r/artifacts/model.onnx", object).ok());
  EXPECT_EQ(text_of("1/r/artifacts/model.onnx"), "model");
}

TEST(ArtifactPath, dangerous_paths_are_refused_however_they_are_quoted) {
  for (const char* path :
       {"/etc/passwd", "../x", "a/../b", "a/..", "%2e%2e/x", "%252e%252e/x", "a\\b", "a#b", "file:/etc", "a/%2e%2E/b", "%2fetc", "a%00b"}) {
    EXPECT_EQ(check_artifact_path(path).error().message, "Invalid path") << path;
  }
}

TEST(ArtifactPath, paths_are_brought_to_their_normal_form) {
  EXPECT_EQ(check_artifact_path("a//b/./c").value(), "a/b/c");
  EXPECT_EQ(check_artifact_path("").value(), "");
  EXPECT_EQ(check_artifact_path(".").value(), "");
  EXPECT_EQ(check_artifact_path("a b/%C3%A9").value(), "a b/\xc3\xa9");
  EXPECT_EQ(check_artifact_path("..a/b..").value(), "..a/b..");
  EXPECT_EQ(artifact_path_of("mlflow-artifacts:/1/r").value(), "1/r");
  EXPECT_EQ(artifact_path_of("mlflow-artifacts:/").value(), "");
  EXPECT_EQ(artifact_path_of("s3://b").error().id, "track.artifact_uri");
}

}  // namespace
}  // namespace trainyard::track
