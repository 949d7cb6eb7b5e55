#include "net/internal/chunked_decoder.h"

#include <algorithm>

namespace trainyard::net::internal {
namespace {

constexpr std::size_t kOverheadMax = 16'384;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_line_character(char c) { return (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) || c == '\t'; }

}  // namespace

ChunkedDecoder::Status ChunkedDecoder::feed(std::string_view bytes, std::size_t& used, std::string& body) {
  used = 0;
  while (used < bytes.size()) {
    if (state_ == State::kData) {
      const std::size_t piece = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_, bytes.size() - used));
      body.append(bytes.substr(used, piece));
      used += piece;
      chunk_ -= piece;
      if (chunk_ == 0) state_ = State::kDataEnd;
      continue;
    }
    const Status status = step(bytes[used++]);
    if (status != Status::kNeedMore) return status;
  }
  return Status::kNeedMore;
}

ChunkedDecoder::Status ChunkedDecoder::step_size(char c) {
  if (const int digit = hex_digit(c); digit >= 0) {
    if (++digits_ > 16) return Status::kMalformed;
    chunk_ = chunk_ * 16 + static_cast<std::uint64_t>(digit);
    return Status::kNeedMore;
  }
  if (digits_ == 0) return Status::kMalformed;
  if (c == '\r') {
    state_ = State::kSizeEnd;
  } else if (c == ';' || c == ' ' || c == '\t') {
    state_ = State::kExtension;
  } else {
    return Status::kMalformed;
  }
  return Status::kNeedMore;
}

ChunkedDecoder::Status ChunkedDecoder::step(char c) {
  switch (state_) {
    case State::kSize:
      return step_size(c);
    case State::kExtension:
    case State::kTrailer:
      if (c == '\r') {
        state_ = state_ == State::kExtension ? State::kSizeEnd : State::kTrailerEnd;
      } else if (!is_line_character(c) || ++overhead_ > kOverheadMax) {
        return Status::kMalformed;
      }
      return Status::kNeedMore;
    case State::kSizeEnd:
      if (c != '\n') return Status::kMalformed;
      if (chunk_ > left_) return Status::kTooLarge;
      left_ -= chunk_;
      digits_ = 0;
      state_ = chunk_ == 0 ? State::kTrailerStart : State::kData;
      return Status::kNeedMore;
    case State::kDataEnd:
      state_ = State::kDataEndLine;
      return c == '\r' ? Status::kNeedMore : Status::kMalformed;
    case State::kDataEndLine:
      state_ = State::kSize;
      return c == '\n' ? Status::kNeedMore : Status::kMalformed;
    case State::kTrailerStart:
      if (c != '\r' && (!is_line_character(c) || ++overhead_ > kOverheadMax)) return Status::kMalformed;
      state_ = c == '\r' ? State::kLastLine : State::kTrailer;
      return Status::kNeedMore;
    case State::kTrailerEnd:
      state_ = State::kTrailerStart;
      return c == '\n' ? Status::kNeedMore : Status::kMalformed;
    case State::kLastLine:
      return c == '\n' ? Status::kDone : Status::kMalformed;
    case State::kData:
      break;
  }
  return Status::kMalformed;
}

}  // namespace trainyard::net::internal
