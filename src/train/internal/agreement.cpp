#include "train/internal/agreement.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <charconv>
#include <limits>

namespace trainyard::train::internal {
namespace {

constexpr std::size_t kWordsPerFile = 3;  // Size, and the two halves of the checksum.
constexpr std::string_view kScheme = "xxh3:";
constexpr std::size_t kHalfDigits = 16;

std::int64_t word_from_hex(std::string_view digits) {
  std::uint64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return std::bit_cast<std::int64_t>(value);
}

Error peer_failed() {
  return unavailable("checkpoint.peer_failed", "another rank of the gang could not do its part of the checkpoint; its own log says why");
}

}  // namespace

Result<void> agree_on_success(Comm& comm, const std::optional<Error>& failure) {
  std::array<std::int64_t, 1> failed{failure ? 1 : 0};
  TRY(comm.all_reduce({}, failed));
  if (failure) return *failure;
  if (failed[0] != 0) return peer_failed();
  return {};
}

Result<std::vector<CheckpointFile>> exchange_files(Comm& comm, const Result<CheckpointFile>& mine) {
  CHECK(comm.world_size() * kWordsPerFile + 1 <= Comm::kWordsMax, "more ranks than one message holds");
  // Every rank fills its own places and leaves the least number in the others, so the maxima are everybody's words.
  std::vector<std::int64_t> words(comm.world_size() * kWordsPerFile + 1, std::numeric_limits<std::int64_t>::min());
  words.back() = mine.ok() ? 0 : 1;
  if (mine.ok()) {
    const CheckpointFile& file = mine.value();
    const std::string_view digits = std::string_view(file.checksum).substr(kScheme.size());
    std::int64_t* const place = words.data() + comm.rank() * kWordsPerFile;
    place[0] = static_cast<std::int64_t>(file.size);
    place[1] = word_from_hex(digits.substr(0, kHalfDigits));
    place[2] = word_from_hex(digits.substr(kHalfDigits));
  }
  TRY(comm.all_reduce({}, words));
  if (!mine.ok()) return mine.error();
  if (words.back() != 0) return peer_failed();

  std::vector<CheckpointFile> files;
  for (std::uint32_t rank = 0; rank < comm.world_size(); ++rank) {
    const std::int64_t* const place = words.data() + rank * kWordsPerFile;
    files.push_back({.name = fmt::format("rank-{}.safetensors", rank),
                     .size = static_cast<std::uint64_t>(place[0]),
                     .checksum = fmt::format("{}{:016x}{:016x}", kScheme, std::bit_cast<std::uint64_t>(place[1]),
                                             std::bit_cast<std::uint64_t>(place[2]))});
  }
  return files;
}

}  // namespace trainyard::train::internal
