#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_st SSL;

namespace trainyard::net::internal {

/// Certificates and rules of TLS 1.3, the only version spoken here. Immutable; connections keep the one they began with.
class TlsContext {
 public:
  using Ptr = std::shared_ptr<const TlsContext>;  // shared: outlives a change of the certificate as long as a connection uses it

  /// For a server: a PEM file with the certificate and its chain, and one with the key. Errors: INVALID_ARGUMENT "net.certificate" naming
  /// the file.
  static Result<Ptr> for_server(const std::string& certificate_file, const std::string& key_file);
  /// For a client: whom to trust, as a PEM file; empty: whom the machine trusts. Errors: as for_server.
  static Result<Ptr> for_client(const std::string& ca_file);

  explicit TlsContext(SSL_CTX* context) : context_(context) {}
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  SSL_CTX* get() const { return context_; }

 private:
  SSL_CTX* const context_;
};
using TlsContextPtr = TlsContext::Ptr;

/// One end of a connection, between plain bytes and the bytes on the wire; knows no sockets. What has to be sent gathers in `output`.
class TlsSession {
 public:
  /// The server's end.
  explicit TlsSession(TlsContextPtr context);
  /// The client's end: `host`, a name or an address, must be in the certificate of the server.
  TlsSession(TlsContextPtr context, const std::string& host);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  enum class State { kOpen, kEnded, kFailed };
  /// Begins the handshake; only the client speaks unasked.
  State start() { return receive({}, nullptr); }
  /// Takes bytes from the wire and appends what they hold to `plain`. kEnded: the other end has said that it sends no more.
  State receive(std::string_view wire, std::string* plain);
  bool established() const;
  /// Puts `plain` into the output. Only once established. False when that fails.
  bool send(std::string_view plain);
  /// Puts the end of what this end sends into the output.
  void close();
  /// What has to go onto the wire, in order.
  std::string take_output();
  std::size_t output_size() const;
  /// Why the state is kFailed.
  const std::string& failure() const { return failure_; }

 private:
  void make(bool server);
  State fail(int result);

  TlsContextPtr context_;
  SSL* session_ = nullptr;
  std::string failure_;
};

}  // namespace trainyard::net::internal
