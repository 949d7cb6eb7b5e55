#include "sim/text_input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/file.h"
#include "base/gzip.h"

namespace trainyard::sim {
namespace {

constexpr std::size_t kChunk = std::size_t{256} << 10;

}  // namespace

struct TextInput::State {
  std::string name;
  UniqueFd fd;              ///< Invalid: `text` is the source.
  std::string_view text;    ///< What is left of it.
  std::vector<char> chunk;  ///< Read from the source and not yet handed out: [begin, end).
  std::size_t begin = 0;
  std::size_t end = 0;
  std::uint64_t taken = 0;                 ///< Bytes taken from the source.
  std::unique_ptr<GzipInflater> inflater;  ///< Only for gzip.

  /// Reads the next chunk once the last one is used up. False at the end.
  Result<bool> refill() {
    begin = end = 0;
    if (!fd.valid()) {
      end = std::min(chunk.size(), text.size());
      std::copy_n(text.begin(), end, chunk.begin());
      text.remove_prefix(end);
    } else {
      ssize_t got = -1;
      do {
        got = ::read(fd.get(), chunk.data(), chunk.size());
      } while (got < 0 && errno == EINTR);
      if (got < 0) return system_error(errno, "read", name);
      end = static_cast<std::size_t>(got);
    }
    taken += end;
    return end > 0;
  }

  /// Takes the first chunk and looks for the gzip magic in it.
  Result<void> begin_reading() {
    chunk.resize(kChunk);
    TRY(refill());
    if (has_gzip_magic(std::as_bytes(std::span(chunk)).first(end))) inflater = std::make_unique<GzipInflater>();
    return {};
  }

  Error bad_gzip(std::string_view what) const {
    return invalid_argument("sim.gzip",
                            fmt::format("the compressed data {}; fetch the file again or decompress it with gunzip to see how "
                                        "much is there (at compressed byte {})",
                                        what, taken - (end - begin)),
                            name);
  }

  Result<std::size_t> read_plain(std::span<char> buffer) {
    std::size_t filled = 0;
    while (filled < buffer.size()) {
      if (begin == end) {
        ASSIGN_OR_RETURN(const bool more, refill());
        if (!more) break;
      }
      const std::size_t count = std::min(end - begin, buffer.size() - filled);
      std::memcpy(buffer.data() + filled, chunk.data() + begin, count);
      begin += count;
      filled += count;
    }
    return filled;
  }

  Result<std::size_t> read_gzip(std::span<char> buffer) {
    std::span<std::byte> left = std::as_writable_bytes(buffer);
    while (!left.empty()) {
      if (begin == end) {
        ASSIGN_OR_RETURN(const bool more, refill());
        if (!more && inflater->may_end()) break;
        if (!more) return bad_gzip("ends too early");
      }
      std::span<const std::byte> input = std::as_bytes(std::span(chunk)).subspan(begin, end - begin);
      const bool sound = inflater->step(input, left);
      begin = end - input.size();
      if (!sound) return bad_gzip("is damaged");
    }
    return buffer.size() - left.size();
  }
};

TextInput::TextInput(std::unique_ptr<State> state) : state_(std::move(state)) {}
TextInput::~TextInput() = default;
TextInput::TextInput(TextInput&& other) noexcept = default;
TextInput& TextInput::operator=(TextInput&& other) noexcept = default;

Result<TextInput> TextInput::open(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(path, O_RDONLY));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return system_error(errno, "fstat", path);
  if (S_ISDIR(info.st_mode)) {
    return failed_precondition("sim.not_a_file", fmt::format("a directory cannot be read as a file; name the file in it: {}", path));
  }
  auto state = std::make_unique<State>();
  state->name = path;
  state->fd = std::move(fd);
  TRY(state->begin_reading());
  return TextInput(std::move(state));
}

TextInput TextInput::over(std::string name, std::string_view bytes) {
  auto state = std::make_unique<State>();
  state->name = std::move(name);
  state->text = bytes;
  CHECK(state->begin_reading().ok(), "memory can be read");
  return TextInput(std::move(state));
}

