#include "apps/etl/etl_job.h"

#include <fmt/format.h>

#include <cstdio>

#include "adapters/localfs/local_object_store.h"
#include "apps/etl/publishers.h"
#include "base/file.h"
#include "data/ingest.h"

namespace trainyard::apps {
namespace {

constexpr std::string_view kProgram = "trainyard-etl";

/// A directory for scratch files that is empty at first and gone at the end, however the task ends; what a killed attempt left is removed.
class ScratchDirectory {
 public:
  static Result<ScratchDirectory> make(std::string path) {
    TRY(remove_tree(path));
    TRY(make_directories(path));
    return ScratchDirectory(std::move(path));
  }
  ScratchDirectory(ScratchDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;
  ~ScratchDirectory() {
    if (!path_.empty()) static_cast<void>(remove_tree(path_).ok());
  }
  const std::string& path() const { return path_; }

 private:
  explicit ScratchDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

class RunnerMonitor final : public data::TaskMonitor {
 public:
  explicit RunnerMonitor(runner::JobContext& context) : context_(context) {}
  void progress(std::int64_t done, std::int64_t total, std::string_view message) override {
    context_.events.progress(done, total, message);
  }
  bool stop_requested() override { return context_.stop.stop_requested(); }

 private:
  runner::JobContext& context_;
};

/// The output of a spec: the one called "data", or the only one. Without any, the dataset of the configuration.
struct Output {
  std::string key = "data";
  std::string dataset;
};

Result<Output> output_of(const runner::RunnerSpec& spec, const std::string& configured, std::string_view layer) {
  Output output{.dataset = configured};
  if (!spec.outputs.empty()) {
    const auto named = spec.outputs.find("data");
    const auto& [key, dataset] = named != spec.outputs.end() ? *named : *spec.outputs.begin();
    if (!dataset.layer.empty() && dataset.layer != layer) {
      return invalid_argument("spec.output",
                              fmt::format("a job of kind {} publishes the layer {}, not {}; write the output as {}/{}", spec.kind, layer,
                                          dataset.layer, dataset.name, layer),
                              "/outputs/" + key);
    }
    if (!configured.empty() && configured != dataset.name) {
      return invalid_argument("spec.output",
                              fmt::format("the configuration and the output name different datasets: {} and {}", configured, dataset.name),
                              "/config/dataset");
    }
    output = {key, dataset.name};
  }
  if (output.dataset.empty()) {
    return invalid_argument("spec.output",
                            fmt::format("the job does not say what to publish; add an output such as data: fashion/{}", layer), "/outputs");
  }
  TRY(check_dataset_name(output.dataset));
  return output;
}

Result<runner::InputDataset> input_of(const runner::RunnerSpec& spec) {
  if (spec.inputs.size() == 1) return spec.inputs.begin()->second;
  return spec.input("data");
}

/// Everything a task needs, made once per process.
struct Workplace {
  std::unique_ptr<store::ObjectStore> objects;
  std::unique_ptr<data::VersionPublisher> publisher;
  ScratchDirectory scratch;

  static Result<Workplace> make(runner::JobContext& context) {
    if (context.spec.object_root.empty())
      return invalid_argument("spec.missing_key", "the spec names no object_root to write objects to", "/object_root");
    ASSIGN_OR_RETURN(std::unique_ptr<store::ObjectStore> objects, adapters::localfs::make_local_object_store(context.spec.object_root));
    ASSIGN_OR_RETURN(std::unique_ptr<data::VersionPublisher> publisher, make_publisher(context.environment, context.stop, context.clock));
    ASSIGN_OR_RETURN(ScratchDirectory scratch, ScratchDirectory::make(context.environment.workdir + "/etl-scratch"));
    return Workplace{std::move(objects), std::move(publisher), std::move(scratch)};
  }
};

data::DataTask task_for(const runner::JobContext& context, const Output& output, const Workplace& place) {
  return {.job = context.spec.job,
          .attempt = context.spec.attempt,
          .idempotency_key = fmt::format("{}:{}", context.spec.job.text(), output.key),
          .dataset = output.dataset,
          .scratch_directory = place.scratch.path()};
}

/// The job's log names the first malformed rows, so that nobody needs a Parquet reader to find them.
void print_dead_letters(const data::IngestReport& report) {
  if (report.dead == 0) return;
  fmt::print("{} of {} rows are malformed and kept as dead letters of {}; the first:\n", report.dead, report.in, report.version.text());
  for (const std::string& letter : report.first_dead) fmt::print("  {}\n", letter);
  std::fflush(stdout);
}

Result<void> run_ingest(runner::JobContext& context, data::TableIo& tables) {
  ASSIGN_OR_RETURN(const data::IngestConfig config, decode<data::IngestConfig>(context.spec.config));
  ASSIGN_OR_RETURN(const data::IngestPlan plan, data::plan_ingest(config));
  ASSIGN_OR_RETURN(const Output output, output_of(context.spec, plan.dataset, "raw"));
  ASSIGN_OR_RETURN(const Workplace place, Workplace::make(context));
  RunnerMonitor monitor(context);
  ASSIGN_OR_RETURN(const data::IngestReport report,
                   data::ingest(plan, task_for(context, output, place), {tables, *place.objects, *place.publisher, monitor}));
  print_dead_letters(report);
  context.events.result(report.document());
  return {};
}

Result<void> run_curate(runner::JobContext& context, data::TableIo& tables) {
  ASSIGN_OR_RETURN(const data::CurateConfig config, decode<data::CurateConfig>(context.spec.config));
  ASSIGN_OR_RETURN(const Output output, output_of(context.spec, config.dataset, "curated"));
  ASSIGN_OR_RETURN(const runner::InputDataset dataset, input_of(context.spec));
  ASSIGN_OR_RETURN(const data::CurateInput input, curate_input_from(dataset));
  ASSIGN_OR_RETURN(const Workplace place, Workplace::make(context));
  RunnerMonitor monitor(context);
  ASSIGN_OR_RETURN(const data::CurateReport report,
                   data::curate(input, config, task_for(context, output, place), {tables, *place.objects, *place.publisher, monitor}));
  context.events.result(report.document());
  return {};
}

Result<void> run_kind(runner::JobContext& context, data::TableIo& tables) {
  if (context.spec.kind == "ingest") return run_ingest(context, tables);
  if (context.spec.kind == "curate") return run_curate(context, tables);
  return invalid_argument("spec.kind", fmt::format("this program runs jobs of kind ingest and curate, not: {}", context.spec.kind),
                          "/kind");
}

/// Whether the fault lies in the data and not in the configuration: a retry or another setting would not help.
bool is_bad_data(const Error& error) {
  return error.category == Category::kDataLoss || error.id.starts_with("data.") || error.id == "catalog.schema_conflict";
}

std::string type_of_column(const Document& schema, std::string_view name) {
  for (const Document& column : schema.items()) {
    if (column.string_or("name", "").value_or("") == name) return column.string_or("type", "").value_or("");
  }
  return {};
}

}  // namespace

Result<data::CurateInput> curate_input_from(const runner::InputDataset& dataset) {
  data::CurateInput input;
  ASSIGN_OR_RETURN(const DatasetLayer layer, parse_dataset_layer(dataset.layer));
  input.version = {dataset.name, layer, dataset.version};
  const auto unusable = [&input](std::string_view what) {
    return invalid_argument("data.input",
                            fmt::format("a dataset version cannot be curated, {}; name a raw version of images that an ingest job "
                                        "published: {}",
                                        what, input.version.text()));
  };
  if (layer != DatasetLayer::kRaw) return unusable("it is not raw");
  const std::string pixels = type_of_column(dataset.schema, "pixels");
  if (type_of_column(dataset.schema, "label") != "uint8" || pixels.empty()) return unusable("it has no columns label and pixels");
  ASSIGN_OR_RETURN(const std::int64_t classes, dataset.properties.int_or("classes", 10));
  ASSIGN_OR_RETURN(input.layout, data::image_layout_from_type(pixels, classes));
  for (const runner::InputFile& file : dataset.files) {
    if (file.role == "dead_letters") input.dead += file.rows;
    if (file.role != "parquet:train" && file.role != "parquet:test") continue;
    const data::Split split = file.role == "parquet:test" ? data::Split::kTest : data::Split::kTrain;
    input.tables.push_back({file.path, static_cast<std::int64_t>(file.size), file.checksum, split, file.rows});
  }
  if (input.tables.empty()) return unusable("it has no tables");
  return input;
}

Result<runner::ExitCode> run_etl_job(runner::JobContext& context, data::TableIo& tables) {
  const Result<void> done = run_kind(context, tables);
  if (done.ok()) return runner::ExitCode::kDone;
  const Error& error = done.error();
  if (error.id != "etl.stopped" && !is_bad_data(error)) return error;
  static_cast<void>(runner::report_failure(kProgram, error, &context.events));
  return is_bad_data(error) ? runner::ExitCode::kBadData : runner::ExitCode::kStoppedOnRequest;
}

}  // namespace trainyard::apps
