#include "train/training_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/checksum.h"
#include "train/internal/agreement.h"

namespace trainyard::train {
namespace {

using namespace std::chrono_literals;

constexpr Duration kProgressEvery = 1s;
constexpr Duration kRungWait = 10s;  // Then the ranks tell each other that they still wait.
constexpr std::int64_t kEvaluationBatch = 500;
constexpr const char* kScoreTensor = "loop/score";

}  // namespace

std::string_view name_of(StopReason reason) {
  switch (reason) {
    case StopReason::kFinished:
      return "finished";
    case StopReason::kStopRequested:
      return "stop_requested";
    case StopReason::kStoppedAtRung:
      return "stopped_at_rung";
    case StopReason::kDiverged:
      return "diverged";
  }
  return "unknown";
}

TrainingLoop::TrainingLoop(TrainConfig config, TrainPlan plan, TrainData data, Deps deps)
    : config_(std::move(config)), plan_(plan), data_(std::move(data)), deps_(deps) {}

Result<TrainOutcome> TrainingLoop::run(const Document& environment) {
  started_at_ = last_checkpoint_at_ = last_progress_at_ = deps_.clock.monotonic_now();
  state_.world_size = deps_.comm.world_size();
  state_.configuration_hash = configuration_hash();
  state_.environment = environment;
  if (deps_.checkpoints != nullptr) TRY(resume(environment));
  ASSIGN_OR_RETURN(const std::optional<StopReason> early, train_until_end());
  return finish(early.value_or(StopReason::kFinished));
}

Result<std::optional<StopReason>> TrainingLoop::train_until_end() {
  bool diverged = false;
  for (;;) {
    if (state_.step > 0 && state_.step % plan_.steps_per_epoch == 0 && state_.evaluated_step < state_.step) TRY(end_epoch());
    if (at_rung() && state_.rung_step < state_.step) {
      const Result<RungDecision> decision = pass_rung();
      if (!decision.ok() && decision.error().category == Category::kCancelled) return std::optional(StopReason::kStopRequested);
      if (!decision.ok()) return decision.error();
      if (decision.value() == RungDecision::kStop) return std::optional(StopReason::kStoppedAtRung);
    }
    if (diverged) return std::optional(StopReason::kDiverged);
    if (state_.step == plan_.steps_total) return std::optional<StopReason>();

    ASSIGN_OR_RETURN(const Agreed agreed, train_step());
    const bool last = state_.step == plan_.steps_total;
    if (last || state_.step % config_.report_every_steps == 0) TRY(report(diverged));
    if (diverged) continue;
    if (agreed.stop && !last) {
      TRY(write_checkpoint());
      return std::optional(StopReason::kStopRequested);
    }
    if (agreed.checkpoint || last) TRY(save_checkpoint());
  }
}

Result<TrainingLoop::Agreed> TrainingLoop::train_step() {
  const MonotonicPoint begin = deps_.clock.monotonic_now();
  const std::vector<std::uint64_t> rows = batch_rows(config_, plan_, data_.train.rows(), state_.step, deps_.comm.rank());
  ASSIGN_OR_RETURN(const BatchScore score, deps_.trainer.compute_gradients({.table = data_.train, .rows = rows}, config_.batch_size));
  unreported_ += score;

  std::array<std::int64_t, 2> wishes{deps_.control.stop_requested() ? 1 : 0,
                                     deps_.control.take_checkpoint_request() || checkpoint_due() ? 1 : 0};
  TRY(deps_.comm.all_reduce(deps_.trainer.gradients(), wishes));
  TRY(deps_.trainer.apply(learning_rate_at(config_, plan_, state_.step)));
  ++state_.step;
  ++steps_here_;
  ++steps_since_report_;
  const MonotonicPoint end = deps_.clock.monotonic_now();
  computing_ += end - begin;
  if (end - last_progress_at_ >= kProgressEvery || steps_here_ == 1) {
    last_progress_at_ = end;
    deps_.listener.on_progress(state_.step, plan_.steps_total,
                               fmt::format("epoch {} of {}", (state_.step - 1) / plan_.steps_per_epoch + 1,
                                           (plan_.steps_total + plan_.steps_per_epoch - 1) / plan_.steps_per_epoch));
  }
  return Agreed{.stop = wishes[0] != 0, .checkpoint = wishes[1] != 0};
}

bool TrainingLoop::checkpoint_due() const {
  return first() && deps_.checkpoints != nullptr && config_.checkpoint_every > Duration(0) &&
         deps_.clock.monotonic_now() - last_checkpoint_at_ >= config_.checkpoint_every;
}

Result<void> TrainingLoop::report(bool& diverged) {
  std::array<double, 3> totals{unreported_.loss, static_cast<double>(unreported_.correct), static_cast<double>(unreported_.rows)};
  TRY(deps_.comm.sum(totals));
  unreported_ = {};
  diverged = !std::isfinite(totals[0]);
  if (first()) {
    const double rows = std::max(totals[2], 1.0);
    deps_.listener.on_metric("loss", totals[0] / rows, state_.step);
    deps_.listener.on_metric("train_accuracy", totals[1] / rows, state_.step);
    const double seconds = std::chrono::duration<double>(computing_ - computing_reported_).count();
    if (seconds > 0 && steps_since_report_ > 0) {
      deps_.listener.on_metric("samples_per_second", static_cast<double>(steps_since_report_ * config_.batch_size) / seconds, state_.step);
    }
  }
  computing_reported_ = computing_;
  steps_since_report_ = 0;
  if (!diverged || !config_.trial.rung_steps.empty()) return {};
  return failed_precondition(
      "train.diverged", fmt::format("the training diverged: the loss is no finite number any more; lower learning_rate or raise warmup: "
                                    "step {}, learning_rate {}",
                                    state_.step, config_.learning_rate));
}

Result<std::optional<double>> TrainingLoop::accuracy_of(const RecordTable& table) {
  const std::uint64_t rows = table.rows();
  if (rows == 0) return std::optional<double>();
  const std::uint64_t rank = deps_.comm.rank();
  const std::uint64_t world = deps_.comm.world_size();
  const std::uint64_t end = rows * (rank + 1) / world;
  BatchScore score;
  std::vector<std::uint64_t> positions;
  for (std::uint64_t begin = rows * rank / world; begin < end; begin += kEvaluationBatch) {
    positions.resize(std::min<std::uint64_t>(kEvaluationBatch, end - begin));
    for (std::size_t i = 0; i < positions.size(); ++i) positions[i] = begin + i;
    const RecordBatch batch{.table = table, .rows = positions};
    ASSIGN_OR_RETURN(const std::span<const float> logits, deps_.trainer.forward(batch));
    score += score_logits(logits, batch, data_.layout);
  }
  std::array<double, 2> totals{static_cast<double>(score.correct), static_cast<double>(score.rows)};
  TRY(deps_.comm.sum(totals));
  return std::optional<double>(totals[0] / totals[1]);
}

Result<std::optional<double>> TrainingLoop::validation_accuracy() {
  if (validated_step_ != state_.step) {
    ASSIGN_OR_RETURN(validation_accuracy_, accuracy_of(data_.validation));
    validated_step_ = state_.step;
  }
  return validation_accuracy_;
}

Result<void> TrainingLoop::end_epoch() {
  if (config_.evaluate) {
    ASSIGN_OR_RETURN(const std::optional<double> accuracy, validation_accuracy());
    if (accuracy && first()) deps_.listener.on_metric("validation_accuracy", *accuracy, state_.step);
  }
  state_.evaluated_step = state_.step;
  return {};
}

bool TrainingLoop::at_rung() const {
  const std::vector<std::int64_t>& rungs = config_.trial.rung_steps;
  return std::binary_search(rungs.begin(), rungs.end(), state_.step);
}

Result<RungDecision> TrainingLoop::pass_rung() {
  ASSIGN_OR_RETURN(const std::optional<double> accuracy, validation_accuracy());
  if (first()) {
    deps_.listener.on_metric("rung_accuracy", accuracy.value_or(0), state_.step);
    deps_.listener.on_progress(state_.step, plan_.steps_total, "waiting at a rung");
  }
  ASSIGN_OR_RETURN(const RungDecision decision, agree_on_rung());
  if (decision == RungDecision::kContinue) state_.rung_step = state_.step;
  return decision;
}

Result<RungDecision> TrainingLoop::agree_on_rung() {
  constexpr std::int64_t kUndecided = 0;
  constexpr std::int64_t kContinue = 1;
  constexpr std::int64_t kStop = 2;
  for (;;) {
    std::array<std::int64_t, 2> said{kUndecided, 0};
    if (first()) {
      const std::optional<RungDecision> decision = deps_.control.await_rung(state_.step, kRungWait);
      if (decision) said[0] = *decision == RungDecision::kContinue ? kContinue : kStop;
    }
    said[1] = deps_.control.stop_requested() ? 1 : 0;
    TRY(deps_.comm.all_reduce({}, said));
    if (said[0] == kContinue) return RungDecision::kContinue;
    if (said[0] == kStop) return RungDecision::kStop;
    if (said[1] != 0) {
      TRY(write_checkpoint());
      return Error{Category::kCancelled, "train.stop_requested", "a stop was requested while the trial waited at a rung", {}, {}};
    }
    deps_.listener.on_progress(state_.step, plan_.steps_total, "waiting at a rung");
  }
}

Result<TrainOutcome> TrainingLoop::finish(StopReason reason) {
  TrainOutcome outcome;
  outcome.reason = reason;
  outcome.steps = state_.step;
  outcome.resumed_from_step = resumed_from_;
  outcome.parameter_hash = xxh3_hex(std::as_bytes(deps_.trainer.parameters()));
  const double computing = std::chrono::duration<double>(computing_).count();
  if (computing > 0) outcome.samples_per_second = static_cast<double>(steps_here_ * config_.batch_size) / computing;
  if (reason != StopReason::kStopRequested && config_.evaluate) {
    ASSIGN_OR_RETURN(outcome.validation_accuracy, validation_accuracy());
    if (reason == StopReason::kFinished) {
      ASSIGN_OR_RETURN(outcome.test_accuracy, accuracy_of(data_.test));
    }
  }
  outcome.seconds = seconds_so_far();
  deps_.listener.on_progress(state_.step, plan_.steps_total, name_of(reason));
  return outcome;
}

double TrainingLoop::seconds_so_far() const {
  return seconds_before_ + std::chrono::duration<double>(deps_.clock.monotonic_now() - started_at_).count();
}

std::string TrainingLoop::configuration_hash() const {
  TrainConfig deciding = config_;
  // These do not touch the bits; a resume may change them.
  deciding.checkpoint_every = TrainConfig{}.checkpoint_every;
  deciding.keep_checkpoints = TrainConfig{}.keep_checkpoints;
  deciding.evaluate = TrainConfig{}.evaluate;
  deciding.export_onnx = TrainConfig{}.export_onnx;
  const std::string text = fmt::format("{}|{}|{}", to_json(encode(deciding)), data_.identity, deps_.comm.world_size());
  return xxh3_hex(std::as_bytes(std::span(text.data(), text.size())));
}

std::vector<TensorView> TrainingLoop::tensors_to_store() {
  std::vector<TensorView> tensors;
  for (StateTensor& tensor : deps_.trainer.state()) {
    if (first() || !tensor.replicated) tensors.push_back(std::move(tensor.view));
  }
  stored_score_ = {unreported_.loss, static_cast<double>(unreported_.correct), static_cast<double>(unreported_.rows)};
  tensors.push_back({.name = kScoreTensor, .type = DataType::kFp64, .shape = {3}, .bytes = std::as_bytes(std::span(stored_score_))});
  return tensors;
}

Result<void> TrainingLoop::save_checkpoint() {
  Result<void> written = write_checkpoint();
  if (written.ok()) return {};
  // A peer that is gone and a fence end the training; a full disk does not, the next checkpoint may succeed.
  if (written.error().id.starts_with("comm.") || written.error().id == "checkpoint.fenced") return written;
  deps_.listener.on_warning(std::move(written).error().with_context("writing a periodic checkpoint"));
  return {};
}

Result<void> TrainingLoop::write_checkpoint() {
  last_checkpoint_at_ = deps_.clock.monotonic_now();
  if (deps_.checkpoints == nullptr || checkpointed_step_ == state_.step) return {};
  Result<CheckpointFile> mine = deps_.checkpoints->write_tensors(state_.step, deps_.comm.rank(), tensors_to_store());
  ASSIGN_OR_RETURN(std::vector<CheckpointFile> files, internal::exchange_files(deps_.comm, mine));

  state_.seconds = seconds_so_far();
  std::optional<Error> failure;
  std::string manifest;
  if (first()) {
    Result<std::string> committed = deps_.checkpoints->commit(state_, std::move(files));
    if (committed.ok()) {
      manifest = std::move(committed).value();
    } else {
      failure = std::move(committed).error();
    }
  }
  TRY(internal::agree_on_success(deps_.comm, failure));
  checkpointed_step_ = state_.step;
  if (!first()) return {};
  deps_.listener.on_checkpoint(state_.step, manifest);
  if (const Result<void> removed = deps_.checkpoints->remove_old(); !removed.ok()) deps_.listener.on_warning(removed.error());
  return {};
}

Result<void> TrainingLoop::resume(const Document& environment) {
  std::optional<Error> failure;
  std::array<std::int64_t, 2> chosen{0, 0};  // attempt and step; no attempt: start from the beginning
  if (first()) {
    std::vector<std::string> skipped;
    Result<void> claimed = deps_.checkpoints->claim();
    if (!claimed.ok()) {
      failure = std::move(claimed).error();
    } else if (const Result<std::optional<Checkpoint>> newest = deps_.checkpoints->newest(&skipped); !newest.ok()) {
      failure = newest.error();
    } else if (newest.value()) {
      chosen = {static_cast<std::int64_t>(newest.value()->attempt.value), newest.value()->state.step};
    }
    for (const std::string& text : skipped) deps_.listener.on_warning(data_loss("checkpoint.skipped", text));
  }
  TRY(internal::agree_on_success(deps_.comm, failure));
  TRY(deps_.comm.all_reduce({}, chosen));
  if (chosen[0] == 0) return {};

  const AttemptNumber attempt(static_cast<std::uint32_t>(chosen[0]));
  Result<void> restored;
  if (Result<Checkpoint> checkpoint = deps_.checkpoints->at(attempt, chosen[1]); checkpoint.ok()) {
    restored = restore_from(checkpoint.value(), environment);
  } else {
    restored = std::move(checkpoint).error();
  }
  return internal::agree_on_success(deps_.comm, restored.ok() ? std::nullopt : std::optional(restored.error()));
}

Result<void> TrainingLoop::restore_from(const Checkpoint& checkpoint, const Document& environment) {
  const LoopState& stored = checkpoint.state;
  if (stored.configuration_hash != state_.configuration_hash) {
    return failed_precondition(
        "checkpoint.incompatible",
        fmt::format("the checkpoint was written with another configuration, other data or another number of ranks; submit "
                    "a new job to train with changed ones: {} (ranks then {}, now {})",
                    checkpoint.manifest, stored.world_size, state_.world_size));
  }
  if (stored.environment != environment && first()) {
    deps_.listener.on_warning(
        failed_precondition("checkpoint.environment",
                            fmt::format("training goes on in another environment than the checkpoint's, so the bits may differ from an "
                                        "undisturbed run: then {}, now {}",
                                        to_json(stored.environment), to_json(environment))));
  }
  ASSIGN_OR_RETURN(const TensorFile replicated, deps_.checkpoints->read_tensors(checkpoint, 0));
  ASSIGN_OR_RETURN(const TensorFile own, deps_.checkpoints->read_tensors(checkpoint, deps_.comm.rank()));
  std::vector<TensorView> tensors = own.tensors;
  for (const TensorView& tensor : replicated.tensors) {
    if (own.find(tensor.name) == nullptr) tensors.push_back(tensor);
  }
  TRY(deps_.trainer.restore(tensors));

  std::array<double, 3> score{};
  const TensorView* const stored_score = own.find(kScoreTensor);
  if (stored_score == nullptr || stored_score->bytes.size() != sizeof score) {
    return failed_precondition("checkpoint.incompatible", "the checkpoint has no loop/score tensor: " + checkpoint.manifest);
  }
  std::memcpy(score.data(), stored_score->bytes.data(), sizeof score);
  unreported_ = {.loss = score[0], .correct = static_cast<std::int64_t>(score[1]), .rows = static_cast<std::int64_t>(score[2])};
  state_ = stored;
  state_.environment = environment;
  resumed_from_ = stored.step;
  seconds_before_ = stored.seconds;
  return {};
}

}  // namespace trainyard::train
