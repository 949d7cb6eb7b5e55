#include "apps/server/catalog_resolver.h"

#include <fmt/format.h>

#include "apps/server/runners.h"

namespace trainyard::apps {
namespace {

Error unknown_kind(const std::string& kind) {
  std::vector<std::string> kinds;
  for (const RunnerKind& runner : builtin_runners()) kinds.emplace_back(runner.kind);
  const std::optional<std::string> match = nearest(kind, kinds);
  return invalid_argument("spec.kind",
                          fmt::format("unknown kind \"{}\"{}; known kinds: {}", kind,
                                      match ? fmt::format("; did you mean \"{}\"?", *match) : "", fmt::join(kinds, ", ")),
                          "/kind");
}

Error with_ways_to_get_it(Error error, const std::string& name) {
  error.message += fmt::format(
      "; to get it, run a workflow that ingests and curates \"{0}\" (`trainyard workflow run FILE`), publish a version with "
      "POST /api/v1/datasets/{0}/versions, or name another dataset (`trainyard dataset ls`)",
      name);
  return error;
}

Result<Document> resolve_output(const std::string& text) {
  ASSIGN_OR_RETURN(const DatasetRef ref, parse_dataset_ref(text));
  Document output = Document::object();
  output.set("name", ref.name);
  output.set("layer", name_of(ref.layer));
  return output;
}

}  // namespace

Result<Document> CatalogResolver::resolve_input(const std::string& reference) {
  ASSIGN_OR_RETURN(const DatasetRef ref, parse_dataset_ref(reference));
  Result<data::DatasetVersion> version = catalog_.get(ref);
  if (!version.ok()) return with_ways_to_get_it(std::move(version).error(), ref.name);

  Document input = data::to_document(*version);
  Document files = Document::array();
  for (const data::DatasetFile& file : version->draft.files) {
    Document entry = encode(file);
    ASSIGN_OR_RETURN(const store::ObjectName name, store::parse_object_uri(file.uri));
    ASSIGN_OR_RETURN(const std::string path, objects_.local_path(name));
    entry.set("path", path);
    files.push(std::move(entry));
  }
  input.set("files", std::move(files));
  return input;
}

Result<Document> CatalogResolver::resolve(JobSpec& spec) {
  if (find_runner(spec.kind) == nullptr) return unknown_kind(spec.kind);
  Document inputs = Document::object();
  for (auto& [name, reference] : spec.inputs) {
    Result<Document> input = resolve_input(reference);
    if (!input.ok()) {
      Error error = std::move(input).error();
      error.where = "/inputs/" + name;
      return error;
    }
    reference = (*input)["ref"].text();
    inputs.set(name, std::move(input).value());
  }
  Document outputs = Document::object();
  for (const auto& [name, reference] : spec.outputs) {
    ASSIGN_OR_RETURN(Document output, resolve_output(reference));
    outputs.set(name, std::move(output));
  }
  Document resolved = Document::object();
  resolved.set("inputs", std::move(inputs));
  resolved.set("outputs", std::move(outputs));
  return resolved;
}

}  // namespace trainyard::apps
