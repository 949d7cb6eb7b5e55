#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "domain/ids.h"
#include "tune/rung_decision.h"

namespace trainyard::tune {

/// The trials of the running studies, as far as rung decisions need them. Trials report through their jobs; whoever asks for a decision
/// that is still open is answered when it falls. Lives on the strand. Nothing here is durable: a restarted study registers its trials
/// again.
class StudyBoard {
 public:
  using Answer = std::function<void(std::optional<RungDecision>)>;
  using QuestionId = std::uint64_t;

  /// Trial `index` of study `study` is `job`.
  void register_trial(const std::string& study, std::size_t index, JobId job);
  /// What a trial's job has reported so far.
  void update_trial(JobId job, TrialSnapshot snapshot);
  /// Whether the trial has a value at a rung whose decision is still open.
  bool is_waiting(JobId job) const;
  /// The study is over; its open questions stay until they are given up.
  void close_study(const std::string& study);

  /// Answers at once or when the decision falls. A job that is not registered waits: after a restart its study takes it up again.
  QuestionId ask(JobId job, std::int64_t step, Answer answer);
  /// Takes back a question, answering it with none; one that was answered is left alone.
  void give_up(QuestionId question);

 private:
  struct Study {
    std::vector<TrialSnapshot> trials;
    std::vector<JobId> jobs;
  };
  struct Question {
    QuestionId id = 0;
    JobId job;
    std::int64_t step = 0;
    Answer answer;
  };
  struct TrialPlace {
    std::string study;
    std::size_t index = 0;
  };

  void answer_what_is_decided();

  std::map<std::string, Study> studies_;
  std::map<JobId, TrialPlace> places_;
  std::vector<Question> questions_;
  QuestionId last_question_ = 0;
};

}  // namespace trainyard::tune
