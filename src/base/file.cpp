#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/failpoint.h"
#include "base/rng.h"

namespace trainyard {
namespace {

std::string parent_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

Result<void> replace_file(const std::string& path, std::string_view text, mode_t mode, bool durable) {
  const std::string temporary = path + ".tmp" + secure_random_hex(4);
  const auto write = [&]() -> Result<void> {
    ASSIGN_OR_RETURN(const UniqueFd fd, open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, mode));
    TRY(write_all(fd.get(), text, temporary));
    if (durable) TRY(sync_data(fd.get(), temporary));
    FAILPOINT("file.before_rename");
    if (::rename(temporary.c_str(), path.c_str()) != 0) return system_error(errno, "rename", path);
    return {};
  };
  if (Result<void> written = write(); !written.ok()) {
    ::unlink(temporary.c_str());
    return written;
  }
  return durable ? sync_directory(parent_of(path)) : Result<void>();
}

}  // namespace

void UniqueFd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Result<UniqueFd> open_file(const std::string& path, int flags, mode_t mode) {
  for (;;) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0) return UniqueFd(fd);
    if (errno != EINTR) return system_error(errno, "open", path);
  }
}

Result<std::string> read_file(const std::string& path, std::size_t size_max) {
  ASSIGN_OR_RETURN(const UniqueFd fd, open_file(path, O_RDONLY));
  std::string text;
  std::size_t filled = 0;
  for (;;) {
    if (filled == text.size()) text.resize(std::max<std::size_t>(4096, text.size() * 2));
    const ssize_t got = ::read(fd.get(), text.data() + filled, text.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, "read", path);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
    if (filled > size_max) {
      return Error{
          Category::kResourceExhausted, "io.too_large", fmt::format("the file is larger than {} bytes: {}", size_max, path), {}, {}};
    }
  }
  text.resize(filled);
  return text;
}

Result<void> write_all(int fd, std::span<const std::byte> bytes, std::string_view path) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return system_error(errno, "write", path);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

Result<void> write_all(int fd, std::string_view text, std::string_view path) { return write_all(fd, as_bytes(text), path); }

Result<std::size_t> read_at(int fd, std::span<std::byte> buffer, std::uint64_t offset, std::string_view path) {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const ssize_t got = ::pread(fd, buffer.data() + filled, buffer.size() - filled, static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, "read", path);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  return filled;
}

Result<void> sync_data(int fd, std::string_view path) {
  if (::fdatasync(fd) == 0) return {};
  Error error = system_error(errno, "fdatasync", path);
  if (error.id != "io.disk_full") error.id = "io.sync_failed";
  return error;
}

Result<void> sync_directory(const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd fd, open_file(path, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return system_error(errno, "fsync", path);
  return {};
}

Result<void> write_file_durably(const std::string& path, std::string_view text, mode_t mode) {
  return replace_file(path, text, mode, true);
}

Result<void> write_file_atomically(const std::string& path, std::string_view text, mode_t mode) {
  return replace_file(path, text, mode, false);
}

Result<void> make_directories(const std::string& path) {
  for (std::size_t at = 1; at <= path.size(); ++at) {
    if (at != path.size() && path[at] != '/') continue;
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), 0700) == 0 || errno == EEXIST) continue;
    // A parent that we may not write to is fine as long as it is there.
    const int error_number = errno;
    struct stat info {};
    if (::stat(part.c_str(), &info) != 0) return system_error(error_number, "mkdir", part);
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return system_error(errno, "mkdir", path);
  if (!S_ISDIR(info.st_mode)) return system_error(ENOTDIR, "mkdir", path);
  return {};
}

Result<void> remove_tree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return system_error(error.value(), "remove", path);
  return {};
}

bool file_exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result<std::uint64_t> file_size(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return system_error(errno, "stat", path);
  return static_cast<std::uint64_t>(info.st_size);
}

Result<std::vector<std::string>> list_directory(const std::string& path) {
  std::error_code error;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) return system_error(error.value(), "list", path);
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::string> make_temporary_directory(std::string_view prefix) {
  const char* root = std::getenv("TMPDIR");
  std::string path = fmt::format("{}/{}XXXXXX", root != nullptr && *root != '\0' ? root : "/tmp", prefix);
  if (::mkdtemp(path.data()) == nullptr) return system_error(errno, "mkdtemp", path);
  return path;
}

}  // namespace trainyard
