#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "store/database.h"
#include "store/object_store.h"

namespace trainyard::track {

/// A file or directory below the artifact root.
struct ArtifactEntry {
  std::string path;  ///< From the root, e.g. "1/RUN/artifacts/model.onnx".
  bool directory = false;
  std::uint64_t size = 0;
};

/// The scheme under which clients know the artifact root.
inline constexpr std::string_view kArtifactScheme = "mlflow-artifacts:/";

/// The normal form of a path that a client sent: percent signs resolved until none is left, no empty parts. Empty is the root.
/// Errors: INVALID_ARGUMENT "track.path" for absolute paths, "..", back-slashes, NUL, '#' and "file:".
Result<std::string> check_artifact_path(std::string_view path);

/// The path below the root of an artifact URI of this server. Errors: INVALID_ARGUMENT "track.artifact_uri" for another scheme, and those
/// of check_artifact_path.
Result<std::string> artifact_path_of(std::string_view uri);

/// Files of runs and models: names and directories are rows, bytes are objects named by their content, so that a file can be replaced while
/// objects stay immutable, and no path of a client ever becomes a path of this host. May be called from any thread; blocks. Paths are in
/// the form of check_artifact_path. Errors of every method: those of database and object store, NOT_FOUND "track.unknown_artifact".
class ArtifactRepository {
 public:
  ArtifactRepository(store::Database& database, store::ObjectStore& objects, const Clock& clock)
      : database_(database), objects_(objects), clock_(clock) {}

  /// Stores a file durably, replacing what was there. Errors: also INVALID_ARGUMENT "track.path" when a part of the path is a file, or the
  /// path a directory.
  Result<void> put(const std::string& path, std::span<const std::byte> bytes);
  /// Makes an object that is stored already appear as a file.
  Result<void> link(const std::string& path, const store::ObjectInfo& object);
  /// The object behind a file. Errors: also INVALID_ARGUMENT "track.path" for a directory.
  Result<store::ObjectInfo> find(const std::string& path);
  Result<std::string> read(const store::ObjectInfo& object, std::uint64_t offset, std::size_t size);
  /// What lies directly in a directory, by name. An absent one is empty; a file lists nothing.
  Result<std::vector<ArtifactEntry>> list(const std::string& directory);
  /// Forgets a file or a directory with all below it; absent is no error. The bytes stay until a sweep finds nobody naming them.
  Result<void> remove(const std::string& path);

 private:
  store::Database& database_;
  store::ObjectStore& objects_;
  const Clock& clock_;
};

}  // namespace trainyard::track
