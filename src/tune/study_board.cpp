#include "tune/study_board.h"

#include <algorithm>
#include <utility>

namespace trainyard::tune {

void StudyBoard::register_trial(const std::string& study, std::size_t index, JobId job) {
  Study& entry = studies_[study];
  if (entry.trials.size() <= index) {
    entry.trials.resize(index + 1);
    entry.jobs.resize(index + 1);
  }
  entry.jobs[index] = job;
  places_[job] = {study, index};
}

void StudyBoard::update_trial(JobId job, TrialSnapshot snapshot) {
  const auto place = places_.find(job);
  if (place == places_.end()) return;
  studies_.at(place->second.study).trials[place->second.index] = std::move(snapshot);
  answer_what_is_decided();
}

bool StudyBoard::is_waiting(JobId job) const {
  const auto place = places_.find(job);
  if (place == places_.end()) return false;
  const std::vector<TrialSnapshot>& trials = studies_.at(place->second.study).trials;
  const TrialSnapshot& trial = trials[place->second.index];
  return !trial.values.empty() && !decide_rung(trials, place->second.index, trial.values.rbegin()->first);
}

void StudyBoard::close_study(const std::string& study) {
  const auto found = studies_.find(study);
  if (found == studies_.end()) return;
  for (const JobId job : found->second.jobs) places_.erase(job);
  studies_.erase(found);
}

StudyBoard::QuestionId StudyBoard::ask(JobId job, std::int64_t step, Answer answer) {
  const QuestionId question = ++last_question_;
  questions_.push_back({question, job, step, std::move(answer)});
  answer_what_is_decided();
  return question;
}

void StudyBoard::give_up(QuestionId question) {
  const auto found = std::find_if(questions_.begin(), questions_.end(), [question](const Question& q) { return q.id == question; });
  if (found == questions_.end()) return;
  const Answer answer = std::move(found->answer);
  questions_.erase(found);
  answer(std::nullopt);
}

void StudyBoard::answer_what_is_decided() {
  std::vector<std::pair<Answer, RungDecision>> answers;
  for (auto it = questions_.begin(); it != questions_.end();) {
    const auto place = places_.find(it->job);
    const std::optional<RungDecision> decision =
        place == places_.end() ? std::nullopt : decide_rung(studies_.at(place->second.study).trials, place->second.index, it->step);
    if (!decision) {
      ++it;
      continue;
    }
    answers.emplace_back(std::move(it->answer), *decision);
    it = questions_.erase(it);
  }
  for (auto& [answer, decision] : answers) answer(decision);
}

}  // namespace trainyard::tune
