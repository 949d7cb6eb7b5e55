#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/http.h"

namespace trainyard::net::internal {

/// The first lines of a request or an answer.
struct MessageHead {
  std::string method;  ///< Of a request.
  std::string target;  ///< Of a request, as it was sent.
  int status = 0;      ///< Of an answer.
  bool http11 = true;  ///< False: HTTP/1.0.
  Headers headers;
};

/// Why a message is refused: an HTTP status for the other side and the error.
struct Refusal {
  int status = 400;
  Error error;
};

/// How a body is delimited.
struct Framing {
  bool chunked = false;
  std::uint64_t length = 0;      ///< When not chunked.
  bool length_is_given = false;  ///< Else an answer without chunks ends with the connection.
};

/// Decides where the body of `head` ends, and refuses everything that two parsers could read differently: Content-Length beside
/// Transfer-Encoding, repeated lengths, any coding but "chunked", codings in HTTP/1.0.
struct FramingResult {
  std::optional<Refusal> refusal;
  Framing framing;
};
FramingResult framing_of(const MessageHead& head);

/// Whether the connection stays open after this message, as far as its sender says.
bool keeps_alive(const MessageHead& head);

/// Parses heads from pieces of any size. Used for one message after the other.
class HeadParser {
 public:
  enum class Kind { kRequest, kResponse };
  /// `head_max`: bytes of a head, all lines together.
  HeadParser(Kind kind, std::size_t head_max);
  ~HeadParser();
  HeadParser(const HeadParser&) = delete;
  HeadParser& operator=(const HeadParser&) = delete;

  enum class Status { kNeedMore, kDone, kRefused };
  /// Sets `used` to how many bytes were taken; the rest must be offered again with what follows.
  Status feed(std::string_view bytes, std::size_t& used);
  /// After kDone: the head. The parser is then ready for the next message.
  MessageHead take();
  /// After kRefused.
  const Refusal& refusal() const { return refusal_; }

 private:
  struct State;
  Status refuse(int status, std::string id, std::string message);

  std::unique_ptr<State> state_;
  std::size_t head_max_;
  std::size_t taken_ = 0;  ///< Bytes of this head.
  char last_ = 0;          ///< The last one of them.
  Refusal refusal_;
};

}  // namespace trainyard::net::internal
