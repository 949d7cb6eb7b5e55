#pragma once
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "net/internal/tls.h"

namespace trainyard::net::internal {

/// A client's socket, with TLS around it or without. Everything runs on the socket's strand; at most one write and one wait are pending.
/// The callbacks keep whoever owns the wire alive.
class Wire {
 public:
  using Strand = boost::asio::strand<boost::asio::io_context::executor_type>;
  using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Strand>;
  using Done = std::function<void(bool failed)>;

  /// `tls`: null for plain bytes.
  Wire(Socket socket, std::unique_ptr<TlsSession> tls) : socket_(std::move(socket)), tls_(std::move(tls)) {}
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  Strand executor() { return socket_.get_executor(); }
  bool secure() const { return tls_ != nullptr; }
  /// The numeric address of the other end; empty when it is gone.
  std::string peer() const;

  void wait_readable(Done done);
  /// kNothing: nothing for the reader, wait again.
  enum class Read { kBytes, kNothing, kEnd, kFailed };
  /// Appends what has come to `plain`.
  Read read(std::string& plain);
  /// Sends both, which must stay until `done`.
  void write(std::string_view head, std::string_view body, Done done);
  /// Says that nothing more will be sent.
  void end_sending();
  void close();

 private:
  Read receive_secure(std::string_view bytes, std::string& plain);
  bool flush_output();
  void write_piece();

  Socket socket_;
  const std::unique_ptr<TlsSession> tls_;
  bool writing_ = false;
  // Of a write through TLS: what is left of it.
  std::string_view head_;
  std::string_view body_;
  std::string encrypted_;
  Done done_;
};

}  // namespace trainyard::net::internal
