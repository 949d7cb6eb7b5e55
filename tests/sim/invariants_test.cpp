#include "tests/sim/invariants.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/testing/fake_clock.h"
#include "jobs/testing/job_examples.h"

// Each invariant accepts a short sound history and notices what it is there for.
namespace trainyard::sim_test {
namespace {

using namespace std::chrono_literals;
using jobs::testing::exit_with;
using jobs::testing::kStart;

const RankKey kRank{{JobId(7), AttemptNumber(1)}, 0};

/// The breaches that `invariant` sees in this history.
std::vector<std::string> breaches(Invariant& invariant, const std::vector<Happening>& history) {
  std::vector<std::string> all;
  for (const Happening& happening : history) {
    invariant.see(happening);
    for (std::string& what : invariant.take_violations()) all.push_back(std::move(what));
  }
  return all;
}

template <typename Watched>
std::size_t breach_count(const std::vector<Happening>& history) {
  Watched invariant;
  return breaches(invariant, history).size();
}

EventDurable event(std::uint64_t number, const std::string& type, JobState state, std::int64_t attempt = 0,
                   const std::string& manifest = {}) {
  Document body = Document::object();
  body.set("state", name_of(state));
  body.set("attempt", attempt);
  if (!manifest.empty()) body.set("manifest", manifest);
  return {{EventNumber(number), JobId(7), kStart, type, to_json(body)}};
}

jobs::Job ended_job(JobState state) {
  jobs::Job job = jobs::testing::running_job();
  SeededRng rng(1);
  if (state == JobState::kCancelled) jobs::request_stop(job, StopIntent::kCancel, "asked", kStart);
  jobs::rank_exited(job, 0, exit_with(state == JobState::kSucceeded ? 0 : 1));
  jobs::finish_attempt(job, kStart, rng);
  EXPECT_EQ(job.state, state);
  return job;
}

jobs::Job stopping_job() {
  jobs::Job job = jobs::testing::running_job();
  jobs::request_stop(job, StopIntent::kCancel, "asked", kStart);
  return job;
}

TEST(NoAcknowledgedJobLost, notices_an_answer_before_the_commit_and_a_key_with_two_jobs) {
  using I = NoAcknowledgedJobLost;
  const JobDurable durable{jobs::testing::queued_job()};
  EXPECT_EQ(breach_count<I>({durable, SubmitAcknowledged{"k", JobId(7)}, SubmitAcknowledged{"k", JobId(7)}}), 0u);
  EXPECT_EQ(breach_count<I>({SubmitAcknowledged{"k", JobId(7)}}), 1u);
  EXPECT_EQ(breach_count<I>({durable, SubmitAcknowledged{"k", JobId(7)}, SubmitAcknowledged{"k", JobId(8)}}), 2u);
}

TEST(AcknowledgedCancelHolds, notices_an_early_answer_and_a_later_launch) {
  using I = AcknowledgedCancelHolds;
  EXPECT_EQ(breach_count<I>({JobDurable{stopping_job()}, CancelAcknowledged{JobId(7)}}), 0u);
  EXPECT_EQ(breach_count<I>({JobDurable{ended_job(JobState::kFailed)}, CancelAcknowledged{JobId(7)}}), 0u);
  EXPECT_EQ(breach_count<I>({JobDurable{jobs::testing::running_job()}, CancelAcknowledged{JobId(7)}}), 1u);
  EXPECT_EQ(breach_count<I>({JobDurable{stopping_job()}, CancelAcknowledged{JobId(7)}, event(1, "launching", JobState::kStarting, 2)}), 1u);
}

TEST(NothingShownIsUndone, notices_a_read_that_is_ahead_of_the_ledger) {
  using I = NothingShownIsUndone;
  const JobDurable running{jobs::testing::running_job()};
  EXPECT_EQ(breach_count<I>({running, JobShown{jobs::testing::starting_job()}, JobShown{jobs::testing::running_job()}}), 0u);
  EXPECT_EQ(breach_count<I>({running, JobShown{ended_job(JobState::kSucceeded)}}), 1u);
  EXPECT_EQ(breach_count<I>({JobShown{jobs::testing::queued_job()}}), 1u);
  EXPECT_EQ(breach_count<I>({JobDurable{ended_job(JobState::kFailed)}, JobShown{ended_job(JobState::kSucceeded)}}), 1u);
}

TEST(OneTerminalState, notices_a_changed_end_and_news_after_the_end) {
  using I = OneTerminalState;
  const JobDurable failed{ended_job(JobState::kFailed)};
  EXPECT_EQ(breach_count<I>({failed, failed}), 0u);
  EXPECT_EQ(breach_count<I>({failed, JobDurable{ended_job(JobState::kSucceeded)}}), 1u);
  EXPECT_EQ(breach_count<I>({failed, JobDurable{jobs::testing::running_job()}}), 1u);
  EXPECT_EQ(breach_count<I>({event(1, "failed", JobState::kFailed), event(2, "ready", JobState::kFailed)}), 1u);
}

TEST(LegalTransitions, notices_an_edge_that_is_not_drawn_and_a_record_without_an_event) {
  using I = LegalTransitions;
  const EventDurable submitted = event(1, "submitted", JobState::kQueued), launching = event(2, "launching", JobState::kStarting);
  EXPECT_EQ(breach_count<I>({submitted, launching, JobDurable{jobs::testing::starting_job()}, event(3, "succeeded", JobState::kSucceeded)}),
            0u);
  EXPECT_EQ(breach_count<I>({submitted, event(2, "succeeded", JobState::kSucceeded)}), 1u);
  EXPECT_EQ(breach_count<I>({launching}), 1u);
  EXPECT_EQ(breach_count<I>({submitted, JobDurable{jobs::testing::starting_job()}}), 1u);
}

TEST(TokensGrow, notices_skipped_repeated_early_and_double_starts) {
  using I = TokensGrow;
  const EventDurable first = event(1, "launching", JobState::kStarting, 1), second = event(2, "launching", JobState::kStarting, 2);
  const RankStarted started{kRank, {"a"}, {}}, later{{{JobId(7), AttemptNumber(2)}, 0}, {"b"}, {}};
  EXPECT_EQ(breach_count<I>({first, started, second, later}), 0u);
  EXPECT_EQ(breach_count<I>({second}), 1u) << "skipped one";
  EXPECT_EQ(breach_count<I>({first, first}), 1u) << "repeated";
  EXPECT_EQ(breach_count<I>({started}), 1u) << "before its launch was durable";
  EXPECT_EQ(breach_count<I>({first, second, later, started}), 1u) << "after a later attempt";
  EXPECT_EQ(breach_count<I>({first, started, started}), 1u) << "twice";
}

TEST(GangAtomic, notices_a_partial_gang_and_a_success_without_every_rank) {
  using I = GangAtomic;
  EXPECT_EQ(breach_count<I>({JobDurable{jobs::testing::running_job(2)}}), 0u);
  jobs::Job partial = jobs::testing::running_job(2);
  partial.attempt.ranks.pop_back();
  EXPECT_EQ(breach_count<I>({JobDurable{partial}}), 1u);
  const JobDurable succeeded{ended_job(JobState::kSucceeded)};
  EXPECT_EQ(breach_count<I>({RankEnded{kRank, {"a"}, 0}, succeeded}), 0u);
  EXPECT_EQ(breach_count<I>({RankEnded{kRank, {"a"}, 1}, succeeded}), 1u);
  EXPECT_EQ(breach_count<I>({succeeded}), 1u);
}

TEST(FailedGangIsReleased, notices_a_rank_that_runs_on) {
  const RankKey other{kRank.attempt, 1};
  trainyard::testing::FakeClock clock;
  const auto after_failure = [&](Duration wait) {
    FailedGangIsReleased invariant(clock);
    EXPECT_TRUE(
        breaches(invariant, {Healed{}, RankStarted{kRank, {"a"}, {}}, RankStarted{other, {"a"}, {}}, RankEnded{kRank, {"a"}, 1}}).empty());
    clock.advance(wait);
    return breaches(invariant, {BatchDurable{}}).size();
  };
  EXPECT_EQ(after_failure(30s), 0u);
  EXPECT_EQ(after_failure(90s), 1u);
}

TEST(LimitsAndBudgetsHold, notices_an_overdue_attempt_and_a_spent_budget) {
  trainyard::testing::FakeClock clock;
  jobs::Job limited = jobs::testing::running_job();
  limited.spec.limits.attempt = 10s;
  LimitsAndBudgetsHold invariant(clock);
  EXPECT_TRUE(breaches(invariant, {Healed{}, JobDurable{limited}}).empty());
  clock.advance(2min);
  EXPECT_EQ(breaches(invariant, {BatchDurable{}}).size(), 1u);
  jobs::Job restarted = jobs::testing::queued_job();
  restarted.retries.user = 1;
  EXPECT_EQ(breaches(invariant, {JobDurable{restarted}}).size(), 1u);
}

TEST(NoDoubleBooking, notices_too_much_in_the_ledger_and_on_a_node) {
  using I = NoDoubleBooking;
  const Resources core{1000, 512LL << 20, 0};
  const NodeJoined node{{"node-0"}, core};
  const JobDurable one{jobs::testing::running_job()};
  jobs::Job other = jobs::testing::running_job();
  other.id = JobId(8);
  EXPECT_EQ(breach_count<I>({node, one, BatchDurable{}, JobDurable{ended_job(JobState::kFailed)}, JobDurable{other}, BatchDurable{}}), 0u);
  EXPECT_EQ(breach_count<I>({node, one, JobDurable{other}, BatchDurable{}}), 1u);
  const RankStarted first{kRank, {"node-0"}, core}, second{{{JobId(8), AttemptNumber(1)}, 0}, {"node-0"}, core};
  EXPECT_EQ(breach_count<I>({node, first, RankEnded{kRank, {"node-0"}, 0}, second}), 0u);
  EXPECT_EQ(breach_count<I>({node, first, second}), 1u);
}

TEST(EventNumbersGapless, notices_gaps_repeats_early_and_missing_news) {
  using I = EventNumbersGapless;
  const EventDurable first = event(1, "submitted", JobState::kQueued), second = event(2, "launching", JobState::kStarting);
  const EventPublished heard{first.event}, heard_second{second.event};
  EXPECT_EQ(breach_count<I>({first, heard, second, heard_second, Finished{}}), 0u);
  EXPECT_EQ(breach_count<I>({first, ServerStarted{EventNumber(1)}, second, heard_second, Finished{}}), 0u)
      << "a crash kept one from its listeners";
  EXPECT_EQ(breach_count<I>({second}), 1u) << "gap";
  EXPECT_EQ(breach_count<I>({heard}), 1u) << "before it was durable";
  EXPECT_EQ(breach_count<I>({first, heard, heard}), 1u) << "twice";
  EXPECT_EQ(breach_count<I>({first, second, heard_second}), 1u) << "one was left out";
  EXPECT_EQ(breach_count<I>({first, Finished{}}), 1u) << "never published";
}

TEST(NothingPublishedByStaleAttempt, notices_old_writers_repeated_and_lost_lines) {
  using I = NothingPublishedByStaleAttempt;
  const EventDurable first = event(1, "launching", JobState::kStarting, 1), second = event(2, "launching", JobState::kStarting, 2);
  const auto line = [](const std::string& manifest) { return event(3, "checkpoint", JobState::kRunning, 1, manifest); };
  EXPECT_EQ(
      breach_count<I>({first, line("7.1/0#1"), line("7.1/1#1"), line("7.1/0#2"), LinesAcknowledged{kRank, 2}, second, line("7.2/0#1")}),
      0u);
  EXPECT_EQ(breach_count<I>({first, second, line("7.1/0#1")}), 1u) << "an attempt that was replaced";
  EXPECT_EQ(breach_count<I>({first, LogDurable{kRank, "7.1/0#1", 24}}), 0u);
  EXPECT_EQ(breach_count<I>({first, second, LogDurable{kRank, "7.1/0#1", 24}}), 1u) << "its log";
  EXPECT_EQ(breach_count<I>({first, line("7.1/0#1"), line("7.1/0#1")}), 1u) << "twice";
  EXPECT_EQ(breach_count<I>({first, line("7.1/0#2")}), 1u) << "a gap";
  EXPECT_EQ(breach_count<I>({first, LinesAcknowledged{kRank, 1}}), 1u) << "acknowledged and not durable";
}

TEST(LogLinesOnceAndInOrder, notices_lost_repeated_reordered_and_early_lines) {
  using I = LogLinesOnceAndInOrder;
  const LogDurable first{kRank, "7.1/0#1", 24}, second{kRank, "7.1/0#2", 48};
  const LogShown shown{kRank, "7.1/0#1"}, shown_second{kRank, "7.1/0#2"};
  EXPECT_EQ(breach_count<I>({first, LogAcknowledged{kRank, 24}, shown, second, shown_second, LogAcknowledged{kRank, 48}}), 0u);
  EXPECT_EQ(breach_count<I>({first, first}), 1u) << "twice";
  EXPECT_EQ(breach_count<I>({second}), 1u) << "a gap";
  EXPECT_EQ(breach_count<I>({LogDurable{{{JobId(7), AttemptNumber(1)}, 1}, "7.1/0#1", 24}}), 1u) << "of another rank";
  EXPECT_EQ(breach_count<I>({first, LogAcknowledged{kRank, 48}}), 1u) << "acknowledged and not kept";
  EXPECT_EQ(breach_count<I>({shown, shown}), 1u) << "shown twice";
  EXPECT_EQ(breach_count<I>({shown_second}), 1u) << "one was not shown";
}

TEST(EndedRanksHaveTheirOutput, notices_an_end_before_its_last_lines) {
  using I = EndedRanksHaveTheirOutput;
  const OutputWritten written{kRank, 1, 1};
  const LogDurable line{kRank, "7.1/0#1", 24};
  jobs::Job ended = ended_job(JobState::kFailed);
  ended.attempt.ranks[0].events_taken = 1;
  EXPECT_EQ(breach_count<I>({written, line, JobDurable{ended}}), 0u);
  EXPECT_EQ(breach_count<I>({written, JobDurable{ended}}), 1u) << "the log line is missing";
  EXPECT_EQ(breach_count<I>({written, line, JobDurable{ended_job(JobState::kFailed)}}), 1u) << "the event is missing";
  ended.attempt.ranks[0].exit->lost = true;
  EXPECT_EQ(breach_count<I>({written, JobDurable{ended}}), 0u) << "nobody saw its end";
}

TEST(HealthyRanksAreLeftAlone, notices_a_stop_without_a_durable_reason) {
  using I = HealthyRanksAreLeftAlone;
  const StopReached stopped{kRank};
  EXPECT_EQ(breach_count<I>({JobDurable{jobs::testing::running_job()}, stopped}), 1u);
  EXPECT_EQ(breach_count<I>({stopped}), 1u) << "a job that nobody knows";
  EXPECT_EQ(breach_count<I>({JobDurable{stopping_job()}, stopped}), 0u);
  EXPECT_EQ(breach_count<I>({JobDurable{ended_job(JobState::kFailed)}, stopped}), 0u);
  jobs::Job failed_gang = jobs::testing::running_job(2);
  EXPECT_EQ(breach_count<I>({JobDurable{failed_gang}, stopped}), 1u);
  jobs::rank_exited(failed_gang, 1, exit_with(1));
  EXPECT_EQ(breach_count<I>({JobDurable{failed_gang}, stopped}), 0u);
}

TEST(OnlyTroubledNodesLoseRanks, notices_a_loss_without_trouble) {
  const RankStarted started{kRank, {"node-0"}, {}};
  jobs::Job lost = jobs::testing::running_job(2);
  jobs::rank_exited(lost, 0, jobs::testing::lost_exit());
  trainyard::testing::FakeClock clock;
  const auto breaches_of = [&](const std::vector<Happening>& before, Duration wait) {
    OnlyTroubledNodesLoseRanks invariant(clock);
    EXPECT_TRUE(breaches(invariant, before).empty());
    clock.advance(wait);
    return breaches(invariant, {JobDurable{lost}, JobDurable{lost}}).size();
  };
  EXPECT_EQ(breaches_of({started}, 0s), 1u);
  EXPECT_EQ(breaches_of({started, NodeTroubled{{"node-0"}}}, 30s), 0u);
  EXPECT_EQ(breaches_of({started, NodeTroubled{{"node-0"}}}, 2min), 1u) << "long ago";
  EXPECT_EQ(breaches_of({started, NodeTroubled{{"node-1"}}}, 0s), 1u) << "elsewhere";
  EXPECT_EQ(breaches_of({started, RankEnded{kRank, {"node-0"}, 137, EndedBy::kNode}}, 2min), 0u) << "it is gone";
}

TEST(RestartsHaveCauses, notices_a_failure_and_a_charge_that_the_job_did_not_earn) {
  using I = RestartsHaveCauses;
  const JobDurable failed{ended_job(JobState::kFailed)};
  EXPECT_EQ(breach_count<I>({RankEnded{kRank, {"a"}, 1}, failed}), 0u);
  EXPECT_EQ(breach_count<I>({RankEnded{kRank, {"a"}, 137, EndedBy::kStop}, failed}), 1u) << "it was killed";
  EXPECT_EQ(breach_count<I>({RankEnded{kRank, {"a"}, 137, EndedBy::kNode}, failed}), 1u) << "its node died";
  jobs::Job charged = jobs::testing::queued_job();
  charged.retries.user = 1;
  EXPECT_EQ(breach_count<I>({RankEnded{kRank, {"a"}, 0}, JobDurable{charged}}), 1u);
  charged.spec.job_class = "service";
  EXPECT_EQ(breach_count<I>({RankEnded{kRank, {"a"}, 0}, JobDurable{charged}}), 0u) << "a service is not to end at all";
}

TEST(EveryJobEndsOnceFaultsStop, notices_live_jobs_and_processes) {
  using I = EveryJobEndsOnceFaultsStop;
  const RankStarted started{kRank, {"a"}, {}};
  EXPECT_EQ(breach_count<I>({started, RankEnded{kRank, {"a"}, 0}, JobDurable{ended_job(JobState::kSucceeded)}, Finished{}}), 0u);
  EXPECT_EQ(breach_count<I>({JobDurable{jobs::testing::queued_job()}, Finished{}}), 1u);
  EXPECT_EQ(breach_count<I>({started, Finished{}}), 1u);
}

TEST(NothingBroken, passes_on_what_a_part_of_the_run_calls_broken) {
  EXPECT_EQ(breach_count<NothingBroken>({Healed{}}), 0u);
  EXPECT_EQ(breach_count<NothingBroken>({Broken{"the server does not start"}}), 1u);
}

}  // namespace
}  // namespace trainyard::sim_test
