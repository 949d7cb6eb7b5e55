#include "apps/server/catalog_resolver.h"

#include <fmt/format.h>

#include "apps/server/runners.h"
#include "base/file.h"
#include "data/synthetic.h"

namespace trainyard::apps {
namespace {

Error with_ways_to_get_it(Error error, const std::string& name) {
  error.message += fmt::format(
      "; to get it, run a workflow that ingests and curates \"{0}\" (`trainyard workflow run FILE`), publish a version with "
      "POST /api/v1/datasets/{0}/versions, name another dataset (`trainyard dataset ls`), or start the server with "
      "--datasets.synthetic-fallback to try things out on made-up data",
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

Result<data::DatasetVersion> CatalogResolver::publish_stand_in(const std::string& name) {
  const std::string scratch = deps_.cache + "/synthetic-" + name;
  TRY(make_directories(scratch));
  Result<data::VersionDraft> draft = data::make_synthetic_dataset(name, deps_.objects, scratch);
  TRY(remove_tree(scratch));
  if (!draft.ok()) return std::move(draft).error().with_context("making a synthetic dataset");
  ASSIGN_OR_RETURN(data::CatalogRepository::Published published, deps_.catalog.publish(*draft));
  return std::move(published.version);
}

Result<data::DatasetVersion> CatalogResolver::find(const DatasetRef& ref) {
  Result<data::DatasetVersion> version = deps_.catalog.get(ref);
  if (version.ok() && data::is_synthetic(version->draft) && !deps_.synthetic_fallback) {
    return not_found("catalog.unknown_dataset", fmt::format("of the dataset \"{}\" there is only a synthetic stand-in", ref.name));
  }
  return version;
}

bool CatalogResolver::is_replaceable(const Error& missing, const DatasetRef& ref) const {
  return missing.id == "catalog.unknown_dataset" && deps_.synthetic_fallback && ref.layer == DatasetLayer::kCurated && !ref.version;
}

Result<data::DatasetVersion> CatalogResolver::find_or_make(const DatasetRef& ref) {
  Result<data::DatasetVersion> version = find(ref);
  return !version.ok() && is_replaceable(version.error(), ref) ? publish_stand_in(ref.name) : version;
}

Result<Document> CatalogResolver::resolve_input(const std::string& reference) {
  ASSIGN_OR_RETURN(const DatasetRef ref, parse_dataset_ref(reference));
  Result<data::DatasetVersion> version = find_or_make(ref);
  if (!version.ok()) return with_ways_to_get_it(std::move(version).error(), ref.name);

  Document input = data::to_document(*version);
  Document files = Document::array();
  for (const data::DatasetFile& file : version->draft.files) {
    Document entry = encode(file);
    ASSIGN_OR_RETURN(const store::ObjectName name, store::parse_object_uri(file.uri));
    ASSIGN_OR_RETURN(const std::string path, deps_.objects.local_path(name));
    entry.set("path", path);
    files.push(std::move(entry));
  }
  input.set("files", std::move(files));
  return input;
}

Result<void> CatalogResolver::check(JobSpec& spec) {
  TRY(check_runner(spec));
  TRY(check_input(spec));
  for (auto& [name, reference] : spec.inputs) {
    Result<DatasetRef> ref = parse_dataset_ref(reference);
    const Result<data::DatasetVersion> version = ref.ok() ? find(*ref) : Result<data::DatasetVersion>(ref.error());
    if (version.ok()) {
      ASSIGN_OR_RETURN(const Document input, resolve_input(reference));
      reference = input["ref"].text();
    } else if (!ref.ok() || !is_replaceable(version.error(), *ref)) {
      Error error = ref.ok() ? with_ways_to_get_it(version.error(), ref->name) : version.error();
      error.where = "/inputs/" + name;
      return error;
    }
  }
  for (const auto& [name, reference] : spec.outputs) TRY(resolve_output(reference));
  return {};
}

Result<Document> CatalogResolver::resolve(JobSpec& spec) {
  TRY(check_runner(spec));
  TRY(check_input(spec));
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
