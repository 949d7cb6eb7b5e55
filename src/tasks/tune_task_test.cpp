#include "tasks/tune_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tasks/testing/task_bench.h"

namespace trainyard::tasks {
namespace {

using ::testing::HasSubstr;

constexpr const char* kTune = R"({"metric":"accuracy","job":{"name":"t","command":["work"],"resources":{"cpu":4},
                                 "config":{"steps":10,"model":{"name":"cnn","width":8}}},
                                 "points":[{"rate":0.1},{"rate":0.2,"model":{"width":16}},{"rate":0.3}]})";

class TuneTaskTest : public testing::TaskBench {
 protected:
  void start_tune(const char* body = kTune) {
    TuneTaskKind kind({*gateway, board, strand, clock});
    start(kind, body, testing::context_of("tune"));
  }
  /// Ends a trial: its final accuracy, or what it lacks.
  void end_trial(std::uint64_t id, const std::string& values, std::uint64_t first_event = 0) {
    run_job(JobId(id));
    emit(JobId(id), first_event, {R"({"event":"result","values":)" + values + "}"});
    end_job(JobId(id), 0);
  }
  std::string ask(std::uint64_t id, std::int64_t step) {
    std::string text = "open";
    const auto question = board.ask(JobId(id), step, [&text](std::optional<tune::RungDecision> decision) {
      text = !decision ? "none" : *decision == tune::RungDecision::kStop ? "stop" : "continue";
    });
    if (text == "open") {
      board.give_up(question);
      text = "open";
    }
    return text;
  }
  void report_rung(std::uint64_t id, std::uint64_t first, int step, double value) {
    emit(JobId(id), first,
         {R"({"event":"metric","key":"rung_accuracy","value":)" + std::to_string(value) + R"(,"step":)" + std::to_string(step) + "}"});
  }
  /// The ranks that were told to stop end; nothing else happens meanwhile.
  void end_stopping_jobs() {
    const std::vector<store::JobRecord> records = ledger.list(JobId(), 1000).value();
    for (const store::JobRecord& record : records) {
      const jobs::Job left = jobs::decode_job(record.body).value();
      if (left.state == JobState::kStopping) exits(rank(left.id, left.attempt.number.value), jobs::testing::exit_with(143));
    }
  }
  const Document& result() const { return reported->end().output["result"]; }
};

TEST_F(TuneTaskTest, every_point_is_a_job_in_order_with_the_point_merged_into_its_config) {
  start_tune();
  ASSERT_EQ(job_count(), 3u);
  EXPECT_EQ(to_json(job(JobId(1)).spec.config), R"({"steps":10,"model":{"name":"cnn","width":8},"rate":0.1})");
  EXPECT_EQ(to_json(job(JobId(2)).spec.config), R"({"steps":10,"model":{"name":"cnn","width":16},"rate":0.2})");
  EXPECT_EQ(job(JobId(3)).spec.name, "t-trial-2");
  EXPECT_EQ(take_calls(), (std::vector<std::string>{"launch 1.1", "launch 2.1"})) << "two at a time fit";
}

TEST_F(TuneTaskTest, best_is_the_largest_final_value_and_a_tie_goes_to_the_lower_number) {
  start_tune();
  end_trial(1, R"({"accuracy":0.7})");
  end_trial(2, R"({"accuracy":0.9})");
  EXPECT_EQ(reported->state(), "");
  end_trial(3, R"({"accuracy":0.9})");
  ASSERT_EQ(reported->state(), "SUCCEEDED");
  EXPECT_EQ(result()["best_trial"].as_int().value(), 1);
  EXPECT_EQ(result()["best_value"].as_double().value(), 0.9);
  EXPECT_EQ(to_json(result()["best"]), R"({"rate":0.2,"model":{"width":16}})");
  EXPECT_EQ(result()["trials"].items().size(), 3u);
  EXPECT_EQ(result()["trials"].items()[0]["value"].as_double().value(), 0.7);
}

TEST_F(TuneTaskTest, trial_that_was_stopped_or_failed_is_never_the_best) {
  start_tune();
  end_trial(1, R"({"accuracy":0.5})");
  end_trial(2, R"({"accuracy":0.99,"stopped":true})");
  run_job(JobId(3));
  emit(JobId(3), 0, {R"({"event":"result","values":{"accuracy":0.98}})"});
  end_job(JobId(3), 64);
  ASSERT_EQ(reported->state(), "SUCCEEDED");
  EXPECT_EQ(result()["best_trial"].as_int().value(), 0);
  EXPECT_EQ(result()["stopped"].as_int().value(), 1);
  EXPECT_EQ(result()["trials"].items()[1]["stopped"].as_bool().value(), true);
  EXPECT_EQ(result()["trials"].items()[2]["state"].text(), "FAILED");
}

TEST_F(TuneTaskTest, value_that_is_no_number_never_wins) {
  start_tune();
  end_trial(1, R"({"accuracy":"NaN"})");
  end_trial(2, R"({"accuracy":0.1})");
  end_trial(3, R"({"accuracy":"NaN"})");
  ASSERT_EQ(reported->state(), "SUCCEEDED");
  EXPECT_EQ(result()["best_trial"].as_int().value(), 1);
}

