#include "jobs/idempotency_keys.h"

#include <gtest/gtest.h>

#include "jobs/testing/job_examples.h"

namespace trainyard::jobs {
namespace {

using namespace std::chrono_literals;

using testing::kStart;

store::IdempotencyRecord record(const std::string& key, std::uint64_t job, TimePoint time = kStart) {
  return {key, "print of " + key, JobId(job), time};
}

TEST(IdempotencyKeys, known_key_answers_with_its_job_and_another_body_is_refused) {
  IdempotencyKeys keys(10);
  EXPECT_EQ(keys.find("a", "print of a").value(), std::nullopt);
  keys.remember(record("a", 7), kStart);
  EXPECT_EQ(keys.find("a", "print of a").value(), JobId(7));
  EXPECT_EQ(keys.find("a", "other").error().id, "idempotency.mismatch");
}

TEST(IdempotencyKeys, key_is_kept_for_a_day_and_forgotten_after_it) {
  IdempotencyKeys keys(10);
  keys.remember(record("old", 1), kStart);
  keys.remember(record("next", 2, kStart + 24h), kStart + 24h);
  EXPECT_EQ(keys.find("old", "print of old").value(), JobId(1));
  keys.remember(record("later", 3, kStart + 24h + 1us), kStart + 24h + 1us);
  EXPECT_EQ(keys.find("old", "print of old").value(), std::nullopt);
  EXPECT_EQ(keys.size(), 2u);
}

TEST(IdempotencyKeys, oldest_goes_first_when_there_are_too_many) {
  IdempotencyKeys keys(2);
  for (const char* key : {"a", "b", "c"}) keys.remember(record(key, 1), kStart);
  EXPECT_EQ(keys.find("a", "print of a").value(), std::nullopt);
  EXPECT_EQ(keys.find("b", "print of b").value(), JobId(1));
  EXPECT_EQ(keys.find("c", "print of c").value(), JobId(1));
}

TEST(IdempotencyKeys, old_keys_are_forgotten_without_a_new_one) {
  IdempotencyKeys keys(10);
  keys.remember(record("old", 1), kStart);
  keys.remember(record("next", 2, kStart + 1h), kStart + 1h);
  EXPECT_EQ(keys.oldest(), kStart);
  keys.expire(kStart + 24h + 1s);
  EXPECT_EQ(keys.find("old", "print of old").value(), std::nullopt);
  EXPECT_EQ(keys.oldest(), kStart + 1h);
  EXPECT_EQ(keys.forgotten(), 1u);
}

TEST(IdempotencyKeys, key_that_is_remembered_twice_keeps_its_first_job) {
  IdempotencyKeys keys(2);
  keys.remember(record("a", 1), kStart);
  keys.remember(record("a", 2), kStart);
  EXPECT_EQ(keys.find("a", "print of a").value(), JobId(1));
  EXPECT_EQ(keys.size(), 1u);
}

}  // namespace
}  // namespace trainyard::jobs
