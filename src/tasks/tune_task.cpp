#include "tasks/tune_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace trainyard::tasks {
namespace {

constexpr std::size_t kPointsMax = 1'000;

struct TuneSpec {
  std::string metric = "validation_accuracy";
  Document job;
  Document points;
  std::int64_t parallel = 0;

  void describe(FieldVisitor& fields) {
    fields.field("metric", metric, "Key in the result of a trial; larger is better.");
    fields.field("job", job, "The job of one trial; a point is merged into its config.");
    fields.required();
    fields.field("points", points, "The points to try, in order.");
    fields.required();
    fields.field("parallel", parallel, {.min = 0, .max = static_cast<double>(kPointsMax)}, "Most trials at a time; 0: as many as fit.");
  }
};

Document trial_job(const TuneSpec& spec, std::size_t index) {
  Document job = spec.job;
  job.set("name", fmt::format("{}-trial-{}", job["name"].is_null() ? "tune" : job["name"].text(), index));
  job.set("config", merged(job["config"], spec.points.items()[index]));
  return job;
}

Result<TuneSpec> tune_spec_from(const Document& body) {
  ASSIGN_OR_RETURN(TuneSpec spec, decode<TuneSpec>(body));
  if (!spec.job.is_object()) return invalid_argument("tune.job", "job must be the spec of one trial, an object", spec.job.where());
  const std::size_t count = spec.points.items().size();
  if (!spec.points.is_array() || count == 0 || count > kPointsMax) {
    return invalid_argument("tune.points", fmt::format("points must be a list of 1 to {} objects", kPointsMax), spec.points.where());
  }
  for (const Document& point : spec.points.items()) {
    if (!point.is_object()) return invalid_argument("tune.points", "a point must be an object like {learning_rate: 0.1}", point.where());
  }
  return spec;
}

struct Trial {
  JobId id;
  JobState state = JobState::kQueued;
  TimePoint eligible_at;
  Document result;
  std::string reason;
  std::uint64_t watch = 0;
};

class TuneTaskRun final : public workflow::TaskRun {
 public:
  TuneTaskRun(const TuneTaskKind::Deps& deps, workflow::TaskReport report, TuneSpec spec, std::string study)
      : jobs_(deps.jobs),
        board_(deps.board),
        strand_(deps.strand),
        clock_(deps.clock),
        report_(std::move(report)),
        spec_(std::move(spec)),
        study_(std::move(study)) {}
  ~TuneTaskRun() override {
    *alive_ = false;
    for (const Trial& trial : trials_) jobs_.unwatch(trial.watch);
    board_.close_study(study_);
  }

  void begin(const workflow::TaskContext& context) {
    context_ = context;
    trials_.resize(spec_.points.items().size());
    submit_next();
  }

  void cancel(const std::string& why) override {
    cancelled_ = why;
    for (const Trial& trial : trials_) {
      if (trial.id.valid()) jobs_.stop(trial.id, why);
    }
  }

 private:
  /// Trials are submitted one after the other, so that their job ids and their places in the queue are in the order of their numbers.
  void submit_next() {
    const auto next = std::find_if(trials_.begin(), trials_.end(), [](const Trial& trial) { return !trial.id.valid(); });
    if (submitting_ || finished_ || !cancelled_.empty() || next == trials_.end()) return;
    const auto at_work = std::count_if(trials_.begin(), next, [](const Trial& trial) { return !is_terminal(trial.state); });
    if (spec_.parallel > 0 && at_work >= spec_.parallel) return;
    const auto index = static_cast<std::size_t>(next - trials_.begin());
    const std::string key = fmt::format("{}/trial-{}", context_.key(), index);
    submitting_ = true;
    jobs_.submit(trial_job(spec_, index), key, context_.owner, [this, alive = alive_, index](const Result<JobId>& id) {
      if (!*alive) return;
      submitting_ = false;
      if (!id.ok()) return finish(workflow::TaskState::kFailed, id.error().describe());
      trials_[index].id = *id;
      board_.register_trial(study_, index, *id);
      if (!cancelled_.empty()) jobs_.stop(*id, cancelled_);
      trials_[index].watch = jobs_.watch(*id, [this, index](const jobs::Job& job) { on_change(index, job); });
      settle();
    });
  }

  /// A trial that lost its place, because its node or warden died, may find all places taken by later ones which wait for it at a rung.
  /// The last of those gives its place up, or all would wait for ever; it goes on from its checkpoint when its turn comes again.
  void make_room() {
    const bool under_way = std::any_of(trials_.begin(), trials_.end(), [](const Trial& t) { return t.state == JobState::kStopping; });
    const auto needy = std::find_if(trials_.begin(), trials_.end(),
                                    [](const Trial& trial) { return trial.id.valid() && trial.state == JobState::kQueued; });
    if (under_way || needy == trials_.end()) return;
    if (needy->eligible_at > clock_.now()) return look_again_at(needy->eligible_at);
    for (auto trial = trials_.end(); --trial != needy;) {
      if (trial->state != JobState::kRunning || !board_.is_waiting(trial->id)) continue;
      return jobs_.preempt(trial->id, fmt::format("gives its place to job {}, whose value it waits for", needy->id.text()));
    }
  }

  /// The end of a backoff is no event of a job.
  void look_again_at(TimePoint time) {
    constexpr Duration kForThePlanner = std::chrono::milliseconds(200);
    if (std::exchange(look_again_at_, time) == time) return;
    strand_.post_at(clock_.monotonic_now() + (time - clock_.now()) + kForThePlanner, [this, alive = alive_] {
      if (*alive) settle();
    });
  }

