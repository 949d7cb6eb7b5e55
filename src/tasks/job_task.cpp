#include "tasks/job_task.h"

#include <fmt/format.h>

namespace trainyard::tasks {
namespace {

class JobTaskRun final : public workflow::TaskRun {
 public:
  JobTaskRun(JobGateway& jobs, Document body, workflow::TaskReport report)
      : jobs_(jobs), body_(std::move(body)), report_(std::move(report)) {}
  ~JobTaskRun() override {
    *alive_ = false;
    if (watch_ != 0) jobs_.unwatch(watch_);
  }

  void begin(const workflow::TaskContext& context) {
    jobs_.submit(body_, context.key(), context.owner, [this, alive = alive_](const Result<JobId>& id) {
      if (!*alive) return;
      if (!id.ok()) {
        Error refused = id.error();
        refused.where = place_of(body_, refused.where);
        return report_.finish({workflow::TaskState::kFailed, refused.describe(), Document::object()});
      }
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
    if (finished_) return;  // A service goes on after its task ended.
    const Document output = job_output(job);
    const bool ready = job.spec.job_class == "service" && !job.ready_url.empty() && job.state == JobState::kRunning;
    if (!is_terminal(job.state) && !ready) return report_.progress(output);
    workflow::TaskState state = workflow::TaskState::kSucceeded;
    if (job.state == JobState::kCancelled) state = workflow::TaskState::kCancelled;
    if (job.state == JobState::kFailed || job.state == JobState::kTimedOut) state = workflow::TaskState::kFailed;
    const std::string reason = state == workflow::TaskState::kSucceeded ? "" : failure_text(job);
    finished_ = true;
    report_.finish({state, reason, output});
  }

  /// What the program said comes last, with its place in the file of the workflow.
  std::string failure_text(const jobs::Job& job) const {
    const Document& fault = job.result["error"];
    std::string text = fmt::format("job {} {}: {}", job.id.text(), name_of(job.state), job.reason);
    if (fault["message"].text().empty()) return text;
    text += "; it said: ";
    if (!fault["where"].text().empty()) text += place_of(body_, fault["where"].text()) + ": ";
    return text + fault["id"].text() + ": " + fault["message"].text();
  }

  JobGateway& jobs_;
  Document body_;
  workflow::TaskReport report_;
  JobId job_;
  std::uint64_t watch_ = 0;
  std::string cancelled_;
  bool finished_ = false;
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
  if (jobs::uses_synthetic_data(job)) output.set("synthetic", true);
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

Result<void> JobTaskKind::validate(const Document& body) const { return jobs_.check(body); }

std::unique_ptr<workflow::TaskRun> JobTaskKind::start(const workflow::TaskContext& context, const Document& body,
                                                      workflow::TaskReport report) {
  auto run = std::make_unique<JobTaskRun>(jobs_, body, std::move(report));
  run->begin(context);
  return run;
}

}  // namespace trainyard::tasks