TEST_F(TuneTaskTest, study_without_any_value_fails_and_says_which_was_missing) {
  start_tune();
  end_trial(1, R"({"accuracy":"NaN"})");
  end_trial(2, R"({"loss":0.1})");
  end_trial(3, R"({"accuracy":0.9,"stopped":true})");
  ASSERT_EQ(reported->state(), "FAILED");
  EXPECT_THAT(reported->end().reason, HasSubstr("accuracy"));
}

TEST_F(TuneTaskTest, rungs_of_the_jobs_reach_the_board) {
  start_tune();
  run_job(JobId(1));
  run_job(JobId(2));
  report_rung(2, 0, 100, 0.4);
  EXPECT_EQ(ask(2, 100), "open");
  report_rung(1, 0, 100, 0.5);
  EXPECT_EQ(ask(2, 100), "stop");
  EXPECT_EQ(ask(1, 100), "continue");
}

TEST_F(TuneTaskTest, trial_that_failed_before_a_rung_holds_nobody_up) {
  start_tune();
  run_job(JobId(1));
  run_job(JobId(2));
  report_rung(2, 0, 100, 0.4);
  end_job(JobId(1), 64);
  EXPECT_EQ(ask(2, 100), "continue");
}

TEST_F(TuneTaskTest, trial_that_lost_its_place_gets_that_of_the_last_one_that_waits_for_it) {
  start_tune();
  run_job(JobId(1));
  run_job(JobId(2));
  exits(rank(JobId(1), 1), jobs::testing::lost_exit());
  settle();
  ASSERT_EQ(job(JobId(1)).state, JobState::kQueued);
  run_job(JobId(3));
  report_rung(2, 0, 100, 0.4);
  report_rung(3, 0, 100, 0.6);
  EXPECT_EQ(job(JobId(3)).state, JobState::kRunning) << "the lost trial still backs off";
  clock.advance(std::chrono::minutes(2));
  settle();
  ASSERT_EQ(job(JobId(3)).state, JobState::kStopping);
  EXPECT_EQ(job(JobId(2)).state, JobState::kRunning) << "one place is enough";
  end_job(JobId(3), 75);
  EXPECT_EQ(job(JobId(1)).state, JobState::kStarting);
  EXPECT_EQ(job(JobId(3)).state, JobState::kQueued);
  run_job(JobId(1), 2);
  emit(JobId(1), 0, {R"({"event":"metric","key":"rung_accuracy","value":0.5,"step":100})"}, 2);
  EXPECT_EQ(ask(2, 100), "stop");
}

TEST_F(TuneTaskTest, no_more_trials_than_asked_for_are_there_at_a_time) {
  start_tune(R"({"metric":"accuracy","parallel":1,"job":{"command":["work"]},"points":[{"rate":0.1},{"rate":0.2},{"rate":0.3}]})");
  EXPECT_EQ(job_count(), 1u);
  end_trial(1, R"({"accuracy":0.8})");
  EXPECT_EQ(job_count(), 2u);
  end_trial(2, R"({"accuracy":0.9})");
  EXPECT_EQ(reported->state(), "");
  end_trial(3, R"({"accuracy":0.7})");
  ASSERT_EQ(reported->state(), "SUCCEEDED");
  EXPECT_EQ(result()["best_trial"].as_int().value(), 1);
}

TEST_F(TuneTaskTest, restarted_study_finds_its_trials_and_decides_as_before) {
  start_tune();
  run_job(JobId(1));
  run_job(JobId(2));
  report_rung(1, 0, 100, 0.5);
  report_rung(2, 0, 100, 0.4);
  emit(JobId(1), 1, {R"({"event":"result","values":{"accuracy":0.8}})"});
  end_job(JobId(1), 0);
  crash_all();
  board = tune::StudyBoard();
  boot_all();
  EXPECT_EQ(ask(2, 100), "open") << "its study has not registered it yet";
  start_tune();
  EXPECT_EQ(job_count(), 3u);
  EXPECT_EQ(ask(2, 100), "stop");
  emit(JobId(2), 1, {R"({"event":"result","values":{"accuracy":0.4,"stopped":true}})"});
  end_job(JobId(2), 0);
  end_trial(3, R"({"accuracy":0.7})");
  ASSERT_EQ(reported->state(), "SUCCEEDED");
  EXPECT_EQ(result()["best_trial"].as_int().value(), 0);
}

TEST_F(TuneTaskTest, crash_between_two_submits_makes_no_trial_twice) {
  TuneTaskKind kind({*gateway, board, strand, clock});
  reported = std::make_unique<testing::Reported>();
  task = kind.start(testing::context_of("tune"), parse_json(kTune).value(), reported->report());
  for (int i = 0; i < 2; ++i) {  // One submit is a turn of the reader and one of the strand.
    reads.run_ready();
    strand.run_ready();
  }
  const std::size_t before = job_count();
  ASSERT_GE(before, 1u);
  ASSERT_LT(before, 3u);
  crash_all();
  boot_all();
  start_tune();
  EXPECT_EQ(job_count(), 3u);
}

