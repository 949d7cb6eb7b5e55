#include "data/byte_input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/checksum.h"
#include "base/file.h"
#include "base/gzip.h"

namespace trainyard::data {
namespace {

constexpr std::size_t kChunk = std::size_t{256} << 10;

Error missing_file(const std::string& path) {
  std::error_code ignored;
  const std::string absolute = std::filesystem::absolute(path, ignored).string();
  return not_found("data.missing_file",
                   fmt::format("a source file is not there; check the path and that this host can see it: {}", absolute));
}

/// Why a source cannot be opened, or read although it could be opened, in the words of whoever wrote its path.
Error unusable_file(Error error, const std::string& path) {
  if (error.category == Category::kNotFound) return missing_file(path);
  if (error.category != Category::kPermissionDenied) return error;
  return failed_precondition("data.unreadable_file",
                             fmt::format("a source file may not be read by the user who runs the job; change its permissions: {}", path));
}

Result<void> refuse_directory(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return system_error(errno, "fstat", path);
  if (!S_ISDIR(info.st_mode)) return {};
  return failed_precondition("data.not_a_file", fmt::format("a source is a directory; name the file in it: {}", path));
}

}  // namespace

struct ByteInput::State {
  std::string path;
  UniqueFd fd;
  Sha256 sha256;
  std::int64_t size = 0;  ///< Bytes of the file read so far.
  std::optional<FileFingerprint> fingerprint;
  std::vector<std::byte> chunk;  ///< What was read from the file and not yet handed out: [begin, end).
  std::size_t begin = 0;
  std::size_t end = 0;
  std::unique_ptr<GzipInflater> inflater;  ///< Only for gzip.

  /// Reads the next chunk once the last one is used up. False at the end of the file.
  Result<bool> refill() {
    begin = end = 0;
    for (;;) {
      const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_error(errno, "read", path);
      end = static_cast<std::size_t>(got);
      break;
    }
    sha256.update(std::span(chunk).first(end));
    size += static_cast<std::int64_t>(end);
    return end > 0;
  }

  Result<std::size_t> read_plain(std::span<std::byte> buffer) {
    std::size_t filled = 0;
    while (filled < buffer.size()) {
      if (begin == end) {
        ASSIGN_OR_RETURN(const bool more, refill());
        if (!more) break;
      }
      const std::size_t count = std::min(end - begin, buffer.size() - filled);
      std::copy_n(chunk.begin() + static_cast<std::ptrdiff_t>(begin), count, buffer.begin() + static_cast<std::ptrdiff_t>(filled));
      begin += count;
      filled += count;
    }
    return filled;
  }

  Error bad_gzip(std::string_view what) const {
    return invalid_argument("data.gzip", fmt::format("a gzip file {}; fetch it again: {} (at compressed byte {})", what, path,
                                                     size - static_cast<std::int64_t>(end - begin)));
  }

  Result<std::size_t> read_gzip(std::span<std::byte> buffer) {
    std::span<std::byte> left = buffer;
    while (!left.empty()) {
      if (begin == end) {
        ASSIGN_OR_RETURN(const bool more, refill());
        if (!more && inflater->may_end()) break;
        if (!more) return bad_gzip("ends too early");
      }
      std::span<const std::byte> input = std::span(chunk).subspan(begin, end - begin);
      const bool sound = inflater->step(input, left);
      begin = end - input.size();
      if (!sound) return bad_gzip("is damaged");
    }
    return buffer.size() - left.size();
  }
};

ByteInput::ByteInput(std::unique_ptr<State> state) : state_(std::move(state)) {}
ByteInput::~ByteInput() = default;

Result<std::unique_ptr<ByteInput>> ByteInput::open(const std::string& path) {
  Result<UniqueFd> fd = open_file(path, O_RDONLY);
  if (!fd.ok()) return unusable_file(std::move(fd).error(), path);
  TRY(refuse_directory(fd->get(), path));
  auto state = std::make_unique<State>();
  state->path = path;
  state->fd = std::move(fd).value();
  state->chunk.resize(kChunk);
  TRY(state->refill());
  if (has_gzip_magic(std::span(state->chunk).first(state->end))) state->inflater = std::make_unique<GzipInflater>();
  return std::unique_ptr<ByteInput>(new ByteInput(std::move(state)));
}

Result<std::size_t> ByteInput::read(std::span<std::byte> buffer) {
  CHECK(!state_->fingerprint, "read after fingerprint");
  return state_->inflater ? state_->read_gzip(buffer) : state_->read_plain(buffer);
}

Result<FileFingerprint> ByteInput::fingerprint() {
  if (!state_->fingerprint) {
    for (;;) {
      ASSIGN_OR_RETURN(const bool more, state_->refill());
      if (!more) break;
    }
    state_->fingerprint = FileFingerprint{state_->sha256.finish_hex(), state_->size};
  }
  return *state_->fingerprint;
}

const std::string& ByteInput::path() const { return state_->path; }

}  // namespace trainyard::data
