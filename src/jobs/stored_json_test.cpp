#include "jobs/internal/stored_json.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/rng.h"
#include "jobs/job.h"
#include "jobs/testing/job_examples.h"

namespace trainyard::jobs::internal {
namespace {

std::string random_text(SeededRng& rng) {
  constexpr std::string_view kLetters = "abc \"\\/\b\n\t\x01\x7F{}[]:,0";
  std::string text;
  for (std::uint64_t length = rng.below(12); length > 0; --length) text += kLetters[rng.below(kLetters.size())];
  if (rng.below(20) == 0) text += "\xC3\xA4";
  return text;
}

Document random_document(SeededRng& rng, int depth) {
  switch (rng.below(depth > 3 ? 6 : 8)) {
    case 0:
      return Document();
    case 1:
      return Document(rng.below(2) == 0);
    case 2:
      return Document(static_cast<std::int64_t>(rng.below(std::numeric_limits<std::uint64_t>::max())) >> rng.below(64));
    case 3:
      return Document(rng.below(std::numeric_limits<std::uint64_t>::max()));
    case 4:
      return Document((static_cast<double>(rng.below(2'000'001)) - 1e6) / static_cast<double>(1 + rng.below(1000)));
    case 5:
      return Document(random_text(rng));
    case 6: {
      Document array = Document::array();
      for (std::uint64_t items = rng.below(4); items > 0; --items) array.push(random_document(rng, depth + 1));
      return array;
    }
    default: {
      Document object = Document::object();
      for (std::uint64_t members = rng.below(12); members > 0; --members) object.set(random_text(rng), random_document(rng, depth + 1));
      return object;
    }
  }
}

TEST(StoredJson, what_it_reads_is_what_parse_json_reads) {
  constexpr std::uint64_t kSeed = 20261121;
  SeededRng rng(kSeed);
  int read = 0;
  for (int i = 0; i < 4000; ++i) {
    const std::string text = to_json(random_document(rng, 0));
    const std::optional<Document> stored = parse_stored_json(text);
    if (!stored) continue;
    ++read;
    ASSERT_EQ(to_json(*stored), to_json(parse_json(text).value())) << "seed " << kSeed << ": " << text;
    ASSERT_EQ(*stored, parse_json(text).value()) << "seed " << kSeed << ": " << text;
  }
  EXPECT_GT(read, 2000) << "most texts of ours are read";
}

TEST(StoredJson, damaged_text_is_read_as_parse_json_reads_it_or_not_at_all) {
  constexpr std::uint64_t kSeed = 7;
  SeededRng rng(kSeed);
  const std::string whole = encode_job(jobs::testing::queued_job());
  ASSERT_TRUE(parse_stored_json(whole));
  for (int i = 0; i < 20'000; ++i) {
    std::string text = whole;
    for (std::uint64_t changes = 1 + rng.below(3); changes > 0; --changes) text[rng.below(text.size())] = static_cast<char>(rng.below(256));
    if (rng.below(4) == 0) text.resize(rng.below(text.size()));
    const std::optional<Document> stored = parse_stored_json(text);
    const Result<Document> strict = parse_json(text);
    if (stored && strict.ok()) {
      ASSERT_EQ(*stored, *strict) << "seed " << kSeed << ": " << text;
    }
    // A key that stands twice is the one thing that is not looked for: a checksum guards what is stored.
    if (stored && !strict.ok()) {
      ASSERT_EQ(strict.error().id, "document.duplicate_key") << "seed " << kSeed << ": " << text;
    }
  }
}

TEST(StoredJson, deep_nesting_and_foreign_text_are_left_to_parse_json) {
  EXPECT_FALSE(parse_stored_json(std::string(100'000, '[')));
  for (const char* text :
       {"", " 1", "1 ", "{\"a\": 1}", "01", "-", "1.", "+1", ".5", "\"\\u0041\"", "nul", "[1,]", "{\"a\":1,}", "1e999"}) {
    EXPECT_FALSE(parse_stored_json(text)) << text;
  }
}

}  // namespace
}  // namespace trainyard::jobs::internal
