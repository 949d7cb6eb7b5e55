#include "net/http_client.h"

#include <fmt/format.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "net/internal/chunked_decoder.h"
#include "net/internal/message_head.h"
#include "net/internal/socket.h"
#include "net/internal/tls.h"

namespace trainyard::net {
namespace {

using internal::ChunkedDecoder;
using internal::Endpoint;
using internal::HeadParser;
using internal::MessageHead;
using internal::SteadyPoint;
using OnBytes = std::function<bool(std::string_view)>;

constexpr std::size_t kHeadMax = 65'536;
constexpr std::size_t kPiece = 262'144;  ///< Plain bytes that are encrypted at once.
constexpr std::uint64_t kBodyMax = std::uint64_t{1} << 34;

bool has_line_break(std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos; }

bool is_idempotent(const ClientRequest& request) {
  return request.method != "POST" && request.method != "PATCH" ? true : request.headers.get("Idempotency-Key").has_value();
}

Result<std::string> request_head(const ClientRequest& request, const Endpoint& endpoint) {
  bool broken = has_line_break(request.method) || has_line_break(request.target) || request.target.find(' ') != std::string::npos;
  std::string out = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", request.method, request.target, endpoint.authority());
  if (!request.headers.get("User-Agent")) out += "User-Agent: trainyard\r\n";
  for (const auto& [name, value] : request.headers.fields()) {
    broken = broken || has_line_break(name) || has_line_break(value);
    out += fmt::format("{}: {}\r\n", name, value);
  }
  if (broken) return invalid_argument("net.request", "A request line or header field holds a line break or space: " + request.method);
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT" || request.method == "PATCH") {
    out += fmt::format("Content-Length: {}\r\n", request.body.size());
  }
  out += "\r\n";
  return out;
}

/// Blocking client over one non-blocking socket, so that every wait has a deadline.
class SocketHttpClient final : public HttpClient {
 public:
  /// `tls`: null for plain bytes.
  SocketHttpClient(Endpoint endpoint, internal::TlsContextPtr tls) : endpoint_(std::move(endpoint)), trust_(std::move(tls)) {}

  Result<Response> send(const ClientRequest& request) override { return exchange(request, nullptr); }
  Result<Response> stream(const ClientRequest& request, const OnBytes& on_bytes) override { return exchange(request, &on_bytes); }

 private:
  Result<Response> exchange(const ClientRequest& request, const OnBytes* on_bytes) {
    ASSIGN_OR_RETURN(const std::string head, request_head(request, endpoint_));
    deadline_ = std::chrono::steady_clock::now() + request.timeout;
    cancel_fd_ = request.cancel_fd;
    const bool reused = connection_is_usable();
    if (!reused) TRY(connect());
    Result<Response> result = attempt(request, head, on_bytes);
    if (!result.ok() && reused && !answer_began_ && result.error().id == "net.closed" && is_idempotent(request)) {
      // The server closed the idle connection while the request was on its way.
      TRY(connect());
      result = attempt(request, head, on_bytes);
    }
    if (!result.ok()) disconnect();
    return result;
  }

  void disconnect() {
    fd_.reset();
    tls_.reset();
  }

  Result<void> connect() {
    disconnect();
    input_.clear();
    ASSIGN_OR_RETURN(fd_, internal::connect_to(endpoint_, deadline_));
    if (trust_ == nullptr) return {};
    Result<void> shaken = shake_hands();
    if (!shaken.ok()) disconnect();
    return shaken;
  }

  Result<void> shake_hands() {
    tls_ = std::make_unique<internal::TlsSession>(trust_, endpoint_.host);
    tls_->start();
    while (!tls_->established()) {
      ASSIGN_OR_RETURN(const bool sent, transmit(tls_->take_output(), ""));
      if (!sent) return closed("while TLS was set up");
      ASSIGN_OR_RETURN(const bool more, receive());
      if (!more && !tls_->failure().empty()) return distrusted();
      if (!more) return closed("while TLS was set up");
    }
    ASSIGN_OR_RETURN(const bool sent, transmit(tls_->take_output(), ""));
    if (!sent) return closed("while TLS was set up");
    answer_began_ = false;
    return {};
  }

  Error distrusted() const {
    return unavailable("net.tls", fmt::format("No trusted connection with TLS can be made; check the address, and name the certificate "
                                              "authority of the server with --ca-file: {}: {}",
                                              endpoint_.authority(), tls_->failure()));
  }

