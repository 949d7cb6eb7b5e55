#include "tasks/gate_task.h"

#include <fmt/format.h>

#include <cmath>

#include "base/describe.h"

namespace trainyard::tasks {
namespace {

struct GateSpec {
  std::string metric = "value";
  Document value;
  double at_least = 0;

  void describe(FieldVisitor& fields) {
    fields.field("metric", metric, "Name of the value, for people.");
    fields.field("value", value, "The value to judge, usually a reference.");
    fields.required();
    fields.field("at_least", at_least, {}, "The bar.");
    fields.required();
  }
};

class GateTaskRun final : public workflow::TaskRun {
 public:
  void cancel(const std::string&) override {}  // It ended inside start.
};

workflow::TaskOutcome judge(const workflow::TaskContext& context, const Document& body) {
  const Result<GateSpec> spec = decode<GateSpec>(body);
  if (!spec.ok()) return {workflow::TaskState::kFailed, spec.error().describe(), Document::object()};
  const Result<double> value = spec->value.as_double();
  if (!value.ok() || !std::isfinite(*value))
    return {workflow::TaskState::kFailed, fmt::format("{} is no number: {}", spec->metric, to_json(spec->value)), Document::object()};
  Document result = Document::object();
  result.set(spec->metric, *value);
  result.set("at_least", spec->at_least);
  Document output = Document::object();
  output.set("result", std::move(result));
  if (context.synthetic) {
    return {workflow::TaskState::kFailed,
            fmt::format("{} was measured on synthetic data, which passes no gate: get the real dataset and run the workflow again",
                        spec->metric),
            output};
  }
  if (*value < spec->at_least) {
    return {workflow::TaskState::kFailed,
            fmt::format("{} {:.4f} is below the bar of {:.4f}: train longer, tune more points, or lower at_least", spec->metric, *value,
                        spec->at_least),
            output};
  }
  return {workflow::TaskState::kSucceeded, "", output};
}

}  // namespace

Result<void> GateTaskKind::validate(const Document& body) const {
  TRY(decode<GateSpec>(body));
  return {};
}

std::unique_ptr<workflow::TaskRun> GateTaskKind::start(const workflow::TaskContext& context, const Document& body,
                                                       workflow::TaskReport report) {
  report.finish(judge(context, body));
  return std::make_unique<GateTaskRun>();
}

}  // namespace trainyard::tasks
