#include "adapters/localfs/internal/segment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include "base/checksum.h"
#include "base/file.h"
#include "store/log_record.h"

namespace trainyard::adapters::localfs::internal {
namespace {

constexpr std::string_view kMagic = "TYLOG001";

void put_little_endian(std::uint64_t value, std::size_t bytes, std::string& out) {
  for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
}

std::uint64_t get_little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

/// magic | u64 start | u32 crc32c of both | u32 zero
std::string header_of(std::uint64_t start) {
  std::string header(kMagic);
  put_little_endian(start, 8, header);
  put_little_endian(crc32c(as_bytes(header)), 4, header);
  put_little_endian(0, 4, header);
  return header;
}

std::optional<std::uint64_t> start_in(std::string_view header) {
  if (header.size() < kSegmentHeaderSize) return std::nullopt;
  const std::uint64_t start = get_little_endian(header.substr(8, 8));
  if (header.substr(0, kSegmentHeaderSize) != header_of(start)) return std::nullopt;
  return start;
}

Error damaged(std::string_view what, const std::string& path) {
  return data_loss("log.corrupt", fmt::format("a log segment is damaged; {}: {}", what, path));
}

std::span<std::byte> bytes_of(std::string& text) { return std::as_writable_bytes(std::span(text)); }

}  // namespace

std::string SegmentFiles::path(std::size_t index) const { return fmt::format("{}/{}.{:03}", directory_, rank_, index); }

Result<std::vector<std::size_t>> SegmentFiles::indexes() const {
  std::vector<std::size_t> found;
  if (!file_exists(directory_)) return found;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, list_directory(directory_));
  const std::string prefix = fmt::format("{}.", rank_);
  for (const std::string& name : names) {
    if (!name.starts_with(prefix)) continue;
    std::size_t index = 0;
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + prefix.size(), end, index);
    if (error == std::errc() && stop == end) found.push_back(index);
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<std::vector<Segment>> SegmentFiles::load() const {
  ASSIGN_OR_RETURN(const std::vector<std::size_t> found, indexes());
  std::vector<Segment> segments;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i] != i) return damaged("it is missing", path(i));
    if (i + 1 == found.size()) {
      ASSIGN_OR_RETURN(const std::vector<Segment> last, repair_last(i));
      segments.insert(segments.end(), last.begin(), last.end());
    } else {
      ASSIGN_OR_RETURN(const Segment segment, read_segment(i));
      segments.push_back(segment);
    }
  }
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const std::uint64_t before = i == 0 ? 0 : segments[i - 1].end();
    if (segments[i].start < before) return damaged("it overlaps the one before", path(i));
  }
  return segments;
}

Result<Segment> SegmentFiles::read_segment(std::size_t index) const {
  ASSIGN_OR_RETURN(const UniqueFd fd, open_file(path(index), O_RDONLY | O_NOFOLLOW));
  std::string header(kSegmentHeaderSize, '\0');
  ASSIGN_OR_RETURN(const std::size_t got, read_at(fd.get(), bytes_of(header), 0, path(index)));
  const std::optional<std::uint64_t> start = start_in(std::string_view(header).substr(0, got));
  if (!start) return damaged("its header does not match its checksum", path(index));
  ASSIGN_OR_RETURN(const std::uint64_t size, file_size(path(index)));
  return Segment{*start, size - kSegmentHeaderSize};
}

Result<std::vector<Segment>> SegmentFiles::repair_last(std::size_t index) const {
  ASSIGN_OR_RETURN(const std::string bytes, read_file(path(index), kSegmentHeaderSize + 2 * kSegmentSizeMax));
  const std::optional<std::uint64_t> start = start_in(bytes);
  if (!start) {
    if (store::holds_log_record(bytes)) return damaged("its header does not match its checksum", path(index));
    // A crash came between the making of the file and its first sync.
    TRY(remove_tree(path(index)));
    return std::vector<Segment>();
  }
  const std::string_view records = std::string_view(bytes).substr(kSegmentHeaderSize);
  const std::size_t intact = store::intact_log_prefix(records);
  if (intact == records.size() || store::holds_log_record(records.substr(intact))) return std::vector<Segment>{{*start, records.size()}};
  if (::truncate(path(index).c_str(), static_cast<off_t>(kSegmentHeaderSize + intact)) != 0) {
    return system_error(errno, "truncate", path(index));
  }
  return std::vector<Segment>{{*start, intact}};
}

Result<void> SegmentFiles::create(std::size_t index, std::uint64_t start) const {
  TRY(make_directories(directory_));
  ASSIGN_OR_RETURN(const UniqueFd fd, open_file(path(index), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW));
  return write_all(fd.get(), header_of(start), path(index));
}

Result<void> SegmentFiles::write(std::size_t index, std::uint64_t size, std::string_view records) const {
  ASSIGN_OR_RETURN(const UniqueFd fd, open_file(path(index), O_WRONLY | O_NOFOLLOW));
  if (::lseek(fd.get(), static_cast<off_t>(kSegmentHeaderSize + size), SEEK_SET) < 0) return system_error(errno, "seek", path(index));
  return write_all(fd.get(), records, path(index));
}

Result<std::string> SegmentFiles::read(std::size_t index, std::uint64_t at, std::size_t size_max) const {
  ASSIGN_OR_RETURN(const UniqueFd fd, open_file(path(index), O_RDONLY | O_NOFOLLOW));
  std::string records(size_max, '\0');
  ASSIGN_OR_RETURN(const std::size_t got, read_at(fd.get(), bytes_of(records), kSegmentHeaderSize + at, path(index)));
  records.resize(got);
  return records;
}

Result<void> SegmentFiles::sync(std::size_t index) const {
  ASSIGN_OR_RETURN(const UniqueFd fd, open_file(path(index), O_WRONLY | O_NOFOLLOW));
  return sync_data(fd.get(), path(index));
}

}  // namespace trainyard::adapters::localfs::internal