  void on_change(std::size_t index, const jobs::Job& job) {
    Trial& trial = trials_[index];
    trial.state = job.state;
    trial.eligible_at = job.eligible_at;
    trial.result = job.result;
    synthetic_ = synthetic_ || jobs::uses_synthetic_data(job);
    trial.reason = job.reason;
    board_.update_trial(job.id, {job.rungs, is_terminal(job.state)});
    settle();
  }

  void settle() {
    if (finished_) return;
    report_.progress(output());
    submit_next();
    if (cancelled_.empty()) make_room();
    const bool all_submitted = std::all_of(trials_.begin(), trials_.end(), [](const Trial& trial) { return trial.id.valid(); });
    const bool all_ended =
        std::all_of(trials_.begin(), trials_.end(), [](const Trial& trial) { return !trial.id.valid() || is_terminal(trial.state); });
    if (!all_ended || submitting_ || (!all_submitted && cancelled_.empty())) return;
    if (!cancelled_.empty()) return finish(workflow::TaskState::kCancelled, cancelled_);
    if (!best()) return finish(workflow::TaskState::kFailed, fmt::format("no trial ended with a value of {}", spec_.metric));
    finish(workflow::TaskState::kSucceeded, "");
  }

  void finish(workflow::TaskState state, std::string reason) {
    if (finished_) return;
    finished_ = true;
    for (const Trial& trial : trials_) {
      if (trial.id.valid() && !is_terminal(trial.state)) jobs_.stop(trial.id, "the study is over");
    }
    report_.finish({state, std::move(reason), output()});
  }

  static bool stopped_early(const Trial& trial) { return trial.result["stopped"].as_bool().value_or(false); }

  std::optional<double> final_value(const Trial& trial) const {
    if (trial.state != JobState::kSucceeded || stopped_early(trial)) return std::nullopt;
    const Result<double> value = trial.result.double_at(spec_.metric);
    return value.ok() && !std::isnan(*value) ? std::optional(*value) : std::nullopt;
  }

  std::optional<std::size_t> best() const {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      const std::optional<double> value = final_value(trials_[i]);
      if (value && (!best || *value > *final_value(trials_[*best]))) best = i;
    }
    return best;
  }

  Document output() const {
    Document list = Document::array();
    std::int64_t ended = 0;
    std::int64_t stopped = 0;
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      const Trial& trial = trials_[i];
      Document item = Document::object();
      item.set("job_id", trial.id.text());
      item.set("point", spec_.points.items()[i]);
      item.set("state", name_of(trial.state));
      item.set("stopped", stopped_early(trial));
      if (const std::optional<double> value = final_value(trial)) item.set("value", *value);
      if (is_terminal(trial.state)) ++ended;
      if (stopped_early(trial)) ++stopped;
      list.push(std::move(item));
    }
    Document result = Document::object();
    if (const std::optional<std::size_t> winner = best()) {
      result.set("best", spec_.points.items()[*winner]);
      result.set("best_trial", static_cast<std::int64_t>(*winner));
      result.set("best_value", *final_value(trials_[*winner]));
    }
    result.set("stopped", stopped);
    result.set("trials", std::move(list));
    Document progress = Document::object();
    progress.set("done", ended);
    progress.set("total", static_cast<std::int64_t>(trials_.size()));
    progress.set("message", fmt::format("{} of {} trials ended, {} stopped early", ended, trials_.size(), stopped));
    Document out = Document::object();
    out.set("result", std::move(result));
    if (synthetic_) out.set("synthetic", true);
    out.set("progress", std::move(progress));
    return out;
  }

  JobGateway& jobs_;
  tune::StudyBoard& board_;
  Executor& strand_;
  const Clock& clock_;
  workflow::TaskReport report_;
  TuneSpec spec_;
  std::string study_;
  workflow::TaskContext context_;
  std::vector<Trial> trials_;
  std::string cancelled_;
  bool submitting_ = false;  ///< A trial was sent and not answered: it may become a job that must be stopped.
  TimePoint look_again_at_;  ///< The last time that was asked for.
  bool finished_ = false;
  bool synthetic_ = false;                                      ///< A trial read made-up data.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // shared: owned here, watched by callbacks
};

/// A task that could not even begin.
class EndedTaskRun final : public workflow::TaskRun {
 public:
  void cancel(const std::string&) override {}
};

}  // namespace

Document merged(const Document& base, const Document& over) {
  if (!base.is_object() || !over.is_object()) return over;
  Document out = base;
  for (const auto& [key, value] : over.members()) out.set(key, merged(base[key], value));
  return out;
}

Result<void> TuneTaskKind::validate(const Document& body) const {
  ASSIGN_OR_RETURN(const TuneSpec spec, tune_spec_from(body));
  for (std::size_t i = 0; i < spec.points.items().size(); ++i) TRY(deps_.jobs.check(trial_job(spec, i)));
  return {};
}

std::unique_ptr<workflow::TaskRun> TuneTaskKind::start(const workflow::TaskContext& context, const Document& body,
                                                       workflow::TaskReport report) {
  Result<TuneSpec> spec = tune_spec_from(body);
  if (!spec.ok()) {
    report.finish({workflow::TaskState::kFailed, spec.error().describe(), Document::object()});
    return std::make_unique<EndedTaskRun>();
  }
  auto run = std::make_unique<TuneTaskRun>(deps_, std::move(report), std::move(spec).value(), context.key());
  run->begin(context);
  return run;
}

}  // namespace trainyard::tasks
