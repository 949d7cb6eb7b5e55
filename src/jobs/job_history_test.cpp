#include "jobs/job_history.h"

#include <gtest/gtest.h>

#include "adapters/sqlite/testing/temporary_database.h"
#include "base/rng.h"
#include "jobs/testing/job_examples.h"
#include "store/testing/commit_and_wait.h"
#include "store/testing/fake_job_ledger.h"

namespace trainyard::jobs {
namespace {

using namespace std::chrono_literals;
using testing::kStart;
using Ids = std::vector<std::uint64_t>;

Job ended_job(std::uint64_t id, const std::string& owner = "ann", Duration after = Duration(0)) {
  Job job = testing::running_job();
  job.id = JobId(id);
  job.owner = owner;
  job.submitted_at = kStart + after;
  job.state = JobState::kSucceeded;
  job.reason_code = ReasonCode::kSucceeded;
  job.ended_at = kStart + after + 1h;
  job.usage = {3'600'000'000, 0, 512 * 3'600'000, 60'000'000, 1 << 20};
  return job;
}

class JobHistoryTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store::migrate(files.database(), "job_history", job_history_migrations()).ok()); }
  void record(const std::vector<Job>& jobs, std::uint64_t position = 1) {
    const Result<void> recorded = history.record(jobs, EventNumber(position));
    ASSERT_TRUE(recorded.ok()) << recorded.error().describe();
  }
  Ids found(const JobFilter& filter) {
    const Result<JobPage> page = history.query(filter, JobId(), 100);
    EXPECT_TRUE(page.ok()) << page.error().describe();
    Ids ids;
    if (!page.ok()) return ids;
    for (const Job& job : page->jobs) ids.push_back(job.id.value);
    return ids;
  }
  adapters::sqlite::testing::TemporaryDatabase files;
  JobHistory history{files.database()};
};

TEST_F(JobHistoryTest, job_comes_back_as_it_was_and_twice_is_once) {
  const Job job = ended_job(7);
  record({job}, 5);
  record({job}, 5);
  const JobPage page = history.query({}, JobId(), 10).value();
  ASSERT_EQ(page.jobs.size(), 1u);
  EXPECT_EQ(encode_job(page.jobs[0]), encode_job(job));
  EXPECT_FALSE(page.next.has_value());
  EXPECT_EQ(history.position().value(), EventNumber(5));
  EXPECT_EQ(history.usage(UsageGroup::kUser, kStart, kStart + 24h)->at(0).jobs, 1);
}

TEST_F(JobHistoryTest, position_never_goes_back) {
  EXPECT_EQ(history.position().value(), EventNumber());
  record({}, 9);
  record({ended_job(1)}, 4);
  EXPECT_EQ(history.position().value(), EventNumber(9));
}

TEST_F(JobHistoryTest, each_part_of_a_filter_selects) {
  Job plain = ended_job(1, "ann", 0s);
  Job other = ended_job(2, "bob", 1h);
  other.state = JobState::kFailed;
  other.spec.queue = "gpu";
  other.spec.kind = "train";
  other.spec.name = "Sweep_50%";
  other.spec.name_space = "team-b";
  other.spec.labels = {{"team", "b"}, {"tier", "1"}};
  other.array_parent = JobId(9);
  record({plain, other});
  EXPECT_EQ(found({}), (Ids{2, 1})) << "newest first";
  EXPECT_EQ(found({.states = {JobState::kFailed}}), (Ids{2}));
  EXPECT_EQ(found({.states = {JobState::kFailed, JobState::kSucceeded}}), (Ids{2, 1}));
  EXPECT_EQ(found({.states = {JobState::kCancelled}}), (Ids{}));
  EXPECT_EQ(found({.queue = "gpu"}), (Ids{2}));
  EXPECT_EQ(found({.owner = "ann"}), (Ids{1}));
  EXPECT_EQ(found({.name_space = "team-b"}), (Ids{2}));
  EXPECT_EQ(found({.kind = "command"}), (Ids{1}));
  EXPECT_EQ(found({.name_part = "EEP_5"}), (Ids{2}));
  EXPECT_EQ(found({.name_part = "50%"}), (Ids{2}));
  EXPECT_EQ(found({.name_part = "%"}), (Ids{2})) << "no wildcard";
  EXPECT_EQ(found({.name_part = "p_5"}), (Ids{2}));
  EXPECT_EQ(found({.name_part = "o_k"}), (Ids{})) << "no wildcard";
  EXPECT_EQ(found({.labels = {{"team", "b"}}}), (Ids{2}));
  EXPECT_EQ(found({.labels = {{"team", "b"}, {"tier", "1"}}}), (Ids{2}));
  EXPECT_EQ(found({.labels = {{"team", "b"}, {"tier", "2"}}}), (Ids{}));
  EXPECT_EQ(found({.since = kStart + 1h}), (Ids{2}));
  EXPECT_EQ(found({.until = kStart + 1h}), (Ids{1}));
  EXPECT_EQ(found({.array = JobId(9)}), (Ids{2}));
  EXPECT_EQ(found({.queue = "gpu", .owner = "ann"}), (Ids{}));
}

