#pragma once
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "base/checksum.h"
#include "store/testing/object_sources.h"

namespace trainyard::store::testing {

/// What every ObjectStore does. `Harness` is default-constructible and has `ObjectStore& objects()`, `void reopen()`, which leaves the
/// store as a restarted process finds it, and `void damage(name, at)`, which flips a bit of the stored bytes.
template <typename Harness>
class ObjectStoreContract : public ::testing::Test {
 protected:
  ObjectStore& objects() { return harness_.objects(); }
  void put(const std::string& name, std::string_view text) {
    const Result<ObjectInfo> stored = put_text(objects(), {name}, text);
    ASSERT_TRUE(stored.ok()) << stored.error().describe();
  }
  std::string id_of(const Result<void>& result) { return result.ok() ? "ok" : result.error().id; }
  std::string get(const std::string& name) {
    const Result<std::string> text = read_object(objects(), {name}, std::size_t{64} << 20);
    return text.ok() ? *text : text.error().id;
  }
  std::vector<std::string> names(std::string_view prefix) {
    const Result<std::vector<ObjectInfo>> found = objects().list(prefix);
    EXPECT_TRUE(found.ok()) << found.error().describe();
    std::vector<std::string> list;
    if (found.ok()) {
      for (const ObjectInfo& info : *found) list.push_back(info.name.text);
    }
    return list;
  }

  Harness harness_;
};

TYPED_TEST_SUITE_P(ObjectStoreContract);

TYPED_TEST_P(ObjectStoreContract, stored_object_is_read_after_a_restart) {
  const Result<ObjectInfo> stored = put_text(this->objects(), {"models/a/1"}, "weights");
  ASSERT_TRUE(stored.ok()) << stored.error().describe();
  EXPECT_EQ(stored->name.text, "models/a/1");
  EXPECT_EQ(stored->size, 7u);
  EXPECT_EQ(stored->checksum, "xxh3:" + xxh3_hex(as_bytes("weights")));
  this->harness_.reopen();
  EXPECT_EQ(this->get("models/a/1"), "weights");
  const Result<ObjectInfo> info = this->objects().stat({"models/a/1"});
  ASSERT_TRUE(info.ok()) << info.error().describe();
  EXPECT_EQ(info->size, 7u);
  EXPECT_EQ(info->checksum, stored->checksum);
  EXPECT_TRUE(this->objects().verify({"models/a/1"}).ok());
}

TYPED_TEST_P(ObjectStoreContract, empty_object_is_an_object) {
  this->put("b/empty", "");
  this->harness_.reopen();
  EXPECT_EQ(this->get("b/empty"), "");
  EXPECT_TRUE(this->objects().verify({"b/empty"}).ok());
  EXPECT_EQ(this->names("b/"), (std::vector<std::string>{"b/empty"}));
}

TYPED_TEST_P(ObjectStoreContract, missing_object_is_not_found) {
  this->put("b/there/too", "x");
  std::byte buffer[1];
  for (const char* name : {"b/missing", "nothing/here", "b/there", "b/there/too/deep"}) {
    const Result<ObjectInfo> info = this->objects().stat({name});
    ASSERT_FALSE(info.ok()) << name;
    EXPECT_EQ(info.error().category, Category::kNotFound);
    EXPECT_EQ(info.error().id, "object.missing");
    const Result<std::size_t> got = this->objects().read({name}, 0, buffer);
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.error().id, "object.missing");
    EXPECT_EQ(this->id_of(this->objects().verify({name})), "object.missing");
  }
}

TYPED_TEST_P(ObjectStoreContract, same_bytes_again_succeed_and_other_bytes_do_not) {
  this->put("b/x", "one");
  const Result<ObjectInfo> again = put_text(this->objects(), {"b/x"}, "one");
  ASSERT_TRUE(again.ok()) << again.error().describe();
  EXPECT_EQ(again->size, 3u);
  const Result<ObjectInfo> other = put_text(this->objects(), {"b/x"}, "two");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().category, Category::kAlreadyExists);
  EXPECT_EQ(other.error().id, "object.exists");
  EXPECT_EQ(this->get("b/x"), "one");
}

TYPED_TEST_P(ObjectStoreContract, name_that_leaves_its_bucket_is_refused) {
  for (const char* name : {"", "b", "b/", "/b/x", "b//x", "b/../x", "../b/x", "b/./x", "b/x y", "b/\xc3\xa9", "b/x\n"}) {
    const Result<ObjectInfo> stored = put_text(this->objects(), {name}, "x");
    ASSERT_FALSE(stored.ok()) << name;
    EXPECT_EQ(stored.error().id, "object.name") << name;
  }
  EXPECT_TRUE(this->names("").empty());
}

TYPED_TEST_P(ObjectStoreContract, range_is_read_and_is_short_only_at_the_end) {
  this->put("b/x", "0123456789");
  std::string buffer(4, '-');
  const auto read = [&](std::uint64_t offset) {
    const Result<std::size_t> got = this->objects().read({"b/x"}, offset, std::as_writable_bytes(std::span(buffer)));
    EXPECT_TRUE(got.ok()) << got.error().describe();
    return got.ok() ? buffer.substr(0, *got) : got.error().id;
  };
  EXPECT_EQ(read(0), "0123");
  EXPECT_EQ(read(3), "3456");
  EXPECT_EQ(read(8), "89");
  EXPECT_EQ(read(10), "");
  EXPECT_EQ(read(1'000'000'000'000), "");
}

