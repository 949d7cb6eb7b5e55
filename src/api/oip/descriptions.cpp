#include "api/oip/descriptions.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace trainyard::api::oip {
namespace {

using serve::ServingStatistics;

Document shape_document(const Shape& shape) {
  Document dimensions = Document::array();
  for (const std::int64_t length : shape) dimensions.push(length);
  return dimensions;
}

Document tensors_document(const std::vector<serve::TensorSpec>& specs) {
  Document tensors = Document::array();
  for (const serve::TensorSpec& spec : specs) {
    tensors.push(Document::object({{"name", spec.name}, {"datatype", name_of(spec.type)}, {"shape", shape_document(spec.shape)}}));
  }
  return tensors;
}

/// In a model configuration the dimensions leave out the rows of a batchable model, and texts are called strings.
Document config_tensors(const std::vector<serve::TensorSpec>& specs, bool batchable) {
  Document tensors = Document::array();
  for (const serve::TensorSpec& spec : specs) {
    const Shape dims(spec.shape.begin() + (batchable ? 1 : 0), spec.shape.end());
    const std::string type = spec.type == DataType::kBytes ? "TYPE_STRING" : fmt::format("TYPE_{}", name_of(spec.type));
    tensors.push(Document::object({{"name", spec.name}, {"data_type", type}, {"dims", shape_document(dims)}}));
  }
  return tensors;
}

Document duration_document(const serve::DurationCount& duration) {
  return Document::object({{"count", duration.count}, {"ns", static_cast<std::int64_t>(duration.total.count()) * 1000}});
}

/// JSON and label values escape the same characters.
std::string labels_of(const serve::ServedVersion& served) {
  return fmt::format("{{model={},version=\"{}\"}}", to_json(Document(served.model())), served.version());
}

struct Series {
  std::string_view name;
  std::string_view help;
  std::function<double(const ServingStatistics&)> value;
};

double microseconds(const serve::DurationCount& duration) { return static_cast<double>(duration.total.count()); }

const std::vector<Series>& all_series() {
  static const std::vector<Series> series{
      {"nv_inference_request_success", "Requests answered.",
       [](const ServingStatistics& s) { return static_cast<double>(s.success.count); }},
      {"nv_inference_request_failure", "Requests that failed, rejected ones included.",
       [](const ServingStatistics& s) { return static_cast<double>(s.fail.count + s.rejected); }},
      {"nv_inference_count", "Rows inferred.", [](const ServingStatistics& s) { return static_cast<double>(s.inference_count); }},
      {"nv_inference_exec_count", "Model runs.", [](const ServingStatistics& s) { return static_cast<double>(s.execution_count); }},
      {"nv_inference_request_duration_us", "Time from admission to answer.",
       [](const ServingStatistics& s) { return microseconds(s.success); }},
      {"nv_inference_queue_duration_us", "Time spent waiting for an instance.",
       [](const ServingStatistics& s) { return microseconds(s.queue); }},
      {"nv_inference_compute_infer_duration_us", "Time spent in model runs.",
       [](const ServingStatistics& s) { return microseconds(s.compute); }},
  };
  return series;
}

}  // namespace

Document server_metadata(const std::string& version) {
  return Document::object(
      {{"name", "trainyard"},
       {"version", version},
       {"extensions", Document::array({"binary_tensor_data", "classification", "model_configuration", "parameters", "statistics"})}});
}

Document model_metadata(const serve::ServedVersion& served, const std::vector<serve::VersionStatus>& statuses) {
  Document versions = Document::array();
  for (const serve::VersionStatus& status : statuses) {
    if (status.model == served.model() && status.state == serve::VersionState::kReady) versions.push(std::to_string(status.version));
  }
  return Document::object({{"name", served.model()},
                           {"versions", std::move(versions)},
                           {"platform", served.signature().platform},
                           {"inputs", tensors_document(served.signature().inputs)},
                           {"outputs", tensors_document(served.signature().outputs)}});
}

Document model_config(const serve::ServedVersion& served) {
  const serve::Signature& signature = served.signature();
  const bool batchable = signature.batchable();
  return Document::object({{"name", served.model()},
                           {"platform", signature.platform},
                           {"max_batch_size", static_cast<std::int64_t>(batchable ? served.batcher().settings().rows_max : 0)},
                           {"input", config_tensors(signature.inputs, batchable)},
                           {"output", config_tensors(signature.outputs, batchable)},
                           {"dynamic_batching", Document::object()}});
}

Document repository_index(const std::vector<serve::VersionStatus>& statuses, bool ready_only) {
  Document index = Document::array();
  for (const serve::VersionStatus& status : statuses) {
    if (ready_only && status.state != serve::VersionState::kReady) continue;
    index.push(Document::object({{"name", status.model},
                                 {"version", std::to_string(status.version)},
                                 {"state", serve::name_of(status.state)},
                                 {"reason", status.reason}}));
  }
  return index;
}

Document model_statistics(const serve::ServedVersion& served) {
  const ServingStatistics statistics = served.batcher().statistics();
  const Document none = duration_document({});
  Document batches = Document::array();
  for (const auto& [rows, runs] : statistics.batches) {
    batches.push(Document::object(
        {{"batch_size", rows}, {"compute_input", none}, {"compute_infer", duration_document(runs)}, {"compute_output", none}}));
  }
  return Document::object({{"name", served.model()},
                           {"version", std::to_string(served.version())},
                           {"last_inference", micros(statistics.last_inference) / 1000},
                           {"inference_count", statistics.inference_count},
                           {"execution_count", statistics.execution_count},
                           {"inference_stats", Document::object({{"success", duration_document(statistics.success)},
                                                                 {"fail", duration_document(statistics.fail)},
                                                                 {"queue", duration_document(statistics.queue)},
                                                                 {"compute_input", none},
                                                                 {"compute_infer", duration_document(statistics.compute)},
                                                                 {"compute_output", none},
                                                                 {"cache_hit", none},
                                                                 {"cache_miss", none}})},
                           {"batch_stats", std::move(batches)},
                           {"memory_usage", Document::array()},
                           {"response_stats", Document::object()}});
}

std::string prometheus_text(const std::vector<serve::ServedVersionPtr>& served) {
  std::string text;
  for (const Series& series : all_series()) {
    text += fmt::format("# HELP {0} {1}\n# TYPE {0} counter\n", series.name, series.help);
    for (const serve::ServedVersionPtr& version : served) {
      text += fmt::format("{}{} {}\n", series.name, labels_of(*version), series.value(version->batcher().statistics()));
    }
  }
  text += "# HELP nv_inference_pending_request_count Requests that wait or execute.\n# TYPE nv_inference_pending_request_count gauge\n";
  for (const serve::ServedVersionPtr& version : served) {
    text += fmt::format("nv_inference_pending_request_count{} {}\n", labels_of(*version), version->batcher().pending());
  }
  return text;
}

}  // namespace trainyard::api::oip
