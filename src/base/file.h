#pragma once
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace trainyard {

/// Owns a file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// Blocking file operations with EINTR and short writes handled. Errors are those of system_error, plus what each function says.

/// open(2) with O_CLOEXEC added.
Result<UniqueFd> open_file(const std::string& path, int flags, mode_t mode = 0600);
/// Reads a whole file of at most `size_max` bytes. Errors: RESOURCE_EXHAUSTED "io.too_large" beyond it.
Result<std::string> read_file(const std::string& path, std::size_t size_max = std::size_t{1} << 30);
Result<void> write_all(int fd, std::span<const std::byte> bytes, std::string_view path);
Result<void> write_all(int fd, std::string_view text, std::string_view path);
/// Fills `buffer` from `offset`; fewer bytes than asked only at the end of the file.
Result<std::size_t> read_at(int fd, std::span<std::byte> buffer, std::uint64_t offset, std::string_view path);
/// fdatasync; a failure is final for the file ("io.sync_failed"), never retried.
Result<void> sync_data(int fd, std::string_view path);
Result<void> sync_directory(const std::string& path);
/// Temporary file, fdatasync, rename, directory fsync: afterwards `path` durably holds exactly `text`, or what it held before.
Result<void> write_file_durably(const std::string& path, std::string_view text, mode_t mode = 0600);
/// The same without the syncs: atomic, not durable.
Result<void> write_file_atomically(const std::string& path, std::string_view text, mode_t mode = 0600);
/// mkdir -p with mode 0700 for what is missing.
Result<void> make_directories(const std::string& path);
/// Removes a file or a whole directory tree; absent is no error.
Result<void> remove_tree(const std::string& path);
bool file_exists(const std::string& path);
Result<std::uint64_t> file_size(const std::string& path);
/// Names in a directory without "." and "..", sorted.
Result<std::vector<std::string>> list_directory(const std::string& path);
/// A fresh private directory under $TMPDIR (or /tmp) whose name starts with `prefix`.
Result<std::string> make_temporary_directory(std::string_view prefix);

inline std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {static_cast<const char*>(static_cast<const void*>(bytes.data())), bytes.size()};
}

}  // namespace trainyard
