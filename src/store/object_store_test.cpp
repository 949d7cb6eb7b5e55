#include "store/object_store.h"

#include <gtest/gtest.h>

#include "store/testing/fake_object_store.h"
#include "store/testing/faulty_object_store.h"
#include "store/testing/object_sources.h"

namespace trainyard::store {
namespace {

TEST(ObjectName, name_of_a_bucket_and_a_key_is_parsed) {
  for (const char* text : {"b/k", "b/k/l/m", "b-1/k=v/.hidden/..two", "B_/9"}) {
    const Result<ObjectName> name = parse_object_name(text);
    ASSERT_TRUE(name.ok()) << text;
    EXPECT_EQ(name->text, text);
  }
}

TEST(ObjectName, name_with_a_long_segment_or_a_long_text_is_refused) {
  EXPECT_TRUE(parse_object_name("b/" + std::string(200, 'k')).ok());
  EXPECT_FALSE(parse_object_name("b/" + std::string(201, 'k')).ok());
  std::string deep = "b";
  while (deep.size() < 1025) deep += "/k";
  EXPECT_FALSE(parse_object_name(deep).ok());
}

TEST(ObjectName, uri_round_trips_and_other_schemes_are_refused) {
  const Result<ObjectName> name = parse_object_uri("ty://models/a.onnx");
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(object_uri(*name), "ty://models/a.onnx");
  for (const char* uri : {"s3://models/a", "ty:/models/a", "ty://models", "ty://../a", "ty:///a/b", "models/a", ""}) {
    const Result<ObjectName> refused = parse_object_uri(uri);
    ASSERT_FALSE(refused.ok()) << uri;
    EXPECT_EQ(refused.error().id, "object.uri");
    EXPECT_EQ(refused.error().category, Category::kInvalidArgument);
  }
}

TEST(ReadObject, object_larger_than_the_limit_is_refused) {
  testing::FakeObjectStore objects;
  ASSERT_TRUE(testing::put_text(objects, {"b/x"}, "12345").ok());
  EXPECT_EQ(read_object(objects, {"b/x"}, 5).value(), "12345");
  const Result<std::string> refused = read_object(objects, {"b/x"}, 4);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().category, Category::kResourceExhausted);
  EXPECT_EQ(refused.error().id, "io.too_large");
}

TEST(FaultyObjectStore, only_the_call_asked_for_fails) {
  testing::FakeObjectStore objects;
  testing::FaultyObjectStore faulty(objects);
  faulty.fail_call(2);
  EXPECT_TRUE(testing::put_text(faulty, {"b/x"}, "1").ok());
  const Result<ObjectInfo> failed = faulty.stat({"b/x"});
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().id, "store.injected");
  EXPECT_TRUE(faulty.stat({"b/x"}).ok());
}

}  // namespace
}  // namespace trainyard::store
