#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "track/guarded_tracking.h"
#include "track/validation.h"

namespace trainyard::track {
namespace {

/// Those parts of a path that could be the id of a run.
std::vector<RunId> possible_runs(std::string_view path) {
  std::set<RunId> ids;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    if (check_run_id(path.substr(0, slash)).ok()) ids.insert({std::string(path.substr(0, slash))});
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return {ids.begin(), ids.end()};
}

/// Whether `path` is `directory` or lies below it.
bool lies_in(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) && (directory.empty() || path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace

/// Whether a registered version of a model has its files at or above this path.
Result<bool> GuardedArtifacts::is_published(const RunInfo& run, const std::string& root, const std::string& path) {
  if (!lies_in(path, root)) return false;
  ASSIGN_OR_RETURN(const std::vector<std::string> sources, deps_.models.sources_in(run.id));
  const std::string of_run = "runs:/" + run.id.text + "/";
  for (const std::string& source : sources) {
    const Result<std::string> place =
        source.starts_with(of_run) ? check_artifact_path(root + "/" + source.substr(of_run.size())) : artifact_path_of(source);
    if (place.ok() && lies_in(*place, root) && lies_in(path, *place)) return true;
  }
  return false;
}

Result<GuardedArtifacts::Rights> GuardedArtifacts::rights(const std::string& path) {
  const RunCaller& caller = deps_.caller;
  ASSIGN_OR_RETURN(const std::vector<RunInfo> runs, deps_.runs.heads(possible_runs(path)));
  Rights rights;
  bool owned = false;
  for (const RunInfo& run : runs) {
    const Result<std::string> root = artifact_path_of(run.artifact_uri);
    if (!root.ok() || (!lies_in(path, *root) && !lies_in(*root, path))) continue;
    owned = true;
    bool visible = caller.may_read(run);
    if (!visible) {
      ASSIGN_OR_RETURN(visible, is_published(run, *root, path));
    }
    rights.visible = rights.visible && visible;
    rights.writable = rights.writable && caller.may_write(run);
  }
  if (owned) return rights;
  return Rights{caller.reads.all, caller.writes.all && !caller.job};
}

Result<void> GuardedArtifacts::check_writable(const std::string& path) {
  ASSIGN_OR_RETURN(const Rights allowed, rights(path));
  if (allowed.visible && allowed.writable) return {};
  if (!allowed.visible) return not_found("track.unknown_run", fmt::format("No run has its artifacts there: '{}'", path));
  return Error{Category::kPermissionDenied,
               "auth.forbidden",
               fmt::format("This token may see these artifacts and not change them; that takes the role 'runner' in the namespace of their "
                           "run, and a job changes its own runs only; path: '{}'",
                           path),
               {},
               {}};
}

Result<void> GuardedArtifacts::put(const std::string& path, std::span<const std::byte> bytes) {
  TRY(check_writable(path));
  return deps_.artifacts.put(path, bytes);
}

Result<store::ObjectInfo> GuardedArtifacts::find(const std::string& path) {
  ASSIGN_OR_RETURN(const Rights allowed, rights(path));
  if (!allowed.visible) return not_found("track.unknown_artifact", fmt::format("No such artifact: '{}'", path));
  return deps_.artifacts.find(path);
}

Result<std::string> GuardedArtifacts::read(const store::ObjectInfo& object, std::uint64_t offset, std::size_t size) {
  return deps_.artifacts.read(object, offset, size);
}

Result<std::vector<ArtifactEntry>> GuardedArtifacts::list(const std::string& directory) {
  ASSIGN_OR_RETURN(const Rights allowed, rights(directory));
  if (!allowed.visible) return std::vector<ArtifactEntry>();
  return deps_.artifacts.list(directory);
}

Result<void> GuardedArtifacts::remove(const std::string& path) {
  TRY(check_writable(path));
  return deps_.artifacts.remove(path);
}

}  // namespace trainyard::track
