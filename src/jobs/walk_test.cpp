#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

#include "jobs/testing/random_walk.h"

namespace trainyard::jobs {
namespace {

using Edge = std::pair<JobState, JobState>;

/// The machine drawn above the functions, with the short ways of ranks that end before they were seen running.
const std::set<Edge>& legal_edges() {
  using S = JobState;
  static const std::set<Edge> edges{
      {S::kQueued, S::kStarting},   {S::kQueued, S::kCancelled},   {S::kQueued, S::kTimedOut},   {S::kStarting, S::kRunning},
      {S::kStarting, S::kStopping}, {S::kStarting, S::kSucceeded}, {S::kStarting, S::kFailed},   {S::kStarting, S::kQueued},
      {S::kRunning, S::kStopping},  {S::kRunning, S::kSucceeded},  {S::kRunning, S::kFailed},    {S::kRunning, S::kQueued},
      {S::kStopping, S::kQueued},   {S::kStopping, S::kCancelled}, {S::kStopping, S::kTimedOut}, {S::kStopping, S::kSucceeded}};
  return edges;
}

/// What holds in every state, whatever led to it.
void expect_consistent(const Job& job) {
  const bool launched = job.state == JobState::kStarting || job.state == JobState::kRunning || job.state == JobState::kStopping;
  EXPECT_EQ(job.ended_at.has_value(), is_terminal(job.state));
  EXPECT_EQ(job.started_at.has_value(), job.attempt.number.valid());
  if (launched) {
    EXPECT_EQ(job.attempt.ranks.size(), static_cast<std::size_t>(job.spec.tasks));
    EXPECT_FALSE(all_ranks_exited(job)) << "an attempt whose ranks have all exited is over";
  }
  EXPECT_TRUE(job.state != JobState::kStopping || job.intent != StopIntent::kNone);
  EXPECT_TRUE(job.state != JobState::kQueued || job.intent == StopIntent::kNone);
  EXPECT_EQ(job.reason_code == ReasonCode::kNone && is_terminal(job.state), false) << "an end without a reason";
  EXPECT_TRUE(!launched || job.waits_for.empty()) << "launched before its dependencies were met";
  EXPECT_LE(job.history.size(), kAttemptsKept);
  const bool over = job.state == JobState::kQueued || is_terminal(job.state);
  if (over && job.attempt.number.valid()) {
    EXPECT_EQ(job.history.empty() ? AttemptNumber() : job.history.back().number, job.attempt.number);
  }
  EXPECT_GE(job.usage.cpu_us, 0);
  EXPECT_TRUE(job.memory_bytes == std::nullopt || (job.retries.oom > 0 && *job.memory_bytes == 2 * job.spec.resources.memory.bytes));
  EXPECT_TRUE(job.state != JobState::kCancelled || job.intent == StopIntent::kCancel);
  EXPECT_TRUE(job.state != JobState::kTimedOut || job.intent == StopIntent::kLimit);
  if (job.spec.job_class == "batch") {
    EXPECT_LE(job.retries.user, job.spec.retry.user);
    EXPECT_LE(job.retries.oom, job.spec.retry.oom);
    EXPECT_LE(job.retries.node_lost, job.spec.retry.node_lost);
    EXPECT_LE(job.retries.infrastructure, job.spec.retry.infrastructure);
  }
}

TEST(Walk, random_lives_take_legal_edges_only_and_together_all_of_them) {
  std::set<Edge> taken;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRng rng(seed);
    testing::RandomWalk walk(rng);
    Job job = walk.draw_job();
    for (int i = 0; i < 200; ++i) {
      const JobState before = job.state;
      const AttemptNumber attempt = job.attempt.number;
      if (!walk.step(job)) break;
      ASSERT_TRUE(before != JobState::kQueued || job.state != JobState::kStarting || !job.hold) << "launched while it was held";
      if (job.state != before) taken.emplace(before, job.state);
      ASSERT_TRUE(job.state == before || legal_edges().contains({before, job.state})) << name_of(before) << " -> " << name_of(job.state);
      const bool relaunched = before == JobState::kQueued && job.state == JobState::kStarting;
      ASSERT_EQ(job.attempt.number.value, attempt.value + (relaunched ? 1 : 0));
      expect_consistent(job);
      if (HasFailure()) return;
    }
  }
  EXPECT_EQ(taken, legal_edges());
}

TEST(Walk, equal_seeds_lead_to_equal_jobs) {
  const auto life = [](std::uint64_t seed) {
    SeededRng rng(seed);
    testing::RandomWalk walk(rng);
    Job job = walk.draw_job();
    for (int i = 0; i < 200 && walk.step(job); ++i) {
    }
    return encode_job(job);
  };
  for (std::uint64_t seed = 1; seed <= 50; ++seed) EXPECT_EQ(life(seed), life(seed)) << "seed " << seed;
}

TEST(JobCodec, every_job_on_a_random_walk_reads_back_equal) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SeededRng rng(seed);
    testing::RandomWalk walk(rng);
    Job job = walk.draw_job();
    do {
      const std::string text = encode_job(job);
      const Result<Job> back = decode_job(text);
      ASSERT_TRUE(back.ok()) << "seed " << seed << ": " << back.error().describe();
      ASSERT_EQ(encode_job(*back), text) << "seed " << seed;
      ASSERT_EQ(back->state, job.state) << "seed " << seed;
      ASSERT_EQ(back->attempt.number, job.attempt.number) << "seed " << seed;
    } while (walk.step(job));
  }
}

}  // namespace
}  // namespace trainyard::jobs
