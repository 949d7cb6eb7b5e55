#include "track/guarded_tracking.h"

#include <fmt/format.h>

#include <algorithm>

#include "track/validation.h"

namespace trainyard::track {
namespace {

Error unknown_run(const RunId& id) { return not_found("track.unknown_run", fmt::format("Run with id={} not found", id.text)); }

Error forbidden(std::string message) { return {Category::kPermissionDenied, "auth.forbidden", std::move(message), {}, {}}; }

Error forbidden_run(const RunInfo& run) {
  return forbidden(
      fmt::format("This token may see this run and not change it; that takes the role 'runner' in its namespace, and a job changes its own "
                  "runs only; run and namespace: {}, {}",
                  run.id.text, run.name_space));
}

std::optional<std::string> tag_in(const std::vector<KeyValue>& tags, std::string_view key) {
  const auto found = std::find_if(tags.begin(), tags.end(), [key](const KeyValue& tag) { return tag.key == key; });
  return found == tags.end() ? std::nullopt : std::optional(found->value);
}

Result<void> check_not_reserved(const std::string& key) {
  if (key != kNamespaceTag) return {};
  return invalid_argument(
      "track.reserved_tag",
      fmt::format("A run stays in the namespace it was made in; give this tag when you create a run: the tag '{}'", kNamespaceTag));
}

}  // namespace

/// The head of a run that the caller sees.
Result<std::optional<RunInfo>> GuardedRuns::head(const RunId& id) {
  ASSIGN_OR_RETURN(const std::vector<RunInfo> found, runs_.heads({id}));
  if (found.empty() || !caller_.may_read(found.front())) return std::optional<RunInfo>();
  return std::optional(found.front());
}

Result<void> GuardedRuns::check_writable(const RunId& id) {
  ASSIGN_OR_RETURN(const std::optional<RunInfo> run, head(id));
  if (!run) return unknown_run(id);
  return caller_.may_write(*run) ? Result<void>() : forbidden_run(*run);
}

Result<std::string> GuardedRuns::namespace_for(const NewRun& run) {
  if (const std::optional<std::string> asked = tag_in(run.tags, kNamespaceTag)) {
    TRY(check_namespace(*asked));
    if (caller_.writes.contains(*asked)) return *asked;
    return forbidden(fmt::format("This token may make no runs there; it needs the role 'runner' in the namespace: {}", *asked));
  }
  if (const std::optional<std::string> parent = tag_in(run.tags, kParentTag)) {
    ASSIGN_OR_RETURN(const std::optional<RunInfo> above, head({*parent}));
    if (above && !above->name_space.empty() && caller_.writes.contains(above->name_space)) return above->name_space;
  }
  if (caller_.writes.contains(kDefaultNamespace)) return std::string(kDefaultNamespace);
  if (!caller_.writes.names.empty()) return *std::min_element(caller_.writes.names.begin(), caller_.writes.names.end());
  return forbidden("This token may make no runs; it needs the role 'runner' in a namespace");
}

Result<Run> GuardedRuns::create(NewRun run) {
  ASSIGN_OR_RETURN(run.name_space, namespace_for(run));
  run.job = caller_.job.value_or(JobId());
  return runs_.create(run);
}

Result<Run> GuardedRuns::get(const RunId& id) {
  ASSIGN_OR_RETURN(Run run, runs_.get(id));
  if (!caller_.may_read(run.info)) return unknown_run(id);
  return run;
}

Result<RunInfo> GuardedRuns::update(const RunId& id, const RunUpdate& update) {
  TRY(check_writable(id));
  return runs_.update(id, update);
}

Result<void> GuardedRuns::set_lifecycle(const RunId& id, Lifecycle lifecycle) {
  TRY(check_writable(id));
  return runs_.set_lifecycle(id, lifecycle);
}

Result<void> GuardedRuns::log(const RunId& id, const RunBatch& batch) {
  TRY(check_writable(id));
  for (const KeyValue& tag : batch.tags) TRY(check_not_reserved(tag.key));
  return runs_.log(id, batch);
}

Result<void> GuardedRuns::delete_tag(const RunId& id, const std::string& key) {
  TRY(check_writable(id));
  TRY(check_not_reserved(key));
  return runs_.delete_tag(id, key);
}

Result<std::vector<MetricPoint>> GuardedRuns::history(const RunId& id, const std::string& key) {
  ASSIGN_OR_RETURN(const std::optional<RunInfo> run, head(id));
  if (!run) return unknown_run(id);
  return runs_.history(id, key);
}

Result<RunPage> GuardedRuns::search(RunSearch search) {
  search.name_spaces = caller_.reads;
  return runs_.search(search);
}

Result<ModelVersion> GuardedModels::create_version(const NewModelVersion& version) {
  if (!version.run.text.empty()) {
    ASSIGN_OR_RETURN(const std::vector<RunInfo> found, runs_.heads({version.run}));
    if (found.empty() || !caller_.may_read(found.front())) return unknown_run(version.run);
    // A job may register what another job of its namespace trained.
    if (!caller_.writes.contains(found.front().name_space)) return forbidden_run(found.front());
  }
  return ModelRegistry::create_version(version);
}

Result<std::string> GuardedModels::location_of(const ModelVersion& version) {
  constexpr std::string_view kRuns = "runs:/";
  if (!version.source.starts_with(kRuns)) return version.source;
  ASSIGN_OR_RETURN(const std::vector<RunInfo> found, runs_.heads({version.run}));
  if (found.empty()) return unknown_run(version.run);
  const std::size_t slash = version.source.find('/', kRuns.size());
  return found.front().artifact_uri + (slash == std::string::npos ? "" : version.source.substr(slash));
}

}  // namespace trainyard::track