TYPED_TEST_P(ObjectStoreContract, object_of_many_chunks_is_stored_whole) {
  std::string bytes;
  for (std::size_t i = 0; i < 3'000'000; ++i) bytes += static_cast<char>((i * 2654435761u) >> 13);
  ChunkedSource source(bytes, 65'537);
  const Result<ObjectInfo> stored = this->objects().put_if_absent({"packs/big.pack"}, source);
  ASSERT_TRUE(stored.ok()) << stored.error().describe();
  EXPECT_EQ(stored->size, bytes.size());
  EXPECT_EQ(stored->checksum, "xxh3:" + xxh3_hex(as_bytes(bytes)));
  EXPECT_TRUE(this->get("packs/big.pack") == bytes);
  EXPECT_TRUE(this->objects().verify({"packs/big.pack"}).ok());
}

TYPED_TEST_P(ObjectStoreContract, source_that_fails_leaves_nothing) {
  ChunkedSource source("half of it", 4);
  source.fail_at_end();
  const Result<ObjectInfo> stored = this->objects().put_if_absent({"b/x"}, source);
  ASSERT_FALSE(stored.ok());
  EXPECT_EQ(stored.error().id, "source.injected");
  EXPECT_TRUE(this->names("").empty());
  this->put("b/x", "whole");
  EXPECT_EQ(this->get("b/x"), "whole");
}

TYPED_TEST_P(ObjectStoreContract, list_is_sorted_by_name_and_cut_by_prefix) {
  for (const char* name : {"b/p/2", "b/p-1", "b/p/10", "b/q", "c/p/1", "bb/x"}) this->put(name, name);
  EXPECT_EQ(this->names(""), (std::vector<std::string>{"b/p-1", "b/p/10", "b/p/2", "b/q", "bb/x", "c/p/1"}));
  EXPECT_EQ(this->names("b/"), (std::vector<std::string>{"b/p-1", "b/p/10", "b/p/2", "b/q"}));
  EXPECT_EQ(this->names("b"), (std::vector<std::string>{"b/p-1", "b/p/10", "b/p/2", "b/q", "bb/x"}));
  EXPECT_EQ(this->names("b/p/"), (std::vector<std::string>{"b/p/10", "b/p/2"}));
  EXPECT_EQ(this->names("b/p/1"), (std::vector<std::string>{"b/p/10"}));
  EXPECT_TRUE(this->names("b/z/z").empty());
  EXPECT_TRUE(this->names("../").empty());
  const Result<std::vector<ObjectInfo>> found = this->objects().list("b/q");
  ASSERT_TRUE(found.ok() && found->size() == 1);
  EXPECT_EQ(found->front().size, 3u);
  EXPECT_EQ(found->front().checksum, "xxh3:" + xxh3_hex(as_bytes("b/q")));
}

TYPED_TEST_P(ObjectStoreContract, removed_object_is_gone_and_its_name_free) {
  this->put("b/x/y", "one");
  ASSERT_TRUE(this->objects().remove({"b/x/y"}).ok());
  ASSERT_TRUE(this->objects().remove({"b/x/y"}).ok()) << "removal is repeated after crashes";
  ASSERT_TRUE(this->objects().remove({"never/there"}).ok());
  EXPECT_EQ(this->get("b/x/y"), "object.missing");
  EXPECT_TRUE(this->names("").empty());
  this->put("b/x/y", "two");
  this->harness_.reopen();
  EXPECT_EQ(this->get("b/x/y"), "two");
}

TYPED_TEST_P(ObjectStoreContract, damaged_byte_is_found_by_a_whole_read_and_by_verify) {
  this->put("b/x", "0123456789");
  this->harness_.damage({"b/x"}, 5);
  std::string buffer(10, '-');
  const Result<std::size_t> got = this->objects().read({"b/x"}, 0, std::as_writable_bytes(std::span(buffer)));
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().category, Category::kDataLoss);
  EXPECT_EQ(got.error().id, "object.corrupt");
  EXPECT_EQ(this->id_of(this->objects().verify({"b/x"})), "object.corrupt");
  EXPECT_EQ(this->get("b/x"), "object.corrupt");
}

TYPED_TEST_P(ObjectStoreContract, one_of_several_writers_of_a_name_wins) {
  constexpr std::size_t kWriters = 4;
  for (int round = 0; round < 5; ++round) {
    const ObjectName name{"race/" + std::to_string(round)};
    std::vector<std::string> outcome(kWriters);
    {
      std::vector<std::jthread> writers;
      for (std::size_t i = 0; i < kWriters; ++i) {
        writers.emplace_back([&, i] {
          const Result<ObjectInfo> stored = put_text(this->objects(), name, std::to_string(i / 2));
          outcome[i] = stored.ok() ? "ok" : stored.error().id;
        });
      }
    }
    const std::string winner = this->get(name.text);
    for (std::size_t i = 0; i < kWriters; ++i) {
      EXPECT_EQ(outcome[i], std::to_string(i / 2) == winner ? "ok" : "object.exists") << "round " << round << " writer " << i;
    }
  }
}

REGISTER_TYPED_TEST_SUITE_P(ObjectStoreContract, stored_object_is_read_after_a_restart, empty_object_is_an_object,
                            missing_object_is_not_found, same_bytes_again_succeed_and_other_bytes_do_not,
                            name_that_leaves_its_bucket_is_refused, range_is_read_and_is_short_only_at_the_end,
                            object_of_many_chunks_is_stored_whole, source_that_fails_leaves_nothing,
                            list_is_sorted_by_name_and_cut_by_prefix, removed_object_is_gone_and_its_name_free,
                            damaged_byte_is_found_by_a_whole_read_and_by_verify, one_of_several_writers_of_a_name_wins);

}  // namespace trainyard::store::testing
