#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace trainyard::adapters::localfs::internal {

inline constexpr std::size_t kSegmentHeaderSize = 24;
/// The most bytes of records one segment holds.
inline constexpr std::uint64_t kSegmentSizeMax = std::uint64_t{8} << 20;

/// One file of a rank's stream: a header, then records that are in the stream from `start` on.
struct Segment {
  std::uint64_t start = 0;
  std::uint64_t size = 0;  ///< Bytes of records.
  std::uint64_t end() const { return start + size; }
};

/// The segments of one rank, files DIRECTORY/RANK.000 and so on, as they lie on disk. For one thread at a time.
class SegmentFiles {
 public:
  SegmentFiles(std::string directory, std::uint32_t rank) : directory_(std::move(directory)), rank_(rank) {}

  const std::string& directory() const { return directory_; }
  std::string path(std::size_t index) const;

  /// Finds the segments. The last one is cut back to its last whole record, or removed when not even its header is whole; when whole
  /// records lie behind damage it is left as it is. Errors: DATA_LOSS "log.corrupt" for a missing segment or a damaged header.
  Result<std::vector<Segment>> load() const;
  /// Makes the file of a new segment with its header.
  Result<void> create(std::size_t index, std::uint64_t start) const;
  /// Writes records behind the `size` bytes of records that the segment holds.
  Result<void> write(std::size_t index, std::uint64_t size, std::string_view records) const;
  /// At most `size_max` bytes of records from byte `at` of the segment's records.
  Result<std::string> read(std::size_t index, std::uint64_t at, std::size_t size_max) const;
  Result<void> sync(std::size_t index) const;

 private:
  Result<std::vector<std::size_t>> indexes() const;
  Result<Segment> read_segment(std::size_t index) const;
  /// The last segment after repair; none when it was removed.
  Result<std::vector<Segment>> repair_last(std::size_t index) const;

  std::string directory_;
  std::uint32_t rank_;
};

}  // namespace trainyard::adapters::localfs::internal
