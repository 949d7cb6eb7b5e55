#pragma once
#include "tasks/job_gateway.h"
#include "tune/study_board.h"
#include "workflow/task_kind.h"

namespace trainyard::tasks {

/// The kind `tune`: one job per point, all submitted at once (the scheduler runs as many as fit), stopped early at rungs by the median
/// rule.
///
///   tune: {metric: validation_accuracy, job: {kind: train, ...}, points: [{learning_rate: 0.05, model: {width: 16}}, ...]}
///
/// A point is merged into the job's `config`. Output: {"result":{"best":{<point>},"best_trial":n,"best_value":x,"trials":[..]}}. The best
/// trial is the one with the largest final metric among those that were not stopped; ties go to the lower number.
class TuneTaskKind final : public workflow::TaskKind {
 public:
  TuneTaskKind(JobGateway& jobs, tune::StudyBoard& board) : jobs_(jobs), board_(board) {}
  std::string name() const override { return "tune"; }
  Result<void> validate(const Document& body) const override;
  std::unique_ptr<workflow::TaskRun> start(const workflow::TaskContext& context, const Document& body,
                                           workflow::TaskReport report) override;

 private:
  JobGateway& jobs_;
  tune::StudyBoard& board_;
};

/// `base` with every member of `over` set, object by object.
Document merged(const Document& base, const Document& over);

}  // namespace trainyard::tasks