TEST_F(JobHistoryTest, query_and_match_agree_on_random_filters) {
  constexpr std::uint64_t kSeed = 20260301;
  SeededRng rng(kSeed);
  const auto pick = [&rng](const std::vector<std::string>& of) { return of[rng.below(of.size())]; };
  std::vector<Job> jobs;
  for (std::uint64_t id = 1; id <= 60; ++id) {
    Job job = ended_job(id, pick({"ann", "bob"}), Duration(static_cast<std::int64_t>(rng.below(100)) * 1'000'000));
    job.state = rng.below(2) == 0 ? JobState::kSucceeded : JobState::kFailed;
    job.spec.queue = pick({"a", "b"});
    job.spec.name = pick({"Train_1", "train%", "TRAIN", "a!b", "\xc3\x89t\xc3\xa9"});
    job.spec.labels["k"] = pick({"x", "y"});
    job.array_parent = JobId(rng.below(3));
    jobs.push_back(std::move(job));
  }
  record(jobs);
  for (int round = 0; round < 200; ++round) {
    JobFilter filter;
    if (rng.below(3) == 0) filter.states = {JobState::kFailed};
    if (rng.below(3) == 0) filter.owner = "ann";
    if (rng.below(3) == 0) filter.queue = "b";
    if (rng.below(2) == 0) filter.name_part = pick({"train", "_", "%", "!", "AIN", "\xc3\xa9"});
    if (rng.below(3) == 0) filter.labels["k"] = "x";
    if (rng.below(3) == 0) filter.since = kStart + 50s;
    if (rng.below(3) == 0) filter.array = JobId(1);
    Ids expected;
    for (auto job = jobs.rbegin(); job != jobs.rend(); ++job) {
      if (matches(filter, *job)) expected.push_back(job->id.value);
    }
    ASSERT_EQ(found(filter), expected) << "seed " << kSeed << " round " << round;
  }
}

TEST_F(JobHistoryTest, pages_follow_one_another_and_new_jobs_do_not_move_them) {
  std::vector<Job> jobs;
  for (std::uint64_t id = 1; id <= 5; ++id) jobs.push_back(ended_job(id));
  record(jobs);
  const JobPage first = history.query({}, JobId(), 2).value();
  ASSERT_EQ(first.jobs.size(), 2u);
  EXPECT_EQ(first.jobs[0].id, JobId(5));
  ASSERT_EQ(first.next, JobId(4));
  record({ended_job(6)});
  const JobPage second = history.query({}, *first.next, 2).value();
  EXPECT_EQ(second.jobs[0].id, JobId(3));
  ASSERT_EQ(second.next, JobId(2));
  const JobPage last = history.query({}, *second.next, 2).value();
  ASSERT_EQ(last.jobs.size(), 1u);
  EXPECT_FALSE(last.next.has_value());
}

