#include "tasks/job_task.h"

#include <fmt/format.h>

namespace trainyard::tasks {
namespace {

class JobTaskRun final : public workflow::TaskRun {
 public:
  JobTaskRun(JobGateway& jobs, workflow::TaskReport report) : jobs_(jobs), report_(std::move(report)) {}
  ~JobTaskRun() override {
    *alive_ = false;
    if (watch_ != 0) jobs_.unwatch(watch_);
  }

  void begin(const workflow::TaskContext& context, const Document& body) {
    jobs_.submit(body, context.key(), context.owner, [this, alive = alive_](const Result<JobId>& id) {
      if (!*alive) return;
      if (!id.ok()) return report_.finish({workflow::TaskState::kFailed, id.error().describe(), Document::object()});
      job_ = *id;
      if (!cancelled_.empty()) jobs_.stop(job_, cancelled_);
      watch_ = jobs_.watch(job_, [this](const jobs::Job& job) { on_change(job); });
    });
  }

  void cancel(const std::string& why) override {
    cancelled_ = why;
    if (job_.valid()) jobs_.stop(job_, why);
  }

 private:
  void on_change(const jobs::Job& job) {
    const Document output = job_output(job);
    const bool ready = job.spec.job_class == "service" && !job.ready_url.empty() && job.state == JobState::kRunning;
    if (!is_terminal(job.state) && !ready) return report_.progress(output);
    workflow::TaskState state = workflow::TaskState::kSucceeded;
    if (job.state == JobState::kCancelled) state = workflow::TaskState::kCancelled;
    if (job.state == JobState::kFailed || job.state == JobState::kTimedOut) state = workflow::TaskState::kFailed;
    const std::string reason = state == workflow::TaskState::kSucceeded ? "" : failure_text(job);
    report_.finish({state, reason, output});
  }

  static std::string failure_text(const jobs::Job& job) {
    const std::string& message = job.result["error"]["message"].text();
    return fmt::format("job {} {}: {}{}", job.id.text(), name_of(job.state), job.reason, message.empty() ? "" : "; it said: " + message);
  }

  JobGateway& jobs_;
  workflow::TaskReport report_;
  JobId job_;
  std::uint64_t watch_ = 0;
  std::string cancelled_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // shared: owned here, watched by callbacks
};

}  // namespace

Document job_output(const jobs::Job& job) {
  Document output = Document::object();
  output.set("job_id", job.id.text());
  output.set("run_id", job.run.text);
  output.set("state", name_of(job.state));
  output.set(
      "inputs", job.resolved["inputs"].is_null() ? Document::object() : [&job] {
        Document refs = Document::object();
        for (const auto& [name, input] : job.resolved["inputs"].members()) refs.append_member(name, input["ref"]);
        return refs;
      }());
  if (!job.result.is_null()) output.set("result", job.result);
  if (!job.artifacts.items().empty()) output.set("artifacts", job.artifacts);
  if (!job.ready_url.empty()) output.set("ready_url", job.ready_url);
  if (job.progress) {
    Document progress = Document::object();
    progress.set("done", job.progress->done);
    progress.set("total", job.progress->total);
    progress.set("message", job.progress->message);
    output.set("progress", std::move(progress));
  }
  return output;
}

Result<void> JobTaskKind::validate(const Document& body) const {
  TRY(job_spec_from(body));
  return {};
}

std::unique_ptr<workflow::TaskRun> JobTaskKind::start(const workflow::TaskContext& context, const Document& body,
                                                      workflow::TaskReport report) {
  auto run = std::make_unique<JobTaskRun>(jobs_, std::move(report));
  run->begin(context, body);
  return run;
}

}  // namespace trainyard::tasks