  /// An idle connection has nothing to read; an end of file or stray bytes mean that the server gave it up.
  bool connection_is_usable() {
    if (!fd_.valid()) return false;
    if (tls_ == nullptr) {
      char byte = 0;
      return ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
    // What TLS itself has to say is not meant for us.
    while (take_bytes() == Taken::kBytes) continue;
    return input_.empty() && last_taken_ == Taken::kNothing;
  }

  Error closed(std::string_view what) const {
    return unavailable("net.closed", fmt::format("The connection ended {}; ask the server for the state, then try again: {}", what,
                                                 endpoint_.authority()));
  }

  Result<Response> attempt(const ClientRequest& request, const std::string& head, const OnBytes* on_bytes) {
    answer_began_ = false;
    ASSIGN_OR_RETURN(const bool all_sent, send_request(head, request.body));
    ASSIGN_OR_RETURN(const MessageHead answer, read_head(request));
    ASSIGN_OR_RETURN(Response response, read_body(request, answer, on_bytes));
    if (!all_sent || !internal::keeps_alive(answer) || !input_.empty()) disconnect();
    return response;
  }

  /// Returns false when the server answered before it had read everything: it refuses the rest.
  Result<bool> send_request(const std::string& head, const std::string& body) {
    if (tls_ == nullptr) return transmit(head, body);
    if (!tls_->send(head)) return false;
    for (std::size_t at = 0; at == 0 || at < body.size(); at += kPiece) {
      if (!tls_->send(std::string_view(body).substr(at, kPiece))) return false;
      ASSIGN_OR_RETURN(const bool sent, transmit(tls_->take_output(), ""));
      if (!sent) return false;
    }
    return true;
  }

  /// Puts bytes onto the wire; false as above.
  Result<bool> transmit(const std::string& head, const std::string& body) {
    std::size_t sent = 0;
    while (sent < head.size() + body.size()) {
      const std::size_t of_body = sent < head.size() ? 0 : sent - head.size();
      const std::size_t of_head = std::min(sent, head.size());
      std::array<iovec, 2> pieces{iovec{const_cast<char*>(head.data()) + of_head, head.size() - of_head},
                                  iovec{const_cast<char*>(body.data()) + of_body, body.size() - of_body}};
      msghdr message{};
      message.msg_iov = pieces.data();
      message.msg_iovlen = pieces.size();
      const ssize_t count = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count >= 0) {
        sent += static_cast<std::size_t>(count);
      } else if (errno == EAGAIN) {
        ASSIGN_OR_RETURN(const short events, internal::wait_for(fd_.get(), POLLIN | POLLOUT, deadline_, endpoint_, cancel_fd_));
        if ((events & POLLIN) != 0) return false;
      } else if (errno != EINTR) {
        return false;  // What the server said before it closed may still be there to read.
      }
    }
    return true;
  }

  enum class Taken { kBytes, kNothing, kEnd };
  /// Takes what is there without waiting and appends the plain bytes to `input_`.
  Taken take_bytes() {
    std::array<char, 65'536> buffer;
    const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count > 0 && tls_ == nullptr) {
      input_.append(buffer.data(), static_cast<std::size_t>(count));
      return last_taken_ = Taken::kBytes;
    }
    if (count > 0) {
      using State = internal::TlsSession::State;
      const std::size_t before = input_.size();
      const State state = tls_->receive({buffer.data(), static_cast<std::size_t>(count)}, &input_);
      return last_taken_ = state == State::kOpen || input_.size() > before ? Taken::kBytes : Taken::kEnd;
    }
    return last_taken_ = count < 0 && (errno == EAGAIN || errno == EINTR) ? Taken::kNothing : Taken::kEnd;
  }

  /// Waits until there is something new: plain bytes in `input_`, or a step of TLS. False at the end of the connection.
  Result<bool> receive() {
    while (true) {
      switch (take_bytes()) {
        case Taken::kBytes:
          answer_began_ = answer_began_ || !input_.empty();
          return true;
        case Taken::kEnd:
          return false;
        case Taken::kNothing:
          TRY(internal::wait_for(fd_.get(), POLLIN, deadline_, endpoint_, cancel_fd_));
      }
    }
  }

