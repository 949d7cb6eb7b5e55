#pragma once
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <string>
#include <string_view>

#include "net/http.h"
#include "net/internal/chunked_decoder.h"
#include "net/internal/message_head.h"
#include "net/internal/socket.h"

namespace trainyard::net::testing {

/// A TCP connection that sends exactly what a test says, right or wrong. Every wait ends after the deadline given to the constructor.
class RawConnection {
 public:
  explicit RawConnection(std::uint16_t port, std::chrono::milliseconds patience = std::chrono::seconds(5)) : patience_(patience) {
    Result<UniqueFd> fd = internal::connect_to({"127.0.0.1", port}, deadline());
    CHECK(fd.ok(), "a test cannot connect to its server");
    fd_ = std::move(fd).value();
  }

  /// Sends all bytes; false when the other side does not take them any more.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(count));
      } else if (errno != EAGAIN || !wait(POLLOUT)) {
        return false;
      }
    }
    return true;
  }

  void shutdown_write() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }
  /// Closes with a reset.
  void abort() {
    const linger now{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    fd_.reset();
  }
  void set_receive_buffer(int bytes) { ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes); }

  /// Everything up to the end of the connection.
  std::string read_to_end() {
    while (receive()) {
    }
    return std::exchange(input_, {});
  }
  /// Reads until `text` came; true if it did. What was read stays for the next call.
  bool read_until(std::string_view text) {
    while (input_.find(text) == std::string::npos) {
      if (!receive()) return false;
    }
    return true;
  }
  const std::string& received() const { return input_; }
  /// True when the server closes the connection within the patience and nothing else arrives.
  bool closed_by_server() { return !receive() && ended_; }

  /// One whole answer. Status 0 when there is none.
  Response read_response(bool to_head_request = false) {
    internal::HeadParser parser(internal::HeadParser::Kind::kResponse, 65'536);
    std::size_t used = 0;
    while (parser.feed(input_, used) != internal::HeadParser::Status::kDone) {
      input_.erase(0, used);
      if (!receive()) return Response{0, {}, "no answer: " + input_};
    }
    input_.erase(0, used);
    const internal::MessageHead head = parser.take();
    Response response{head.status, head.headers, {}};
    const internal::Framing framing = internal::framing_of(head).framing;
    if (to_head_request || head.status == 204 || head.status == 304 || head.status < 200) return response;
    internal::ChunkedDecoder decoder(std::uint64_t{1} << 30);
    while (framing.chunked) {
      const auto status = decoder.feed(input_, used, response.body);
      input_.erase(0, used);
      if (status == internal::ChunkedDecoder::Status::kDone) return response;
      if (status != internal::ChunkedDecoder::Status::kNeedMore || !receive()) return Response{0, {}, "broken chunks"};
    }
    while (input_.size() < framing.length) {
      if (!receive()) return Response{0, {}, "body ended early"};
    }
    response.body = input_.substr(0, framing.length);
    input_.erase(0, framing.length);
    return response;
  }

 private:
  internal::SteadyPoint deadline() const { return std::chrono::steady_clock::now() + patience_; }

  bool wait(short events) {
    pollfd entry{fd_.get(), events, 0};
    return ::poll(&entry, 1, static_cast<int>(patience_.count())) > 0;
  }

  bool receive() {
    if (!fd_.valid() || ended_ || !wait(POLLIN)) return false;
    std::array<char, 65'536> buffer;
    const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) {
      ended_ = true;
      return false;
    }
    input_.append(buffer.data(), static_cast<std::size_t>(count));
    return true;
  }

  std::chrono::milliseconds patience_;
  UniqueFd fd_;
  std::string input_;
  bool ended_ = false;
};

}  // namespace trainyard::net::testing
