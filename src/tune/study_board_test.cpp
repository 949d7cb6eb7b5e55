#include "tune/study_board.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "base/rng.h"

namespace trainyard::tune {
namespace {

constexpr JobId job(std::uint64_t number) { return JobId(100 + number); }

/// Collects answers: "continue", "stop", "none", or "" while it is open.
struct Asked {
  std::string text;
  StudyBoard::Answer answer() {
    return [this](std::optional<RungDecision> decision) {
      EXPECT_EQ(text, "") << "answered twice";
      text = !decision ? "none" : *decision == RungDecision::kStop ? "stop" : "continue";
    };
  }
};

class StudyBoardTest : public ::testing::Test {
 protected:
  void register_trials(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) board.register_trial("study", i, job(i));
  }
  void report(std::uint64_t trial, std::map<std::int64_t, double> values, bool ended = false) {
    board.update_trial(job(trial), {std::move(values), ended});
  }
  std::string ask(std::uint64_t trial, std::int64_t step) {
    Asked asked;
    const StudyBoard::QuestionId question = board.ask(job(trial), step, asked.answer());
    if (asked.text.empty()) board.give_up(question);
    return asked.text;
  }

  StudyBoard board;
};

TEST_F(StudyBoardTest, question_waits_for_the_lower_numbered_trial_and_is_answered_when_it_reports) {
  register_trials(2);
  report(1, {{100, 0.5}});
  Asked asked;
  board.ask(job(1), 100, asked.answer());
  EXPECT_EQ(asked.text, "");
  report(0, {{50, 0.9}});
  EXPECT_EQ(asked.text, "") << "that is another rung";
  report(0, {{50, 0.9}, {100, 0.9}});
  EXPECT_EQ(asked.text, "stop");
}

TEST_F(StudyBoardTest, question_waits_for_the_value_it_is_about) {
  register_trials(1);
  Asked asked;
  board.ask(job(0), 100, asked.answer());
  EXPECT_EQ(asked.text, "");
  report(0, {{100, 0.1}});
  EXPECT_EQ(asked.text, "continue");
}

TEST_F(StudyBoardTest, question_of_a_job_that_is_not_registered_waits_for_its_study) {
  Asked asked;
  board.ask(job(0), 100, asked.answer());
  report(0, {{100, 0.5}});
  EXPECT_EQ(asked.text, "");
  register_trials(1);
  report(0, {{100, 0.5}});
  EXPECT_EQ(asked.text, "continue");
}

TEST_F(StudyBoardTest, repeated_question_has_the_same_answer) {
  register_trials(3);
  report(0, {{100, 0.8}});
  report(1, {{100, 0.6}});
  report(2, {{100, 0.65}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(2, 100), "stop");
  report(2, {{100, 0.65}}, true);
  report(1, {{100, 0.6}, {200, 0.9}}, true);
  EXPECT_EQ(ask(2, 100), "stop");
  EXPECT_EQ(ask(1, 100), "stop");
  EXPECT_EQ(ask(0, 100), "continue");
}

TEST_F(StudyBoardTest, trial_that_ended_before_the_rung_is_not_waited_for_and_does_not_count) {
  register_trials(3);
  report(0, {{100, 0.2}});
  report(2, {{100, 0.3}});
  Asked asked;
  board.ask(job(2), 100, asked.answer());
  report(1, {{50, 0.99}}, true);  // Failed between its rungs.
  EXPECT_EQ(asked.text, "continue") << "0.3 against 0.2 alone";
}

TEST_F(StudyBoardTest, question_that_is_given_up_is_answered_with_none_and_the_others_stay) {
  register_trials(2);
  report(1, {{100, 0.5}});
  Asked first;
  Asked second;
  board.ask(job(1), 100, first.answer());
  const StudyBoard::QuestionId later = board.ask(job(1), 100, second.answer());
  board.give_up(later);
  EXPECT_EQ(first.text, "");
  EXPECT_EQ(second.text, "none");
  board.give_up(later);  // Twice is once.
  report(0, {{100, 0.1}});
  EXPECT_EQ(first.text, "continue");
  EXPECT_EQ(second.text, "none");
}

TEST_F(StudyBoardTest, studies_do_not_see_each_other) {
  board.register_trial("one", 0, job(0));
  board.register_trial("two", 0, job(10));
  report(10, {{100, 0.9}});
  report(0, {{100, 0.1}});
  EXPECT_EQ(ask(0, 100), "continue");
  board.close_study("two");
  EXPECT_EQ(ask(0, 100), "continue");
}

TEST_F(StudyBoardTest, closed_study_leaves_open_questions_and_takes_no_reports) {
  register_trials(2);
  report(1, {{100, 0.5}});
  Asked asked;
  const StudyBoard::QuestionId question = board.ask(job(1), 100, asked.answer());
  board.close_study("study");
  board.close_study("study");
  report(0, {{100, 0.9}});
  EXPECT_EQ(asked.text, "");
  board.give_up(question);
  EXPECT_EQ(asked.text, "none");
}

TEST_F(StudyBoardTest, study_that_begins_anew_knows_nothing_of_the_closed_one) {
  register_trials(2);
  report(0, {{100, 0.9}});
  board.close_study("study");
  register_trials(2);
  report(1, {{100, 0.5}});
  EXPECT_EQ(ask(1, 100), "none") << "trial 0 has not reported again";
}

TEST_F(StudyBoardTest, answer_may_ask_again) {
  register_trials(1);
  std::string answers;
  board.ask(job(0), 100, [&](std::optional<RungDecision>) {
    answers += "first ";
    board.ask(job(0), 200, [&](std::optional<RungDecision>) { answers += "second"; });
  });
  report(0, {{100, 0.5}});
  report(0, {{100, 0.5}, {200, 0.5}});
  EXPECT_EQ(answers, "first second");
}

/// Trials with fixed values, scheduled at random over a board that is lost now and then. What they are told must not depend on any of it.
class RandomStudy {
 public:
  using Decisions = std::map<std::pair<std::size_t, std::int64_t>, std::string>;
  struct Plan {
    std::vector<std::map<std::int64_t, double>> values;     ///< What each trial would measure, by rung.
    std::vector<std::optional<std::int64_t>> fails_before;  ///< The rung that a trial does not live to see.
  };

  static double draw_value(Rng& rng) {
    const std::uint64_t drawn = rng.below(7);
    return drawn == 6 ? std::numeric_limits<double>::quiet_NaN() : 0.1 * static_cast<double>(drawn);
  }

  static Plan draw(Rng& rng) {
    Plan plan;
    const std::size_t trials = 2 + rng.below(5);
    for (std::size_t i = 0; i < trials; ++i) {
      std::map<std::int64_t, double> values;
      // Few different values: ties and medians between two are where orders could matter.
      for (std::int64_t rung = 100; rung <= 300; rung += 100) values[rung] = draw_value(rng);
      plan.values.push_back(std::move(values));
      plan.fails_before.push_back(rng.below(6) == 0 ? std::optional<std::int64_t>(100 * static_cast<std::int64_t>(1 + rng.below(3)))
                                                    : std::nullopt);
    }
    return plan;
  }

  RandomStudy(const Plan& plan, Rng& rng, bool in_order) : plan_(plan), rng_(rng), in_order_(in_order), trials_(plan.values.size()) {}

  /// Runs every trial to its end.
  Decisions run() {
    restart();
    for (int steps = 0; steps < 100'000; ++steps) {
      const std::optional<std::size_t> next = choose();
      if (!next) return decisions_;
      advance(*next);
      if (!in_order_ && rng_.below(20) == 0) restart();
    }
    ADD_FAILURE() << "the study hangs";
    return decisions_;
  }

 private:
  struct Trial {
    TrialSnapshot known;
    std::int64_t rung = 0;  ///< The last one it reported.
    bool waits = false;
    Asked asked;
  };

  /// The server restarts: its board is empty, the study registers its trials again, and who waited asks again.
  void restart() {
    board_ = StudyBoard();
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      board_.register_trial("s", i, job(i));
      board_.update_trial(job(i), trials_[i].known);
    }
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      if (trials_[i].waits && trials_[i].asked.text.empty()) board_.ask(job(i), trials_[i].rung, trials_[i].asked.answer());
    }
  }

