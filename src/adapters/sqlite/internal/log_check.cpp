#include "adapters/sqlite/internal/log_check.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/file.h"

namespace trainyard::adapters::sqlite::internal {
namespace {

constexpr std::size_t kHeaderSize = 32;
constexpr std::size_t kFrameHeaderSize = 24;
constexpr std::uint32_t kMagic = 0x377f0682;  // The lowest bit says that checksums take their words big-endian.

using Bytes = std::span<const std::byte>;

std::uint32_t big_endian(Bytes bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint32_t>(bytes[at + i]);
  return value;
}

std::uint32_t little_endian(Bytes bytes, std::size_t at) { return __builtin_bswap32(big_endian(bytes, at)); }

struct Checksum {
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  bool operator==(const Checksum&) const = default;
};

Checksum checksum(Checksum sum, Bytes bytes, bool words_are_big_endian) {
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    sum.first += (words_are_big_endian ? big_endian(bytes, at) : little_endian(bytes, at)) + sum.second;
    sum.second += (words_are_big_endian ? big_endian(bytes, at + 4) : little_endian(bytes, at + 4)) + sum.first;
  }
  return sum;
}

struct LogHeader {
  bool words_are_big_endian = false;
  std::size_t page_size = 0;
  std::array<std::uint32_t, 2> salt{};
  Checksum sum;
};

/// None when the header does not match its checksum.
std::optional<LogHeader> read_header(Bytes bytes) {
  LogHeader header;
  const std::uint32_t magic = big_endian(bytes, 0);
  header.words_are_big_endian = (magic & 1U) != 0;
  header.page_size = big_endian(bytes, 8);
  header.salt = {big_endian(bytes, 16), big_endian(bytes, 20)};
  header.sum = {big_endian(bytes, 24), big_endian(bytes, 28)};
  const bool sized = header.page_size >= 512 && header.page_size <= 65536 && (header.page_size & (header.page_size - 1)) == 0;
  if ((magic & ~1U) != kMagic || !sized || checksum({}, bytes.first(24), header.words_are_big_endian) != header.sum) return std::nullopt;
  return header;
}

/// What the checksum of a frame goes on from: the one its predecessor claims, and the one computed from its predecessor's bytes. They
/// differ behind damage, and one of them is right when only one frame is damaged.
struct Before {
  Checksum claimed;
  Checksum computed;
};

struct Frame {
  bool current = false;  ///< Written since the log was last started anew.
  bool commits = false;
  bool intact = false;  ///< Matches its checksum.
  Before next;
};

Frame read_frame(const LogHeader& header, const Before& before, Bytes bytes) {
  const auto sum_from = [&](Checksum start) {
    const Checksum of_header = checksum(start, bytes.first(8), header.words_are_big_endian);
    return checksum(of_header, bytes.subspan(kFrameHeaderSize), header.words_are_big_endian);
  };
  Frame frame;
  frame.current = big_endian(bytes, 8) == header.salt[0] && big_endian(bytes, 12) == header.salt[1];
  frame.commits = big_endian(bytes, 4) != 0;
  frame.next = {.claimed = {big_endian(bytes, 16), big_endian(bytes, 20)}, .computed = sum_from(before.computed)};
  frame.intact = frame.current && (frame.next.computed == frame.next.claimed || sum_from(before.claimed) == frame.next.claimed);
  return frame;
}

/// Where damage lies that hides acknowledged commits; none when there is no such damage.
Result<std::optional<std::uint64_t>> find_damage(const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd fd, open_file(path, O_RDONLY));
  ASSIGN_OR_RETURN(const std::uint64_t size, file_size(path));
  if (size <= kHeaderSize) return std::optional<std::uint64_t>();
  std::array<std::byte, kHeaderSize> header_bytes{};
  TRY(read_at(fd.get(), header_bytes, 0, path));
  const std::optional<LogHeader> header = read_header(header_bytes);
  // The 32 bytes were synced before any frame, so that no crash can tear them.
  if (!header) return std::optional<std::uint64_t>(0);

  std::vector<std::byte> bytes(kFrameHeaderSize + header->page_size);
  Before before{header->sum, header->sum};
  std::optional<std::uint64_t> damage;  // The first frame that is not intact.
  bool after_commit = false;            // The frame before, at or behind the damage, claims to commit.
  for (std::uint64_t at = kHeaderSize; at + bytes.size() <= size; at += bytes.size()) {
    TRY(read_at(fd.get(), bytes, at, path));
    const Frame frame = read_frame(*header, before, bytes);
    if (!frame.intact && !damage) damage = at;
    if (damage && frame.intact && after_commit) return damage;
    after_commit = damage && frame.commits;
    before = frame.next;
  }
  return std::optional<std::uint64_t>();
}

}  // namespace

Result<void> check_write_ahead_log(const std::string& path) {
  if (!file_exists(path)) return {};
  ASSIGN_OR_RETURN(const std::optional<std::uint64_t> damage, find_damage(path));
  if (!damage) return {};
  // Another process that writes right now can look like damage, but not twice at the same place.
  ASSIGN_OR_RETURN(const std::optional<std::uint64_t> again, find_damage(path));
  if (again != damage) return {};
  return data_loss("db.corrupt", fmt::format("the write-ahead log is damaged and acknowledged commits would be lost, restore it and its "
                                             "database from a backup; byte {} of {}",
                                             *damage, path));
}

}  // namespace trainyard::adapters::sqlite::internal