Result<std::size_t> TextInput::read(std::span<char> buffer) {
  return state_->inflater ? state_->read_gzip(buffer) : state_->read_plain(buffer);
}

const std::string& TextInput::name() const { return state_->name; }

Error RecordReader::error(std::string id, std::string message) const {
  return invalid_argument(std::move(id), std::move(message), fmt::format("{}:{}", input_.name(), record_line_));
}

/// Reads more behind what is not consumed. False when there is no more.
Result<bool> RecordReader::refill() {
  if (at_end_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, filled_ - begin_);
    filled_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() < filled_ + kChunk) buffer_.resize(filled_ + kChunk);
  ASSIGN_OR_RETURN(const std::size_t got, input_.read(std::span(buffer_).subspan(filled_, kChunk)));
  at_end_ = got < kChunk;
  filled_ += got;
  bytes_ += got;
  if (bytes_ > limits_.bytes_max) {
    return error("sim.too_large", fmt::format("the file is larger than a reader takes, after decompression; split it: more than {} bytes",
                                              limits_.bytes_max));
  }
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (!started_ && std::string_view(buffer_.data(), filled_).starts_with(kByteOrderMark)) begin_ = kByteOrderMark.size();
  started_ = true;
  return got > 0;
}

/// Sets end_ to the end of the line that starts `from` bytes behind begin_. False when nothing is left.
Result<bool> RecordReader::find_end(std::size_t from) {
  std::size_t looked = from;
  for (;;) {
    const std::size_t size = filled_ - begin_;
    end_ = filled_;
    if (size > looked) {
      const void* found = std::memchr(buffer_.data() + begin_ + looked, '\n', size - looked);
      if (found != nullptr) end_ = static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
      looked = size;
    }
    if (size > from && (end_ < filled_ || at_end_ || end_ - begin_ > limits_.record_max)) break;
    if (at_end_) return false;
    TRY(refill());
  }
  if (end_ - begin_ <= limits_.record_max) return true;
  return error("sim.record_too_long",
               fmt::format("a record is longer than any real one; check that the file is text, has line ends and closes its quotes: more "
                           "than {} bytes",
                           limits_.record_max));
}

/// Moves end_ to the end of the first line on which no quote is open.
Result<void> RecordReader::extend_over_quotes() {
  std::size_t counted = 0;
  std::size_t quotes = 0;
  for (;;) {
    const char* start = buffer_.data() + begin_;
    const std::size_t size = end_ - begin_;
    if (std::memchr(start + counted, '"', size - counted) != nullptr) {
      quotes += static_cast<std::size_t>(std::count(start + counted, start + size, '"'));
    }
    if (quotes % 2 == 0) return {};
    counted = size;
    ASSIGN_OR_RETURN(const bool goes_on, end_ < filled_ ? find_end(size + 1) : Result<bool>(false));
    if (!goes_on) return error("sim.open_quote", "a quoted field has no closing quote; add it, and write a quote inside a field twice");
    ++line_;
  }
}

Result<bool> RecordReader::next(std::string_view& record) {
  record_line_ = line_;
  ASSIGN_OR_RETURN(const bool more, find_end(0));
  if (!more) return false;
  if (++records_ > limits_.records_max) {
    return error("sim.too_many_records",
                 fmt::format("the file has more records than a reader takes; split it: more than {}", limits_.records_max));
  }
  ++line_;
  if (quotes_ == Quotes::kRfc4180) TRY(extend_over_quotes());
  record = std::string_view(buffer_.data() + begin_, end_ - begin_);
  begin_ = std::min(end_ + 1, filled_);
  if (record.ends_with('\r')) record.remove_suffix(1);
  if (std::memchr(record.data(), '\0', record.size()) != nullptr) {
    return error("sim.nul_byte", "a record holds a NUL byte; the file is not text, or damaged: fetch or write it again");
  }
  return true;
}

}  // namespace trainyard::sim