TEST_F(JobHistoryTest, usage_is_summed_by_each_group_within_the_span) {
  Job bobs = ended_job(2, "bob");
  bobs.spec.queue = "gpu";
  bobs.usage.gpu_us = 7'200'000'000;
  Job next_day = ended_job(3, "ann", 24h);
  next_day.spec.name_space = "other";
  record({ended_job(1), bobs, next_day});
  const auto sums = [this](UsageGroup group, TimePoint until = kStart + 240h) { return history.usage(group, kStart, until).value(); };
  const std::vector<UsageSum> users = sums(UsageGroup::kUser);
  ASSERT_EQ(users.size(), 2u);
  EXPECT_EQ(users[0].key, "ann");
  EXPECT_EQ(users[0].jobs, 2);
  EXPECT_DOUBLE_EQ(users[0].cpu_seconds, 7200);
  EXPECT_DOUBLE_EQ(users[0].memory_gib_seconds, 3600);
  EXPECT_DOUBLE_EQ(users[0].cpu_used_seconds, 120);
  EXPECT_DOUBLE_EQ(users[1].gpu_seconds, 7200);
  EXPECT_EQ(sums(UsageGroup::kQueue).at(1).key, "gpu");
  EXPECT_EQ(sums(UsageGroup::kNamespace).at(1).key, "other");
  const std::vector<UsageSum> days = sums(UsageGroup::kDay);
  ASSERT_EQ(days.size(), 2u);
  EXPECT_EQ(days[0].key, "2023-11-14");
  EXPECT_EQ(days[0].jobs, 2);
  EXPECT_EQ(days[1].key, "2023-11-15");
  EXPECT_EQ(sums(UsageGroup::kDay, kStart + 2h).size(), 1u);
  EXPECT_TRUE(history.usage(UsageGroup::kUser, kStart + 480h, kStart + 500h)->empty());
}

TEST_F(JobHistoryTest, usage_beyond_64_bits_is_summed) {
  Job huge = ended_job(1);
  huge.usage.memory_mib_ms = 9'000'000'000'000'000'000;
  Job too = huge;
  too.id = JobId(2);
  record({huge, too});
  EXPECT_NEAR(history.usage(UsageGroup::kUser, kStart, kStart + 24h)->at(0).memory_gib_seconds, 1.8e19 / 1024e3, 1e9);
}

TEST_F(JobHistoryTest, array_counts_as_its_elements) {
  Job parent = ended_job(1);
  parent.spec.array = JobArray{2, 0};
  record({parent, ended_job(2)});
  EXPECT_EQ(history.usage(UsageGroup::kUser, kStart, kStart + 24h)->at(0).jobs, 1);
  EXPECT_EQ(found({}), (Ids{2, 1})) << "it is listed";
}

TEST_F(JobHistoryTest, ends_are_taken_from_the_ledger_once_however_often_it_is_looked_at) {
  store::testing::FakeJobLedger ledger;
  store::LedgerBatch batch;
  for (std::uint64_t id = 1; id <= 4; ++id) {
    const Job job = ended_job(id);
    batch.jobs.push_back({job.id, false, kStart, encode_job(job)});
    batch.events.push_back({EventNumber(2 * id - 1), job.id, kStart, "submitted", "{}"});
    batch.events.push_back({EventNumber(2 * id), job.id, kStart, "succeeded", "{}"});
  }
  ASSERT_TRUE(store::testing::commit_and_wait(ledger, std::move(batch)).ok());
  EXPECT_TRUE(history.catch_up(ledger, 3).value());
  EXPECT_EQ(found({}), (Ids{1}));
  EXPECT_EQ(history.position().value(), EventNumber(3));
  while (history.catch_up(ledger, 3).value()) {
  }
  EXPECT_EQ(found({}), (Ids{4, 3, 2, 1}));
  EXPECT_FALSE(history.catch_up(ledger, 3).value());
}

}  // namespace
}  // namespace trainyard::jobs
