#include "tasks/register_task.h"

#include "base/describe.h"

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
  void cancel(const std::string&) override {}  // A version that is being made is made: it takes milliseconds.
};

Result<Document> register_model(track::ModelRegistry& models, const workflow::TaskContext& context, const RegisterSpec& spec) {
  track::NewModelVersion version;
  version.model = spec.model;
  version.source = spec.uri;
  version.run.text = spec.run_id;
  version.dataset = spec.dataset;
  version.user = context.owner;
  version.idempotency_key = context.key();
  version.create_model = true;
  ASSIGN_OR_RETURN(const track::ModelVersion made, models.create_version(version));
  if (!spec.alias.empty()) TRY(models.set_alias({made.model, made.version}, spec.alias));
  Document result = Document::object();
  result.set("model", made.model);
  result.set("version", made.version);
  result.set("alias", spec.alias);
  return result;
}

}  // namespace

Result<void> RegisterTaskKind::validate(const Document& body) const {
  TRY(decode<RegisterSpec>(body));
  return {};
}

std::unique_ptr<workflow::TaskRun> RegisterTaskKind::start(const workflow::TaskContext& context, const Document& body,
                                                           workflow::TaskReport report) {
  const Result<RegisterSpec> spec = decode<RegisterSpec>(body);
  if (!spec.ok()) {
    report.finish({workflow::TaskState::kFailed, spec.error().describe(), Document::object()});
    return std::make_unique<RegisterTaskRun>();
  }
  deps_.writes.post([deps = deps_, context, spec = *spec, report = std::move(report)] {
    Result<Document> result = register_model(deps.models, context, spec);
    workflow::TaskOutcome outcome;
    if (result.ok()) {
      outcome.output.set("result", std::move(result).value());
    } else {
      outcome.state = workflow::TaskState::kFailed;
      outcome.reason = result.error().describe();
    }
    report.finish(std::move(outcome));
  });
  return std::make_unique<RegisterTaskRun>();
}

}  // namespace trainyard::tasks
