#include "net/internal/wire.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstring>

namespace trainyard::net::internal {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t kPiece = 262'144;     ///< Plain bytes that are encrypted at once: bounds the copy of a large body.
constexpr std::size_t kUnsentMax = 65'536;  ///< Of answers of the TLS layer itself: beyond it the other end asks without reading.

}  // namespace

std::string Wire::peer() const {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  auto* const generic = static_cast<sockaddr*>(static_cast<void*>(&address));
  if (::getpeername(const_cast<Socket&>(socket_).native_handle(), generic, &length) != 0) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  std::memcpy(&v4, &address, sizeof v4);
  std::memcpy(&v6, &address, sizeof v6);
  const bool is_v6 = address.ss_family == AF_INET6;
  const void* const number = is_v6 ? static_cast<const void*>(&v6.sin6_addr) : &v4.sin_addr;
  return ::inet_ntop(address.ss_family, number, text.data(), text.size()) == nullptr ? std::string() : text.data();
}

void Wire::wait_readable(Done done) {
  socket_.async_wait(Socket::wait_read, [done = std::move(done)](error_code failure) { done(static_cast<bool>(failure)); });
}

Wire::Read Wire::read(std::string& plain) {
  static thread_local std::array<char, 65'536> scratch;
  const ssize_t count = ::recv(socket_.native_handle(), scratch.data(), scratch.size(), MSG_DONTWAIT);
  if (count < 0) return errno == EAGAIN || errno == EINTR ? Read::kNothing : Read::kFailed;
  if (count == 0) return Read::kEnd;
  const std::string_view bytes(scratch.data(), static_cast<std::size_t>(count));
  if (tls_) return receive_secure(bytes, plain);
  plain.append(bytes);
  return Read::kBytes;
}

Wire::Read Wire::receive_secure(std::string_view bytes, std::string& plain) {
  const std::size_t before = plain.size();
  const TlsSession::State state = tls_->receive(bytes, &plain);
  // Also what tells the other end why it is refused.
  const bool flushed = flush_output();
  if (state == TlsSession::State::kFailed || !flushed) return Read::kFailed;
  if (plain.size() > before) return Read::kBytes;
  return state == TlsSession::State::kEnded ? Read::kEnd : Read::kNothing;
}

/// Sends what the TLS layer itself has to say: handshakes and alerts, a few kilobytes. A client that leaves no room for them is not waited
/// for. During a write they wait for its next piece.
bool Wire::flush_output() {
  if (writing_) return tls_->output_size() <= kUnsentMax;
  const std::string output = tls_->take_output();
  if (output.empty()) return true;
  return ::send(socket_.native_handle(), output.data(), output.size(), MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(output.size());
}

void Wire::write(std::string_view head, std::string_view body, Done done) {
  writing_ = true;
  done_ = std::move(done);
  head_ = head;
  body_ = body;
  if (tls_) return write_piece();
  const std::array<asio::const_buffer, 2> buffers{asio::buffer(head), asio::buffer(body)};
  asio::async_write(socket_, buffers, [this, done = std::move(done_)](error_code failure, std::size_t) {
    writing_ = false;
    done(static_cast<bool>(failure));
  });
}

void Wire::write_piece() {
  std::string_view& source = head_.empty() ? body_ : head_;
  const std::string_view piece = source.substr(0, kPiece);
  source.remove_prefix(piece.size());
  const bool good = tls_->send(piece);
  // A small head and a small body go out together.
  const bool both = good && head_.empty() && piece.size() + body_.size() <= kPiece && tls_->send(body_);
  if (both) body_ = {};
  encrypted_ = tls_->take_output();
  asio::async_write(socket_, asio::buffer(encrypted_), [this, good, done = done_](error_code failure, std::size_t) {
    if (!failure && good && !(head_.empty() && body_.empty())) return write_piece();
    writing_ = false;
    done_ = nullptr;
    encrypted_ = {};
    done(failure || !good);
  });
}

void Wire::end_sending() {
  if (tls_ && !writing_) {
    tls_->close();
    flush_output();
  }
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Wire::close() {
  if (tls_ && !writing_) {
    tls_->close();
    flush_output();
  }
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace trainyard::net::internal
