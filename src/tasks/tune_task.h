#pragma once
#include "tasks/job_gateway.h"
#include "tune/study_board.h"
#include "workflow/task_kind.h"

namespace trainyard::tasks {

/// The kind `tune`: one job per point, at most `parallel` at a time, stopped early at rungs by the median rule.
///
///   tune: {metric: validation_accuracy, parallel: 2, job: {kind: train, ...}, points: [{learning_rate: 0.05, model: {width: 16}}, ...]}
///
/// A point is merged into the job's `config`. Output: {"result":{"best":{<point>},"best_trial":n,"best_value":x,"trials":[..]}}. The best
/// trial is the one with the largest final metric among those that were not stopped; ties go to the lower number.
class TuneTaskKind final : public workflow::TaskKind {
 public:
  struct Deps {
    JobGateway& jobs;
    tune::StudyBoard& board;
    Executor& strand;
    const Clock& clock;
  };
  explicit TuneTaskKind(Deps deps) : deps_(deps) {}
  std::string name() const override { return "tune"; }
  Result<void> validate(const Document& body) const override;
  std::unique_ptr<workflow::TaskRun> start(const workflow::TaskContext& context, const Document& body,
                                           workflow::TaskReport report) override;

 private:
  Deps deps_;
};

/// `base` with every member of `over` set, object by object.
Document merged(const Document& base, const Document& over);

}  // namespace trainyard::tasks
