#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "train/checkpoint.h"
#include "train/comm.h"
#include "train/train_config.h"
#include "train/trainer.h"

namespace trainyard::train {

enum class RungDecision { kContinue, kStop };

/// What the outside wants of the training. Called from the training thread.
class TrainControl {
 public:
  virtual ~TrainControl() = default;
  /// Checkpoint and leave. Once true it stays true.
  virtual bool stop_requested() = 0;
  /// Checkpoint and go on: true once per request.
  virtual bool take_checkpoint_request() = 0;
  /// Rank 0 of a trial at a rung: waits up to `wait` for the decision, less when a stop is requested; none while there is none. The
  /// accuracy was reported before. May be asked again after a restart and then answers the same.
  virtual std::optional<RungDecision> await_rung(std::int64_t step, Duration wait) = 0;
};

/// Hears what happens. Called from the training thread; must not block for long. Only rank 0 hears of metrics and checkpoints.
class TrainListener {
 public:
  virtual ~TrainListener() = default;
  virtual void on_metric(std::string_view key, double value, std::int64_t step) = 0;
  /// On every rank: the heartbeat, at least once a second while steps are shorter than that.
  virtual void on_progress(std::int64_t step, std::int64_t steps_total, std::string_view message) = 0;
  virtual void on_checkpoint(std::int64_t step, const std::string& manifest) = 0;
  /// Something went wrong that does not end the training.
  virtual void on_warning(const Error& error) = 0;
};

/// The data of one training, all with the same layout. `validation` and `test` may be empty.
struct TrainData {
  RecordLayout layout;
  std::int64_t classes = 10;
  RecordTable train;
  RecordTable validation;
  RecordTable test;
  std::string identity;  ///< Names the bytes, e.g. by the dataset version's content hash.
};

enum class StopReason { kFinished, kStopRequested, kStoppedAtRung, kDiverged };
std::string_view name_of(StopReason reason);

struct TrainOutcome {
  StopReason reason = StopReason::kFinished;
  std::int64_t steps = 0;
  std::int64_t resumed_from_step = 0;
  double seconds = 0;             ///< Of training by all attempts.
  double samples_per_second = 0;  ///< Of this attempt, over all ranks, without evaluation and checkpoints.
  std::optional<double> validation_accuracy;
  std::optional<double> test_accuracy;
  std::string parameter_hash;  ///< 32 hex digits over all parameter bytes: equal for equal bits.
};

/// Trains one replica together with its peers: batches, gradient sums, metrics, evaluation, rungs, checkpoints and an agreed end. Whatever
/// ranks must decide alike rides in the maxima of the gradient sum, so that all take the same decision after the same step: a stop, a
/// checkpoint. Undisturbed and resumed runs of the same configuration, data and world size end with the same bits.
/// Lives on one thread.
class TrainingLoop {
 public:
  struct Deps {
    Trainer& trainer;
    Comm& comm;
    CheckpointDirectory* checkpoints;  ///< Null: none are written or read.
    TrainControl& control;
    TrainListener& listener;
    const Clock& clock;
  };
  TrainingLoop(TrainConfig config, TrainPlan plan, TrainData data, Deps deps);

  /// `environment` is stored with checkpoints and compared on resume: see LoopState. Errors: those of the ports; FAILED_PRECONDITION
  /// "checkpoint.incompatible" when a checkpoint belongs to another configuration and "train.diverged" when the loss is no number (a trial
  /// ends with kDiverged instead).
  Result<TrainOutcome> run(const Document& environment);

  /// The share of right answers over `table`, computed by all ranks together; none for an empty table.
  Result<std::optional<double>> accuracy_of(const RecordTable& table);

 private:
  struct Agreed {
    bool stop = false;
    bool checkpoint = false;
  };

  Result<void> resume(const Document& environment);
  Result<void> restore_from(const Checkpoint& checkpoint, const Document& environment);
  Result<Agreed> train_step();
  Result<std::optional<StopReason>> train_until_end();
  Result<void> report(bool& diverged);
  /// Of the parameters as they are; measured once per step.
  Result<std::optional<double>> validation_accuracy();
  Result<void> end_epoch();
  Result<RungDecision> pass_rung();
  Result<RungDecision> agree_on_rung();
  bool at_rung() const;
  bool checkpoint_due() const;
  Result<void> save_checkpoint();
  Result<void> write_checkpoint();
  Result<TrainOutcome> finish(StopReason reason);
  std::string configuration_hash() const;
  std::vector<TensorView> tensors_to_store();
  double seconds_so_far() const;
  bool first() const { return deps_.comm.rank() == 0; }

  TrainConfig config_;
  TrainPlan plan_;
  TrainData data_;
  Deps deps_;
  LoopState state_;
  BatchScore unreported_;             // Of this rank since the last report; part of the checkpoint.
  std::vector<double> stored_score_;  // What tensors_to_store points to.
  std::int64_t steps_since_report_ = 0;
  std::optional<double> validation_accuracy_;  // After validated_step_ steps.
  std::int64_t validated_step_ = -1;
  std::int64_t checkpointed_step_ = -1;  // The last one this attempt wrote.
  std::int64_t resumed_from_ = 0;
  double seconds_before_ = 0;
  Duration computing_{0};  // In steps of this attempt.
  Duration computing_reported_{0};
  std::int64_t steps_here_ = 0;
  MonotonicPoint started_at_;
  MonotonicPoint last_checkpoint_at_;
  MonotonicPoint last_progress_at_;
};

}  // namespace trainyard::train
