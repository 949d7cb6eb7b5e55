#include "apps/warden/spool_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "exec/spool.h"

namespace trainyard::warden {
namespace {

constexpr std::size_t kRepairChunk = std::size_t{1} << 20;

Result<void> cut(int fd, std::uint64_t size, const std::string& path) {
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) return system_error(errno, "ftruncate", path);
  return {};
}

}  // namespace

Result<void> SpoolFile::append(std::string_view bytes) {
  if (bytes.empty()) return {};
  if (!file_.valid()) {
    ASSIGN_OR_RETURN(file_, open_file(path_, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600));
  }
  if (Result<void> written = write_all(file_.get(), bytes, path_); !written.ok()) {
    TRY(cut(file_.get(), size_, path_));
    return written;
  }
  size_ += bytes.size();
  return {};
}

void SpoolFile::release_before(std::uint64_t end) {
  if (!file_.valid()) return;
  // A file system that cannot punch holes keeps the bytes until the rank is forgotten.
  (void)::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(std::min(end, size_)));
}

Result<std::uint64_t> repair_log_file(const std::string& path, std::uint64_t start) {
  if (!file_exists(path)) return std::uint64_t{0};
  ASSIGN_OR_RETURN(const UniqueFd file, open_file(path, O_RDWR));
  std::vector<std::byte> chunk(kRepairChunk);
  std::uint64_t whole = start;
  for (;;) {
    ASSIGN_OR_RETURN(const std::size_t filled, read_at(file.get(), chunk, whole, path));
    const std::size_t records = exec::whole_log_records(as_text(std::span(chunk).first(filled)));
    whole += records;
    if (records == 0) break;
  }
  TRY(cut(file.get(), whole, path));
  return whole;
}

Result<std::uint64_t> repair_events_file(const std::string& path) {
  if (!file_exists(path)) return std::uint64_t{0};
  ASSIGN_OR_RETURN(const UniqueFd file, open_file(path, O_RDWR));
  ASSIGN_OR_RETURN(const std::uint64_t size, file_size(path));
  std::vector<std::byte> tail(static_cast<std::size_t>(std::min<std::uint64_t>(size, 2 * exec::kSpoolLineMax)));
  const std::uint64_t start = size - tail.size();
  ASSIGN_OR_RETURN(const std::size_t filled, read_at(file.get(), tail, start, path));
  const std::size_t newline = as_text(std::span(tail).first(filled)).rfind('\n');
  const std::uint64_t whole = newline == std::string_view::npos ? start : start + newline + 1;
  TRY(cut(file.get(), whole, path));
  return whole;
}

}  // namespace trainyard::warden