  Result<MessageHead> read_head(const ClientRequest& request) {
    HeadParser parser(HeadParser::Kind::kResponse, kHeadMax);
    while (true) {
      std::size_t used = 0;
      const HeadParser::Status status = parser.feed(input_, used);
      input_.erase(0, used);
      if (status == HeadParser::Status::kRefused) {
        return unavailable("net.malformed",
                           "The answer is not HTTP/1.1; is this the address of a Trainyard server? " + endpoint_.authority());
      }
      if (status == HeadParser::Status::kDone) {
        MessageHead head = parser.take();
        if (head.status >= 200) return head;
        continue;  // 100 Continue and its like announce the answer.
      }
      ASSIGN_OR_RETURN(const bool more, receive());
      if (!more) return closed("before an answer to " + request.method + " " + request.target.substr(0, request.target.find('?')));
    }
  }

  Result<Response> read_body(const ClientRequest& request, const MessageHead& head, const OnBytes* on_bytes) {
    Response response{head.status, head.headers, {}};
    if (request.method == "HEAD" || head.status == 204 || head.status == 304) return response;
    const internal::FramingResult framing = internal::framing_of(head);
    if (framing.refusal) return unavailable("net.malformed", framing.refusal->error.message);
    if (head.status != 200) on_bytes = nullptr;
    if (on_bytes != nullptr && request.on_head) request.on_head(response);

    BodyReader reader{framing.framing, ChunkedDecoder(kBodyMax)};
    while (true) {
      std::size_t used = 0;
      const ChunkedDecoder::Status status = reader.feed(input_, used, response.body);
      input_.erase(0, used);
      if (on_bytes != nullptr && !response.body.empty()) {
        const bool go_on = (*on_bytes)(response.body);
        response.body.clear();
        deadline_ = std::chrono::steady_clock::now() + request.timeout;
        if (!go_on) {
          if (status != ChunkedDecoder::Status::kDone) disconnect();
          return response;
        }
      }
      if (status == ChunkedDecoder::Status::kDone) return response;
      if (status != ChunkedDecoder::Status::kNeedMore)
        return unavailable("net.malformed", "The body of the answer is malformed or too large.");
      ASSIGN_OR_RETURN(const bool more, receive());
      if (!more && !reader.ends_with_connection()) return closed("in the middle of an answer");
      if (!more) {
        disconnect();
        return response;
      }
    }
  }

  /// Takes a body apart however it is framed.
  struct BodyReader {
    internal::Framing framing;
    ChunkedDecoder decoder;
    std::uint64_t taken = 0;

    bool ends_with_connection() const { return !framing.chunked && !framing.length_is_given; }

    ChunkedDecoder::Status feed(std::string_view bytes, std::size_t& used, std::string& body) {
      if (framing.chunked) return decoder.feed(bytes, used, body);
      const std::uint64_t limit = framing.length_is_given ? framing.length : kBodyMax;
      if (limit > kBodyMax) return ChunkedDecoder::Status::kTooLarge;
      used = static_cast<std::size_t>(std::min<std::uint64_t>(limit - taken, bytes.size()));
      body.append(bytes.substr(0, used));
      taken += used;
      if (taken < limit) return ChunkedDecoder::Status::kNeedMore;
      return framing.length_is_given ? ChunkedDecoder::Status::kDone : ChunkedDecoder::Status::kTooLarge;
    }
  };

  const Endpoint endpoint_;
  const internal::TlsContextPtr trust_;
  UniqueFd fd_;
  std::unique_ptr<internal::TlsSession> tls_;
  Taken last_taken_ = Taken::kNothing;
  std::string input_;  ///< Received and not used.
  SteadyPoint deadline_;
  int cancel_fd_ = -1;  ///< Of the exchange.
  bool answer_began_ = false;
};

}  // namespace

Result<std::unique_ptr<HttpClient>> make_http_client(std::string_view url, const ClientTls& tls) {
  ASSIGN_OR_RETURN(Endpoint endpoint, internal::parse_endpoint(url));
  internal::TlsContextPtr trust;
  if (endpoint.tls) {
    ASSIGN_OR_RETURN(trust, internal::TlsContext::for_client(tls.ca_file));
  }
  return std::unique_ptr<HttpClient>(std::make_unique<SocketHttpClient>(std::move(endpoint), std::move(trust)));
}

}  // namespace trainyard::net
