#include "adapters/localfs/internal/temporary_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "base/rng.h"

namespace trainyard::adapters::localfs::internal {
namespace {

bool has_name(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 && info.st_nlink > 0;
}

}  // namespace

Result<TemporaryFile> TemporaryFile::make(Tree& tree, std::string_view directory) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    ASSIGN_OR_RETURN(Place place, tree.make_way(fmt::format("{}/{}", directory, secure_random_hex(8))));
    UniqueFd fd(::openat(place.directory.get(), place.name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd.valid() && (errno == EEXIST || errno == EINTR)) continue;
    if (!fd.valid()) return system_error(errno, "create", place.path);
    // Between the two calls a cleaner may have taken the file for an abandoned one.
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 && has_name(fd.get())) return TemporaryFile(std::move(place), std::move(fd));
  }
  return unavailable("io.temporary", fmt::format("no temporary file can be made: {}/{}", tree.root(), directory));
}

TemporaryFile::TemporaryFile(TemporaryFile&& other) noexcept
    : place_(std::move(other.place_)), fd_(std::move(other.fd_)), named_(std::exchange(other.named_, false)) {}

TemporaryFile::~TemporaryFile() {
  if (named_) ::unlinkat(place_.directory.get(), place_.name.c_str(), 0);
}

Result<void> TemporaryFile::move_to(const Place& place, bool exclusive) {
  const auto rename_with = [&](unsigned flags) {
    return ::renameat2(place_.directory.get(), place_.name.c_str(), place.directory.get(), place.name.c_str(), flags);
  };
  int result = rename_with(exclusive ? RENAME_NOREPLACE : 0U);
  if (result != 0 && exclusive && (errno == EINVAL || errno == ENOSYS)) {
    // The file system knows no exclusive rename; a link never replaces anything.
    result = ::linkat(place_.directory.get(), place_.name.c_str(), place.directory.get(), place.name.c_str(), 0);
    if (result == 0) ::unlinkat(place_.directory.get(), place_.name.c_str(), 0);
  }
  if (result != 0) return system_error(errno, "rename", place.path);
  named_ = false;
  return {};
}

Result<void> remove_abandoned_files(Tree& tree, std::string_view directory) {
  std::vector<std::string> names;
  TRY(tree.for_each_entry(directory, [&](std::string_view name, bool is_directory) {
    if (!is_directory) names.emplace_back(name);
  }));
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const std::optional<Place> place, tree.find(fmt::format("{}/{}", directory, name)));
    if (!place) continue;
    ASSIGN_OR_RETURN(const std::optional<UniqueFd> fd, open_plain_file(*place));
    if (fd && ::flock(fd->get(), LOCK_EX | LOCK_NB) == 0) TRY(remove_file(*place));
  }
  return {};
}

}  // namespace trainyard::adapters::localfs::internal
