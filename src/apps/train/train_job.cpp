#include "apps/train/train_job.h"

#include <fmt/format.h>

#include <cstdio>

#include "adapters/localfs/local_object_store.h"
#include "adapters/torch/torch_trainer.h"
#include "apps/train/child_process.h"
#include "apps/train/job_control.h"
#include "apps/train/model_export.h"
#include "apps/train/train_inputs.h"
#include "base/describe.h"
#include "train/shared_memory_comm.h"

namespace trainyard::apps {
namespace {

using train::TrainConfig;
using train::TrainOutcome;

Result<TrainConfig> config_of(const runner::RunnerSpec& spec) {
  if (spec.kind != "train") return invalid_argument("spec.kind", "This program runs jobs of kind train, not: " + spec.kind, "/kind");
  Document config = spec.config;
  // The job's own interval holds unless the configuration names another.
  const Document& every = spec.document["checkpoint_every"];
  if (every.is_string() && (config.is_null() || (config.is_object() && config.find("checkpoint_every") == nullptr))) {
    config.set("checkpoint_every", every);
  }
  return config.is_null() ? TrainConfig{} : decode<TrainConfig>(config);
}

Result<runner::InputDataset> input_of(const runner::RunnerSpec& spec) {
  if (spec.inputs.size() == 1) return spec.inputs.begin()->second;
  return spec.input("data");
}

/// Where the model is stored and how it is checked; found before the training, so that a missing piece does not show after it.
struct ExportTools {
  std::unique_ptr<store::ObjectStore> objects;
  ExportSettings settings;
};

Result<ExportTools> export_tools_for(const runner::JobContext& context) {
  if (context.spec.object_root.empty()) {
    return invalid_argument("spec.missing_key",
                            "the spec names no object_root to store the model in; set export_onnx: false to train without", "/object_root");
  }
  ExportTools tools;
  tools.settings.workdir = context.environment.workdir;
  ASSIGN_OR_RETURN(tools.settings.checker, find_program("trainyard-serve"));
  ASSIGN_OR_RETURN(tools.objects, adapters::localfs::make_local_object_store(context.spec.object_root));
  return tools;
}

Result<std::unique_ptr<train::Comm>> join_gang(const runner::JobContext& context, std::size_t parameter_count) {
  const runner::Environment& environment = context.environment;
  if (environment.world_size == 1) return std::unique_ptr<train::Comm>(std::make_unique<train::SoloComm>());
  if (environment.local_world_size != environment.world_size) {
    return failed_precondition("train.several_hosts",
                               fmt::format("all ranks of a training must be on one node, since they sum gradients in "
                                           "shared memory; ask for fewer tasks or a larger node: {} of {} ranks here",
                                           environment.local_world_size, environment.world_size));
  }
  // What only this installation's attempt has: its checkpoint directory, or the port that was picked for the gang.
  const std::string place =
      !environment.checkpoint_directory.empty() ? environment.checkpoint_directory : fmt::format("port {}", environment.master_port);
  const AttemptKey& attempt = environment.rank.attempt;
  return train::make_shared_memory_comm({.name = train::shared_memory_name(place, attempt.job.text(), attempt.attempt.value),
                                         .rank = environment.rank.rank,
                                         .world_size = environment.world_size,
                                         .floats_max = parameter_count,
                                         .give_up = [&context] { return context.stop.stop_requested(); }},
                                        context.clock);
}

Document result_of(const TrainOutcome& outcome, const std::optional<ExportedModel>& exported) {
  Document result;
  result.set("stop_reason", name_of(outcome.reason));
  result.set("stopped", outcome.reason == train::StopReason::kStoppedAtRung);
  result.set("steps", outcome.steps);
  result.set("resumed_from_step", outcome.resumed_from_step);
  result.set("seconds", outcome.seconds);
  result.set("samples_per_second", outcome.samples_per_second);
  if (outcome.validation_accuracy) result.set("validation_accuracy", *outcome.validation_accuracy);
  if (outcome.test_accuracy) result.set("test_accuracy", *outcome.test_accuracy);
  result.set("parameter_hash", outcome.parameter_hash);
  if (exported) {
    result.set("max_abs_diff", exported->difference);
    result.set("model_uri", exported->artifact.uri);
  }
  return result;
}

void print_summary(const TrainOutcome& outcome) {
  const auto percent = [](const std::optional<double>& share) {
    return share ? fmt::format("{:.2f} %", *share * 100) : std::string("not measured");
  };
  std::fputs(fmt::format("{} after {} steps in {:.1f} s ({:.0f} samples/s), validation {}, test {}, parameters {}\n",
                         name_of(outcome.reason), outcome.steps, outcome.seconds, outcome.samples_per_second,
                         percent(outcome.validation_accuracy), percent(outcome.test_accuracy), outcome.parameter_hash)
                 .c_str(),
             stdout);
  std::fflush(stdout);
}

Result<runner::ExitCode> report(runner::JobContext& context, const TrainOutcome& outcome, const std::optional<ExportedModel>& exported) {
  if (context.environment.is_first_rank()) {
    if (exported) context.events.artifact(exported->artifact);
    context.events.result(result_of(outcome, exported));
    print_summary(outcome);
  }
  if (outcome.reason != train::StopReason::kStopRequested) return runner::ExitCode::kDone;
  if (context.environment.checkpoint_directory.empty()) {
    return Error{
        Category::kCancelled, "train.stopped", "the training was stopped on request and has no checkpoint directory to go on from", {}, {}};
  }
  return runner::ExitCode::kStoppedOnRequest;
}

}  // namespace

Result<runner::ExitCode> run_train_job(runner::JobContext& context) {
  const runner::Environment& environment = context.environment;
  ASSIGN_OR_RETURN(const TrainConfig config, config_of(context.spec));
  ASSIGN_OR_RETURN(const runner::InputDataset dataset, input_of(context.spec));
  ASSIGN_OR_RETURN(const TrainInputs inputs, open_train_inputs(dataset, config));
  ASSIGN_OR_RETURN(const train::TrainPlan plan, plan_training(config, inputs.data.train.rows(), environment.world_size));
  // Trials are compared, not deployed.
  const bool exports = config.export_onnx && config.trial.rung_steps.empty() && environment.is_first_rank();
  std::optional<ExportTools> tools;
  if (exports) {
    ASSIGN_OR_RETURN(tools, export_tools_for(context));
  }

  adapters::torch::configure_torch(environment.threads);
  ASSIGN_OR_RETURN(const std::unique_ptr<train::Trainer> trainer,
                   adapters::torch::make_torch_trainer({.model = config.model.name,
                                                        .model_width = config.model.width,
                                                        .classes = inputs.data.classes,
                                                        .layout = inputs.data.layout,
                                                        .momentum = config.momentum,
                                                        .seed = static_cast<std::uint64_t>(config.seed)}));
  Result<std::unique_ptr<train::Comm>> comm = join_gang(context, trainer->parameters().size());
  // Nothing was done yet, so whatever was durable before still says everything.
  if (!comm.ok() && comm.error().category == Category::kCancelled) return runner::ExitCode::kStoppedOnRequest;
  if (!comm.ok()) return std::move(comm).error();
  std::optional<runner::ServerConnection> server;
  if (!config.trial.rung_steps.empty()) {
    ASSIGN_OR_RETURN(server, runner::ServerConnection::make(environment));
  }
  JobControl control(context.stop, server ? &*server : nullptr, context.spec.job, context.clock);
  EventListener listener(context.events);
  train::CheckpointDirectory checkpoints({.root = environment.checkpoint_directory,
                                          .job = context.spec.job,
                                          .attempt = environment.rank.attempt.attempt,
                                          .keep = static_cast<std::size_t>(config.keep_checkpoints)});
  train::TrainingLoop loop(config, plan, inputs.data,
                           {.trainer = *trainer,
                            .comm = *comm.value(),
                            .checkpoints = environment.checkpoint_directory.empty() ? nullptr : &checkpoints,
                            .control = control,
                            .listener = listener,
                            .clock = context.clock});
  ASSIGN_OR_RETURN(const TrainOutcome outcome, loop.run(adapters::torch::torch_environment()));

  std::optional<ExportedModel> exported;
  if (tools && outcome.reason == train::StopReason::kFinished) {
    ASSIGN_OR_RETURN(exported, export_model(*trainer, inputs.data, *tools->objects, tools->settings, context.clock));
  }
  return report(context, outcome, exported);
}

}  // namespace trainyard::apps