  /// One of the first trials that have not ended, two or three at a time: as the scheduler admits them.
  std::optional<std::size_t> choose() {
    std::vector<std::size_t> admitted;
    for (std::size_t i = 0; i < trials_.size() && admitted.size() < slots_; ++i) {
      if (!trials_[i].known.ended) admitted.push_back(i);
    }
    if (admitted.empty()) return std::nullopt;
    return admitted[in_order_ ? 0 : rng_.below(admitted.size())];
  }

  void advance(std::size_t index) {
    Trial& trial = trials_[index];
    if (trial.waits) {
      if (trial.asked.text.empty()) return;
      trial.waits = false;
      decisions_[{index, trial.rung}] = trial.asked.text;
      if (trial.asked.text == "stop") return end(index);
    }
    const auto next = plan_.values[index].upper_bound(trial.rung);
    if (next == plan_.values[index].end() || plan_.fails_before[index] == next->first) return end(index);
    trial.rung = next->first;
    trial.known.values[next->first] = next->second;
    trial.waits = true;
    trial.asked.text.clear();
    // The question and the report travel on different roads.
    const bool question_first = rng_.below(2) == 0;
    if (question_first) board_.ask(job(index), trial.rung, trial.asked.answer());
    board_.update_trial(job(index), trial.known);
    if (!question_first) board_.ask(job(index), trial.rung, trial.asked.answer());
  }

  void end(std::size_t index) {
    trials_[index].known.ended = true;
    board_.update_trial(job(index), trials_[index].known);
  }

  const Plan& plan_;
  Rng& rng_;
  bool in_order_;
  std::size_t slots_ = 3;
  StudyBoard board_;
  std::vector<Trial> trials_;
  Decisions decisions_;
};

TEST(StudyBoardOrder, decisions_are_the_same_however_trials_are_scheduled_and_whenever_the_server_restarts) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    SeededRng rng(seed);
    const RandomStudy::Plan plan = RandomStudy::draw(rng);
    const RandomStudy::Decisions reference = RandomStudy(plan, rng, true).run();
    for (const auto& [where, decision] : reference) seen.insert(decision);
    for (int order = 0; order < 10; ++order) EXPECT_EQ(RandomStudy(plan, rng, false).run(), reference) << "seed " << seed;
  }
  EXPECT_EQ(seen, (std::set<std::string>{"continue", "stop"})) << "the test does not test";
}

}  // namespace
}  // namespace trainyard::tune
