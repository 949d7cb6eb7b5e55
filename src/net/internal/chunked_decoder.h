#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace trainyard::net::internal {

/// Decodes the chunked transfer coding (RFC 9112 section 7.1) from pieces of any size. Strict: CRLF line ends, at most 16 hexadecimal
/// digits, extensions and trailers are bounded and dropped. Memory use does not depend on how the chunks are cut.
class ChunkedDecoder {
 public:
  explicit ChunkedDecoder(std::uint64_t body_max) : left_(body_max) {}

  enum class Status { kNeedMore, kDone, kMalformed, kTooLarge };
  /// Appends the data found in `bytes` to `body` and sets `used` to how many bytes belong to this message. After anything but kNeedMore
  /// the decoder must not be fed again.
  Status feed(std::string_view bytes, std::size_t& used, std::string& body);

 private:
  enum class State { kSize, kExtension, kSizeEnd, kData, kDataEnd, kDataEndLine, kTrailerStart, kTrailer, kTrailerEnd, kLastLine };

  Status step(char c);
  Status step_size(char c);

  State state_ = State::kSize;
  std::uint64_t left_;       ///< Bytes that the body may still grow.
  std::uint64_t chunk_ = 0;  ///< Size of the chunk, then what is missing of it.
  int digits_ = 0;
  std::size_t overhead_ = 0;  ///< Bytes of extensions and trailers so far.
};

}  // namespace trainyard::net::internal
