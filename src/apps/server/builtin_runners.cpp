#include <fmt/format.h>

#include <algorithm>

#include "apps/serve_configs.h"
#include "apps/server/runners.h"
#include "data/curate.h"
#include "data/ingest_config.h"
#include "train/train_config.h"

namespace trainyard::apps {
namespace {

/// What a config is judged by before its references (${tasks...}) have values.
struct Judged {
  Document config;
  bool whole = true;     ///< Nothing refers to anything.
  bool complete = true;  ///< Every reference has a stand-in.
};

bool is_reference(const Document& value) { return value.is_string() && value.text().find("${") != std::string::npos; }

/// A copy in which defaults, which have the right type, stand for references. A reference without a default is left out.
Document with_stand_ins(const Document& node, const Document& defaults, Judged& judged) {
  if (!node.is_array() && !node.is_object()) return node;
  Document out = node.is_array() ? Document::array() : Document::object();
  out.set_where(node.where());
  for (const Document& item : node.items()) {
    if (is_reference(item)) {
      judged.whole = judged.complete = false;
    } else {
      out.push(with_stand_ins(item, Document(), judged));
    }
  }
  for (const auto& [key, value] : node.members()) {
    // A key that nobody knows is kept, whatever its value, to be complained about.
    const bool known = !defaults.is_object() || defaults.find(key) != nullptr;
    if (!known || !is_reference(value)) {
      out.append_member(key, with_stand_ins(value, defaults[key], judged));
      continue;
    }
    judged.whole = false;
    judged.complete = judged.complete && !defaults[key].is_null();
    if (!defaults[key].is_null()) out.append_member(key, defaults[key]).set_where(value.where());
  }
  return out;
}

template <Described Config>
Judged judged_of(const Document& config) {
  Judged judged;
  judged.config = with_stand_ins(config, encode(Config{}), judged);
  return judged;
}

template <Described Config>
Result<void> check_fields(const Document& config) {
  const Judged judged = judged_of<Config>(config);
  const Result<Config> decoded = decode<Config>(judged.config);
  if (decoded.ok()) return {};
  // What is missing may be what was left out.
  if (!judged.complete && decoded.error().id == "spec.missing_key") return {};
  return decoded.error();
}

Result<void> check_ingest(const Document& config) {
  TRY(check_fields<data::IngestConfig>(config));
  if (!judged_of<data::IngestConfig>(config).whole) return {};
  ASSIGN_OR_RETURN(const data::IngestConfig decoded, decode<data::IngestConfig>(config));
  const Result<data::IngestPlan> plan = plan_ingest(decoded);
  if (plan.ok()) return {};
  Error error = plan.error();
  error.where = place_of(Document::object({{"config", config}}), error.where);
  return error;
}

Error unknown_kind(const std::string& kind) {
  std::vector<std::string> kinds;
  for (const RunnerKind& runner : builtin_runners()) kinds.emplace_back(runner.kind);
  const std::optional<std::string> match = nearest(kind, kinds);
  return invalid_argument("spec.kind",
                          fmt::format("unknown kind \"{}\"{}; known kinds: {}", kind,
                                      match ? fmt::format("; did you mean \"{}\"?", *match) : "", fmt::join(kinds, ", ")),
                          "/kind");
}

}  // namespace

const std::vector<RunnerKind>& builtin_runners() {
  static const std::vector<RunnerKind> runners{
      {"command", {}, nullptr},
      {"ingest", {"trainyard-etl", "ingest"}, check_ingest},
      {"curate", {"trainyard-etl", "curate"}, check_fields<data::CurateConfig>, "data"},
      {"train", {"trainyard-train"}, check_fields<train::TrainConfig>, "data"},
      {"serve", {"trainyard-serve"}, check_fields<ServeConfig>},
      {"predict", {"trainyard-serve", "predict"}, check_fields<PredictConfig>, "data"},
  };
  return runners;
}

const RunnerKind* find_runner(std::string_view kind) {
  const auto& runners = builtin_runners();
  const auto found = std::find_if(runners.begin(), runners.end(), [kind](const RunnerKind& runner) { return runner.kind == kind; });
  return found == runners.end() ? nullptr : &*found;
}

Result<void> check_runner(const JobSpec& spec) {
  const RunnerKind* runner = find_runner(spec.kind);
  if (runner == nullptr) return unknown_kind(spec.kind);
  if (runner->check_config == nullptr) return {};
  return runner->check_config(spec.config);
}

Result<void> check_input(const JobSpec& spec) {
  const RunnerKind* runner = find_runner(spec.kind);
  if (runner == nullptr || runner->input.empty() || spec.inputs.contains(std::string(runner->input))) return {};
  return invalid_argument("spec.input",
                          fmt::format("a job of kind {0} reads the input \"{1}\"; name a dataset, like {{\"inputs\": {{\"{1}\": "
                                      "\"fashion\"}}}}",
                                      spec.kind, runner->input),
                          "/inputs");
}

}  // namespace trainyard::apps
