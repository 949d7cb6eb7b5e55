#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "net/internal/chunked_decoder.h"
#include "net/internal/message_head.h"
#include "net/internal/request_ids.h"
#include "net/origin.h"
#include "net/router.h"

namespace trainyard::net::internal {

/// What a server asks of every request.
struct RequestRules {
  std::size_t head_max = 16'384;
  CallerRules callers;
};

/// Turns the bytes of one connection into requests, one after the other, and refuses early: the framing, `Host`, the origin and the size
/// are checked before a body is read, and large bodies wait for the router's consent. Knows no sockets and no clocks.
class RequestReader {
 public:
  RequestReader(const RequestRules& rules, const Router& router, RequestIds& ids)
      : rules_(rules), router_(router), ids_(ids), parser_(HeadParser::Kind::kRequest, rules.head_max) {}

  /// From now on everything that is not reserved is refused from its head: the server has no room.
  void take_reserved_only() { reserved_only_ = true; }

  enum class Step {
    kNeedMore,  ///< All of `bytes` that can be used was used.
    kContinue,  ///< The client waits for "100 Continue"; feed on after sending it.
    kReady,     ///< `take` has a request.
    kRefused,   ///< `refusal` has the answer; the connection must close after it.
  };
  /// Sets `used` to how many bytes were taken; the rest must be offered again with what follows.
  Step feed(std::string_view bytes, std::size_t& used);

  /// After kReady. The reader is then ready for the next request.
  Request take();
  /// After kRefused.
  Response refusal() && { return std::move(refusal_); }

  /// Whether a part of a request came and the rest is still to come.
  bool in_head() const { return state_ == State::kHead && begun_; }
  bool in_body() const { return state_ == State::kBody; }
  std::size_t body_bytes() const { return request_.body.size(); }
  /// Of the request that `take` returns next or returned last.
  bool keep_alive() const { return keep_alive_; }
  bool http11() const { return http11_; }
  const std::string& request_id() const { return request_.request_id; }

 private:
  enum class State { kHead, kAdmitted, kBody };

  Step feed_head(std::string_view bytes, std::size_t& used);
  Step feed_body(std::string_view bytes, std::size_t& used);
  Step begin_body();
  Step refuse(int status, const Error& error);
  std::optional<Refusal> check_caller(MessageHead& head) const;

  const RequestRules& rules_;
  const Router& router_;
  RequestIds& ids_;
  HeadParser parser_;
  ChunkedDecoder decoder_{0};
  State state_ = State::kHead;
  bool begun_ = false;
  bool keep_alive_ = false;
  bool http11_ = true;
  bool wants_continue_ = false;
  bool reserved_only_ = false;
  Framing framing_;
  std::size_t body_max_ = 0;
  Request request_;
  Response refusal_;
};

}  // namespace trainyard::net::internal
