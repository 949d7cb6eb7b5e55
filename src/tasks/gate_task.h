#pragma once
#include "workflow/task_kind.h"

namespace trainyard::tasks {

/// The kind `gate`: {metric: test_accuracy, value: "${tasks.train.result.test_accuracy}", at_least: 0.88}. Succeeds when the value
/// reaches the bar; what comes from synthetic data is refused. No effect of its own.
class GateTaskKind final : public workflow::TaskKind {
 public:
  std::string name() const override { return "gate"; }
  Result<void> validate(const Document& body) const override;
  std::unique_ptr<workflow::TaskRun> start(const workflow::TaskContext& context, const Document& body,
                                           workflow::TaskReport report) override;
};

}  // namespace trainyard::tasks
