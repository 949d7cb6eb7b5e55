#include "adapters/localfs/internal/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

namespace trainyard::adapters::localfs::internal {
namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr std::size_t kDurableMax = 4096;  // Bounds the memory of a long-lived store; a forgotten directory costs one fsync.

int open_at(int directory, const std::string& name, int flags) {
  int fd = -1;
  do {
    fd = ::openat(directory, name.c_str(), flags);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

bool is_in_the_way(int error_number) { return error_number == ENOTDIR || error_number == ELOOP; }

Result<void> sync_fd(int fd, std::string_view path) {
  if (::fsync(fd) == 0) return {};
  Error error = system_error(errno, "fsync", path);
  if (error.id != "io.disk_full") error.id = "io.sync_failed";
  return error;
}

/// Opens the directory `name` in `parent`, making it when it is absent.
Result<UniqueFd> open_or_make(int parent, const std::string& name, const std::string& path, bool& made) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    UniqueFd fd(open_at(parent, name, kDirectoryFlags));
    if (fd.valid()) return fd;
    if (is_in_the_way(errno)) {
      return failed_precondition("object.name_conflict", "a part of the name is itself an object or a link, choose another name: " + path);
    }
    if (errno != ENOENT) return system_error(errno, "open", path);
    made = true;
    if (::mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST) return system_error(errno, "mkdir", path);
  }
  return unavailable("io.directory", "a directory disappears as soon as it is made: " + path);
}

}  // namespace

Tree::Tree(Tree&& other) noexcept : root_(std::move(other.root_)), fd_(std::move(other.fd_)) {}

Result<Tree> Tree::open(const std::string& root) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(root, error).lexically_normal();
  if (error) return system_error(error.value(), "resolve", root);
  std::string path = absolute.string();
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (!file_exists(path)) {
    TRY(make_directories(path));
    TRY(sync_directory(std::filesystem::path(path).parent_path().string()));
  }
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(path, O_RDONLY | O_DIRECTORY));
  return Tree(std::move(path), std::move(fd));
}

Result<std::optional<UniqueFd>> Tree::enter(std::string_view directory) const {
  UniqueFd current(open_at(fd_.get(), ".", kDirectoryFlags));
  if (!current.valid()) return system_error(errno, "open", root_);
  while (!directory.empty()) {
    const std::size_t slash = std::min(directory.find('/'), directory.size());
    UniqueFd next(open_at(current.get(), std::string(directory.substr(0, slash)), kDirectoryFlags));
    if (!next.valid() && (errno == ENOENT || is_in_the_way(errno))) return std::optional<UniqueFd>();
    if (!next.valid()) return system_error(errno, "open", fmt::format("{}/{}", root_, directory));
    current = std::move(next);
    directory.remove_prefix(std::min(slash + 1, directory.size()));
  }
  return std::optional<UniqueFd>(std::move(current));
}

Result<std::optional<Place>> Tree::find(std::string_view path) const {
  const std::size_t slash = path.rfind('/');
  const bool nested = slash != std::string_view::npos;
  ASSIGN_OR_RETURN(std::optional<UniqueFd> directory, enter(nested ? path.substr(0, slash) : std::string_view()));
  if (!directory) return std::optional<Place>();
  const std::string_view name = nested ? path.substr(slash + 1) : path;
  return std::optional<Place>(Place{*std::move(directory), std::string(name), fmt::format("{}/{}", root_, path)});
}

bool Tree::is_durable(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  return durable_.contains(directory);
}

void Tree::note_durable(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  if (durable_.size() >= kDurableMax) durable_.clear();
  durable_.insert(directory);
}

Result<Place> Tree::make_way(std::string_view path) {
  UniqueFd current(open_at(fd_.get(), ".", kDirectoryFlags));
  if (!current.valid()) return system_error(errno, "open", root_);
  std::size_t start = 0;
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', start)) {
    const std::string directory(path.substr(0, slash));
    bool made = false;
    ASSIGN_OR_RETURN(UniqueFd next, open_or_make(current.get(), directory.substr(start), fmt::format("{}/{}", root_, directory), made));
    // A directory that another process made just now may not be on disk yet, so that seeing it is not enough.
    if (made || !is_durable(directory)) {
      TRY(sync_fd(current.get(), root_));
      note_durable(directory);
    }
    current = std::move(next);
    start = slash + 1;
  }
  return Place{std::move(current), std::string(path.substr(start)), fmt::format("{}/{}", root_, path)};
}

Result<void> Tree::for_each_entry(std::string_view path, const std::function<void(std::string_view, bool)>& visit) const {
  ASSIGN_OR_RETURN(std::optional<UniqueFd> directory, enter(path));
  if (!directory) return {};
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(directory->get()), ::closedir);
  if (stream == nullptr) return system_error(errno, "list", fmt::format("{}/{}", root_, path));
  const int fd = directory->release();  // The stream owns it now.
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr && errno != 0) return system_error(errno, "list", fmt::format("{}/{}", root_, path));
    if (entry == nullptr) return {};
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat info {};
    if (::fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;  // Removed in between.
    if (S_ISDIR(info.st_mode) || S_ISREG(info.st_mode)) visit(name, S_ISDIR(info.st_mode));
  }
}

Result<std::optional<UniqueFd>> open_plain_file(const Place& place) {
  // Without O_NONBLOCK a FIFO that somebody put there would block us.
  UniqueFd fd(open_at(place.directory.get(), place.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid() && (errno == ENOENT || errno == ENXIO || is_in_the_way(errno))) return std::optional<UniqueFd>();
  if (!fd.valid()) return system_error(errno, "open", place.path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return system_error(errno, "stat", place.path);
  if (!S_ISREG(info.st_mode)) return std::optional<UniqueFd>();
  return std::optional<UniqueFd>(std::move(fd));
}

Result<void> sync_entries(const Place& place) { return sync_fd(place.directory.get(), place.path); }

Result<bool> remove_file(const Place& place) {
  if (::unlinkat(place.directory.get(), place.name.c_str(), 0) == 0) return true;
  if (errno == ENOENT || errno == EISDIR) return false;
  return system_error(errno, "remove", place.path);
}

}  // namespace trainyard::adapters::localfs::internal
