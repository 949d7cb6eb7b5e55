#include "data/synthetic.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "data/pack.h"
#include "store/testing/fake_object_store.h"

namespace trainyard::data {
namespace {

class SyntheticTest : public ::testing::Test {
 protected:
  ~SyntheticTest() override { EXPECT_TRUE(remove_tree(scratch).ok()); }
  VersionDraft make(const std::string& name) { return make_synthetic_dataset(name, objects, scratch).value(); }

  std::string scratch = make_temporary_directory("synthetic-test-").value();
  store::testing::FakeObjectStore objects;
};

TEST_F(SyntheticTest, stand_in_has_the_shape_of_the_dataset_it_replaces) {
  EXPECT_EQ(make("fashion").schema[1].type, "uint8[1,28,28]");
  EXPECT_EQ(make("cifar10").schema[1].type, "uint8[3,32,32]");
  EXPECT_EQ(make("cifar100").properties["classes"].as_int().value(), 100);
}

TEST_F(SyntheticTest, stand_in_says_what_it_is_and_is_whole) {
  const VersionDraft draft = make("fashion");
  EXPECT_TRUE(is_synthetic(draft));
  EXPECT_FALSE(is_synthetic(VersionDraft{}));
  EXPECT_EQ(draft.rows, 2'600);
  ASSERT_EQ(draft.files.size(), 3u);
  EXPECT_EQ(draft.files[0].role, "pack:train");
  for (const DatasetFile& file : draft.files) {
    const store::ObjectInfo info = objects.stat(store::parse_object_uri(file.uri).value()).value();
    EXPECT_EQ(info.checksum, file.checksum);
    EXPECT_EQ(info.size, static_cast<std::uint64_t>(file.size));
  }
}

TEST_F(SyntheticTest, same_name_gives_the_same_bytes_and_another_name_others) {
  EXPECT_EQ(make("fashion").content_hash, make("fashion").content_hash);
  EXPECT_NE(make("fashion").content_hash, make("mnist").content_hash);
}

TEST_F(SyntheticTest, bad_name_is_refused) { EXPECT_EQ(make_synthetic_dataset("../x", objects, scratch).error().id, "dataset.name"); }

}  // namespace
}  // namespace trainyard::data
