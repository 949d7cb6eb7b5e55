#include "runner/spec.h"

#include <fmt/format.h>

#include "base/file.h"

namespace trainyard::runner {
namespace {

Result<InputFile> input_file_from(const Document& document) {
  InputFile file;
  ASSIGN_OR_RETURN(file.uri, document.string_at("uri"));
  ASSIGN_OR_RETURN(file.path, document.string_or("path", ""));
  ASSIGN_OR_RETURN(const std::int64_t size, document.int_or("size", 0));
  ASSIGN_OR_RETURN(file.checksum, document.string_or("checksum", ""));
  ASSIGN_OR_RETURN(file.role, document.string_or("role", ""));
  ASSIGN_OR_RETURN(file.rows, document.int_or("rows", 0));
  if (size < 0) return invalid_argument("spec.range", fmt::format("a file of an input has a negative size: {}", size), document.where());
  file.size = static_cast<std::uint64_t>(size);
  return file;
}

Result<InputDataset> input_dataset_from(const Document& document) {
  InputDataset dataset;
  ASSIGN_OR_RETURN(dataset.name, document.string_at("name"));
  ASSIGN_OR_RETURN(dataset.layer, document.string_or("layer", ""));
  ASSIGN_OR_RETURN(dataset.version, document.int_or("version", 0));
  ASSIGN_OR_RETURN(dataset.rows, document.int_or("rows", 0));
  ASSIGN_OR_RETURN(dataset.content_hash, document.string_or("content_hash", ""));
  dataset.schema = document["schema"];
  dataset.properties = document["properties"];
  for (const Document& item : document["files"].items()) {
    ASSIGN_OR_RETURN(InputFile file, input_file_from(item));
    dataset.files.push_back(std::move(file));
  }
  return dataset;
}

template <typename Map>
std::string keys_of(const Map& map) {
  std::string keys;
  for (const auto& [key, value] : map) keys += (keys.empty() ? "" : ", ") + key;
  return keys.empty() ? "none" : keys;
}

}  // namespace

std::vector<InputFile> InputDataset::files_of(std::string_view role) const {
  std::vector<InputFile> found;
  for (const InputFile& file : files) {
    if (file.role == role) found.push_back(file);
  }
  return found;
}

Result<InputFile> InputDataset::only_file_of(std::string_view role) const {
  std::vector<InputFile> found = files_of(role);
  if (found.size() == 1) return std::move(found.front());
  std::string roles;
  for (const InputFile& file : files) roles += (roles.empty() ? "" : ", ") + file.role;
  return invalid_argument(
      "spec.input_file", fmt::format("a dataset version has not exactly one file of a role that the job needs; give the job a version that "
                                     "the right step has made: dataset {} layer {} version {}, role {}, files of that role {}, roles: {}",
                                     name, layer, version, role, found.size(), roles.empty() ? "none" : roles));
}

Result<InputDataset> RunnerSpec::input(std::string_view key) const {
  if (const auto found = inputs.find(std::string(key)); found != inputs.end()) return found->second;
  return invalid_argument(
      "spec.input",
      fmt::format("the job needs an input that its spec does not name; add it under `inputs:`: {} (there: {})", key, keys_of(inputs)),
      "/inputs");
}

Result<OutputDataset> RunnerSpec::output(std::string_view key) const {
  if (const auto found = outputs.find(std::string(key)); found != outputs.end()) return found->second;
  return invalid_argument(
      "spec.output",
      fmt::format("the job makes an output that its spec does not name; add it under `outputs:`: {} (there: {})", key, keys_of(outputs)),
      "/outputs");
}

Result<RunnerSpec> runner_spec_from(const Document& document) {
  if (!document.is_object()) {
    return invalid_argument("spec.type", fmt::format("a job spec must be an object, not {}", name_of(document.kind())), document.where());
  }
  RunnerSpec spec;
  ASSIGN_OR_RETURN(const std::uint64_t job, document["job_id"].as_unsigned());
  ASSIGN_OR_RETURN(const std::int64_t attempt, document.int_or("attempt", 1));
  if (attempt < 1 || attempt > 0xFFFF'FFFFLL) {
    return invalid_argument("spec.range", fmt::format("the attempt of a job spec must be from 1 to 2^32-1: {}", attempt), "/attempt");
  }
  spec.job = JobId(job);
  spec.attempt = AttemptNumber(static_cast<std::uint32_t>(attempt));
  ASSIGN_OR_RETURN(spec.kind, document.string_at("kind"));
  ASSIGN_OR_RETURN(spec.name, document.string_or("name", ""));
  ASSIGN_OR_RETURN(spec.object_root, document.string_or("object_root", ""));
  spec.config = document["config"];
  for (const auto& [key, value] : document["inputs"].members()) {
    ASSIGN_OR_RETURN(InputDataset dataset, input_dataset_from(value));
    spec.inputs.emplace(key, std::move(dataset));
  }
  for (const auto& [key, value] : document["outputs"].members()) {
    OutputDataset output;
    ASSIGN_OR_RETURN(output.name, value.string_at("name"));
    ASSIGN_OR_RETURN(output.layer, value.string_or("layer", ""));
    spec.outputs.emplace(key, std::move(output));
  }
  spec.document = document;
  return spec;
}

Result<RunnerSpec> read_spec(const std::string& path) {
  constexpr std::size_t kSpecMax = std::size_t{64} << 20;
  ASSIGN_OR_RETURN(const std::string text, read_file(path, kSpecMax));
  Result<Document> document = parse_json(text);
  if (!document.ok()) return std::move(document).error().with_context("reading the job spec " + path);
  Result<RunnerSpec> spec = runner_spec_from(document.value());
  if (!spec.ok()) return std::move(spec).error().with_context("reading the job spec " + path);
  return spec;
}

}  // namespace trainyard::runner
