#include "agent/spool_reader.h"

#include <fcntl.h>

#include <span>

#include "base/file.h"

namespace trainyard::agent {
namespace {

Result<std::string> read_range(const std::string& path, std::uint64_t from, std::size_t size) {
  ASSIGN_OR_RETURN(const UniqueFd file, open_file(path, O_RDONLY));
  std::string bytes(size, '\0');
  ASSIGN_OR_RETURN(const std::size_t got, read_at(file.get(), std::as_writable_bytes(std::span(bytes)), from, path));
  bytes.resize(got);
  return bytes;
}

}  // namespace

Result<std::string> FileSpool::read_log(const RankKey& rank, std::uint64_t from, std::size_t size) {
  return read_range(exec::spool_paths(data_dir_, rank).log, from, size);
}

Result<std::string> FileSpool::read_events(const RankKey& rank, std::uint64_t from, std::size_t size) {
  return read_range(exec::spool_paths(data_dir_, rank).events, from, size);
}

exec::ShippedMark FileSpool::shipped_mark(const RankKey& rank) { return exec::read_shipped_mark(exec::spool_paths(data_dir_, rank)); }

}  // namespace trainyard::agent
