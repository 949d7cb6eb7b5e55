#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "jobs/testing/service_world.h"

namespace trainyard::jobs {
namespace {

using testing::exit_with;

const std::string kMetric = R"({"event":"metric","key":"loss","value":0.5,"step":1})";
const std::string kReady = R"({"event":"ready","url":"http://127.0.0.1:1"})";

class RankEventsTest : public testing::ServiceWorld {};

TEST_F(RankEventsTest, lines_are_taken_once_however_often_they_are_sent) {
  const JobId id = submit();
  EXPECT_EQ(events(rank(id, 1), 0, {kMetric, kReady}).value(), 2u);
  EXPECT_EQ(events(rank(id, 1), 0, {kMetric, kReady}).value(), 2u);
  EXPECT_EQ(events(rank(id, 1), 1, {kReady, kMetric}).value(), 3u);
  EXPECT_EQ(events(rank(id, 1), 0, {}).value(), 3u);
  EXPECT_EQ(events(rank(id, 1), 3, {}).value(), 3u);
  EXPECT_EQ(published_types(), "submitted launching ready");
}

TEST_F(RankEventsTest, gap_is_refused) {
  const JobId id = submit();
  const Result<std::uint64_t> result = events(rank(id, 1), 1, {kMetric});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().id, "events.gap");
  EXPECT_EQ(result.error().category, Category::kFailedPrecondition);
  EXPECT_TRUE(job(id).metrics.empty());
}

TEST_F(RankEventsTest, count_is_answered_only_when_it_is_durable) {
  const JobId id = submit();
  ledger.hold_commits();
  std::vector<std::uint64_t> answers;
  const std::vector<Document> lines{parse_json(kMetric).value()};
  for (int i = 0; i < 2; ++i) {
    service->append_events(rank(id, 1), 0, lines, [&answers](const Result<std::uint64_t>& taken) { answers.push_back(taken.value()); });
    strand.run_ready();
  }
  EXPECT_TRUE(answers.empty());
  EXPECT_EQ(service->events_taken(rank(id, 1)).value(), 0u) << "a crash could still undo it";
  ledger.release();
  strand.run_ready();
  EXPECT_EQ(answers, (std::vector<std::uint64_t>{1, 1}));
  EXPECT_EQ(service->events_taken(rank(id, 1)).value(), 1u);
}

// Whoever is refused drops its output. Were the end of the attempt lost in a crash, the next server would call for that output again.
TEST_F(RankEventsTest, refusal_waits_until_what_refuses_is_durable) {
  Submission retrying = submission();
  retrying.spec.retry.node_lost = 5;
  const JobId id = submit(retrying);
  ledger.hold_commits();
  service->on_ranks_lost({rank(id, 1)}, "gone");
  strand.run_ready();
  std::vector<std::string> answers;
  service->append_events(rank(id, 1), 0, {parse_json(kMetric).value()},
                         [&answers](const Result<std::uint64_t>& taken) { answers.push_back(taken.ok() ? "taken" : taken.error().id); });
  EXPECT_TRUE(answers.empty());
  while (ledger.release()) strand.run_ready();
  EXPECT_EQ(answers, (std::vector<std::string>{"lease.fenced"}));
}

TEST_F(RankEventsTest, stale_unknown_and_ended_attempts_are_fenced) {
  Submission retrying = submission();
  retrying.spec.retry.node_lost = 5;
  const JobId id = submit(retrying);
  EXPECT_TRUE(service->is_current({id, AttemptNumber(1)}));
  service->on_ranks_lost({rank(id, 1)}, "gone");
  strand.run_ready();
  strand.advance(std::chrono::seconds(60));
  ASSERT_EQ(job(id).attempt.number, AttemptNumber(2));
  EXPECT_FALSE(service->is_current({id, AttemptNumber(1)}));
  EXPECT_TRUE(service->is_current({id, AttemptNumber(2)}));
  for (const RankKey& stale : {rank(id, 1), rank(id, 3), rank(id, 2, 1), rank(JobId(99), 1)}) {
    const Result<std::uint64_t> result = events(stale, 0, {kMetric});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().id, "lease.fenced");
    EXPECT_EQ(result.error().category, Category::kAborted);
    EXPECT_EQ(service->events_taken(stale).error().id, "lease.fenced");
  }
  EXPECT_TRUE(job(id).metrics.empty());
  exits(rank(id, 2), exit_with(0));
  EXPECT_EQ(events(rank(id, 2), 0, {kMetric}).error().id, "lease.fenced");
}

TEST_F(RankEventsTest, reports_of_a_stale_attempt_change_nothing) {
  Submission retrying = submission();
  retrying.spec.retry.node_lost = 5;
  const JobId id = submit(retrying);
  service->on_ranks_lost({rank(id, 1)}, "gone");
  strand.run_ready();
  strand.advance(std::chrono::seconds(60));
  runs(rank(id, 2));
  const std::string before = encode_job(job(id));
  runs(rank(id, 1));
  exits(rank(id, 1), exit_with(1));
  service->on_ranks_lost({rank(id, 1)}, "again");
  strand.run_ready();
  EXPECT_EQ(encode_job(job(id)), before);
}

TEST_F(RankEventsTest, taken_lines_survive_a_restart_and_each_rank_counts_its_own) {
  const JobId id = submit(submission(1, 2));
  EXPECT_TRUE(events(rank(id, 1, 0), 0, {kMetric, kMetric, kReady}).ok());
  EXPECT_TRUE(events(rank(id, 1, 1), 0, {kMetric}).ok());
  crash();
  boot();
  EXPECT_EQ(service->events_taken(rank(id, 1, 0)).value(), 3u);
  EXPECT_EQ(service->events_taken(rank(id, 1, 1)).value(), 1u);
  EXPECT_EQ(events(rank(id, 1, 0), 2, {kReady, kMetric}).value(), 4u);
  EXPECT_EQ(job(id).ready_url, "http://127.0.0.1:1");
  EXPECT_EQ(published_types(), "submitted launching ready");
}

TEST_F(RankEventsTest, new_attempt_counts_from_zero) {
  Submission retrying = submission();
  retrying.spec.retry.user = 1;
  const JobId id = submit(retrying);
  EXPECT_TRUE(events(rank(id, 1), 0, {kMetric, kMetric}).ok());
  exits(rank(id, 1), exit_with(1));
  strand.advance(std::chrono::seconds(60));
  EXPECT_EQ(service->events_taken(rank(id, 2)).value(), 0u);
  EXPECT_EQ(events(rank(id, 2), 0, {kMetric}).value(), 1u);
}

}  // namespace
}  // namespace trainyard::jobs