TEST_F(TuneTaskTest, cancel_stops_every_trial_and_ends_with_the_last) {
  start_tune();
  run_job(JobId(1));
  run_job(JobId(2));
  task->cancel("enough");
  settle();
  EXPECT_EQ(job(JobId(3)).state, JobState::kCancelled) << "it was queued";
  EXPECT_EQ(reported->state(), "");
  end_job(JobId(1), 143);
  EXPECT_EQ(reported->state(), "");
  end_job(JobId(2), 143);
  EXPECT_EQ(reported->state(), "CANCELLED");
  EXPECT_EQ(reported->end().reason, "enough");
}

TEST_F(TuneTaskTest, cancel_while_trials_are_submitted_leaves_no_job_behind) {
  // After every number of turns: whatever was submitted by then, or is on its way, must end.
  for (int turns = 0; turns < 12; ++turns) {
    crash_all();
    boot_all();
    board = tune::StudyBoard();
    TuneTaskKind kind({*gateway, board, strand, clock});
    reported = std::make_unique<testing::Reported>();
    const workflow::TaskContext context = testing::context_of("tune", static_cast<std::uint64_t>(100 + turns));
    workflow::TaskReport report = reported->report();
    report.finish = [this, told = report.finish](workflow::TaskOutcome outcome) {
      told(std::move(outcome));
      strand.post([this] { task.reset(); });  // As the workflow does: a task that ended is forgotten in the next turn.
    };
    task = kind.start(context, parse_json(kTune).value(), std::move(report));
    for (int i = 0; i < turns; ++i) i % 2 == 0 ? reads.run_ready() : strand.run_ready();
    task->cancel("enough");
    for (int i = 0; i < 20; ++i) {
      strand.run_ready();
      end_stopping_jobs();
      reads.run_ready();
    }
    EXPECT_EQ(service->live_count(), 0u) << "after " << turns << " turns";
    EXPECT_EQ(reported->state(), "CANCELLED") << "after " << turns << " turns";
  }
}

TEST_F(TuneTaskTest, submit_that_fails_ends_the_study_and_stops_the_others) {
  resolve_error = not_found("catalog.unknown_dataset", "no dataset is called x");
  start_tune();
  ASSERT_EQ(reported->state(), "FAILED");
  EXPECT_THAT(reported->end().reason, HasSubstr("no dataset is called x"));
  EXPECT_EQ(job_count(), 0u);
}

TEST_F(TuneTaskTest, faulty_bodies_are_refused_with_their_place_and_never_end_the_process) {
  TuneTaskKind kind({*gateway, board, strand, clock});
  EXPECT_TRUE(kind.validate(parse_json(kTune).value()).ok());
  const auto refusal = [&kind](const std::string& yaml) {
    const Result<void> checked = kind.validate(parse_yaml(yaml, "f.yaml").value());
    EXPECT_FALSE(checked.ok()) << yaml;
    return checked.ok() ? Error{} : checked.error();
  };
  EXPECT_EQ(refusal("job: 5\npoints: [{}]\n").id, "tune.job");
  EXPECT_EQ(refusal("job: [a]\npoints: [{}]\n").id, "tune.job");
  EXPECT_EQ(refusal("job: {command: [a]}\npoints: {a: 1}\n").id, "tune.points");
  EXPECT_EQ(refusal("job: {command: [a]}\npoints: []\n").id, "tune.points");
  const Error point = refusal("job: {command: [a]}\npoints:\n  - {}\n  - 5\n");
  EXPECT_EQ(point.id, "tune.points");
  EXPECT_THAT(point.where, HasSubstr("f.yaml:4:"));
  const Error typo = refusal("job:\n  command: [a]\n  comand: [b]\npoints: [{}]\n");
  EXPECT_EQ(typo.id, "spec.unknown_key");
  EXPECT_THAT(typo.where, HasSubstr("f.yaml:3:"));
  EXPECT_EQ(refusal("points: [{}]\n").id, "spec.missing_key");
}

TEST(Merged, members_are_set_object_by_object) {
  const auto merge = [](const char* base, const char* over) { return to_json(merged(parse_json(base).value(), parse_json(over).value())); };
  EXPECT_EQ(merge(R"({"a":1,"b":{"c":2,"d":3}})", R"({"b":{"c":9},"e":4})"), R"({"a":1,"b":{"c":9,"d":3},"e":4})");
  EXPECT_EQ(merge(R"({"a":{"b":1}})", R"({"a":5})"), R"({"a":5})");
  EXPECT_EQ(merge(R"({"a":[1,2]})", R"({"a":[3]})"), R"({"a":[3]})");
  EXPECT_EQ(merge("null", R"({"a":1})"), R"({"a":1})");
}

}  // namespace
}  // namespace trainyard::tasks
