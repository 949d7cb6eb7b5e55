#pragma once
#include "tasks/job_gateway.h"
#include "workflow/task_kind.h"

namespace trainyard::tasks {

/// The kind `job`: submits the body as a job spec. A batch job's task ends with the job; a service's task ends when the service is ready
/// and leaves it running. Output: {"job_id","run_id","state","result","artifacts","ready_url"}. References inside the spec's free-form
/// `config` are checked when they are resolved; everything else at submit.
class JobTaskKind final : public workflow::TaskKind {
 public:
  explicit JobTaskKind(JobGateway& jobs) : jobs_(jobs) {}
  std::string name() const override { return "job"; }
  Result<void> validate(const Document& body) const override;
  std::unique_ptr<workflow::TaskRun> start(const workflow::TaskContext& context, const Document& body,
                                           workflow::TaskReport report) override;

 private:
  JobGateway& jobs_;
};

/// What references to a job's task can read.
Document job_output(const jobs::Job& job);

}  // namespace trainyard::tasks
