#include "tasks/register_task.h"

#include <fmt/format.h>

#include "base/describe.h"
#include "base/failpoint.h"
#include "data/synthetic.h"

namespace trainyard::tasks {
namespace {

struct RegisterSpec {
  std::string model;
  std::string uri;
  std::string run_id;
  std::string dataset;
  std::string alias;

  void describe(FieldVisitor& fields) {
    fields.field("model", model, "Name of the registered model.");
    fields.required();
    fields.field("uri", uri, "Where the model's bytes are.");
    fields.required();
    fields.field("run_id", run_id, "The tracked run that made it.");
    fields.field("dataset", dataset, "The dataset version it was trained on.");
    fields.field("alias", alias, "An alias to move to the new version.");
  }
};

class RegisterTaskRun final : public workflow::TaskRun {
 public:
  ~RegisterTaskRun() override { *alive = false; }
  void cancel(const std::string&) override {}  // A version that is being made is made: it takes milliseconds.

  const std::shared_ptr<bool> alive = std::make_shared<bool>(true);  // shared: owned here, watched by posted tasks
};

/// Moves the alias to what was made. A task that is taken up again after a crash does not take it back from a later version.
Result<void> move_alias(track::ModelRegistry& models, const track::ModelVersion& made, const std::string& alias) {
  const Result<track::ModelVersion> holder = models.version_of_alias(made.model, alias);
  if (holder.ok() && holder->version > made.version) return {};
  return models.set_alias({made.model, made.version}, alias);
}

Result<void> refuse_synthetic(data::CatalogRepository& catalog, const workflow::TaskContext& context, const RegisterSpec& spec) {
  bool synthetic = context.synthetic;
  if (!spec.dataset.empty()) {
    ASSIGN_OR_RETURN(const DatasetRef ref, parse_dataset_ref(spec.dataset));
    const Result<data::DatasetVersion> version = catalog.get(ref);
    synthetic = synthetic || (version.ok() && data::is_synthetic(version->draft));
  }
  if (!synthetic) return {};
  return failed_precondition(
      "registry.synthetic",
      fmt::format("a model of synthetic data is not registered: get the real dataset and train again; model: {}", spec.model));
}

Result<Document> register_model(const RegisterTaskKind::Deps& deps, const workflow::TaskContext& context, const RegisterSpec& spec) {
  // Checked before anything is made: a version without its alias would be half a registration.
  if (!spec.alias.empty()) TRY(track::check_alias(spec.alias));
  TRY(refuse_synthetic(deps.catalog, context, spec));
  track::ModelRegistry& models = deps.models;
  track::NewModelVersion version;
  version.model = spec.model;
  version.source = spec.uri;
  version.run.text = spec.run_id;
  version.dataset = spec.dataset;
  version.user = context.owner;
  version.idempotency_key = context.key();
  version.create_model = true;
  ASSIGN_OR_RETURN(const track::ModelVersion made, models.create_version(version));
  FAILPOINT("register.before_alias");
  if (!spec.alias.empty()) TRY(move_alias(models, made, spec.alias));
  Document result = Document::object();
  result.set("model", made.model);
  result.set("version", made.version);
  result.set("alias", spec.alias);
  return result;
}

}  // namespace

Result<void> RegisterTaskKind::validate(const Document& body) const {
  ASSIGN_OR_RETURN(const RegisterSpec spec, decode<RegisterSpec>(body));
  const bool is_known = !spec.alias.empty() && spec.alias.find("${") == std::string::npos;
  if (is_known) TRY(track::check_alias(spec.alias));
  return {};
}

std::unique_ptr<workflow::TaskRun> RegisterTaskKind::start(const workflow::TaskContext& context, const Document& body,
                                                           workflow::TaskReport report) {
  const Result<RegisterSpec> spec = decode<RegisterSpec>(body);
  if (!spec.ok()) {
    report.finish({workflow::TaskState::kFailed, spec.error().describe(), Document::object()});
    return std::make_unique<RegisterTaskRun>();
  }
  auto run = std::make_unique<RegisterTaskRun>();
  deps_.writes.post([deps = deps_, context, spec = *spec, report = std::move(report), alive = run->alive] {
    Result<Document> result = register_model(deps, context, spec);
    workflow::TaskOutcome outcome;
    if (result.ok()) {
      outcome.output.set("result", std::move(result).value());
    } else {
      outcome.state = workflow::TaskState::kFailed;
      outcome.reason = result.error().describe();
    }
    deps.strand.post([report, outcome = std::move(outcome), alive] {
      if (*alive) report.finish(outcome);
    });
  });
  return run;
}

}  // namespace trainyard::tasks
