#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "net/http.h"

namespace trainyard::net {

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";  ///< Path and query, already encoded.
  Headers headers = {};
  std::string body = {};
  std::chrono::milliseconds timeout{30'000};  ///< For the whole exchange; for a stream the longest silence.
  /// For a stream: told of status and header fields (and an empty body) before the first piece of the body. May be empty.
  std::function<void(const Response&)> on_head = {};
  /// A descriptor, say of eventfd(2): once it is readable the exchange ends with UNAVAILABLE "net.cancelled". -1: none.
  int cancel_fd = -1;
};

/// A blocking HTTP/1.1 client to one origin with a kept-alive connection. One call at a time per object. A connection that the server
/// closed while idle is reopened once. Errors: UNAVAILABLE "net.connect" or "net.closed", DEADLINE_EXCEEDED "net.timeout",
/// INVALID_ARGUMENT "net.url".
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  /// Any status is a value: only transport failures are errors.
  virtual Result<Response> send(const ClientRequest& request) = 0;
  /// Delivers body pieces as they come until the end or until `on_bytes` returns false. A status other than 200 comes back with its
  /// whole body and no call.
  virtual Result<Response> stream(const ClientRequest& request, const std::function<bool(std::string_view)>& on_bytes) = 0;
};

/// Whom a client trusts.
struct ClientTls {
  std::string ca_file = {};  ///< Certificates as PEM; empty: those that the machine trusts.
};

/// `url` is "http://host:port" or "https://host:port". With TLS the certificate of the server must be trusted and name the host; else every
/// call fails with UNAVAILABLE "net.tls". Errors: also INVALID_ARGUMENT "net.certificate".
Result<std::unique_ptr<HttpClient>> make_http_client(std::string_view url, const ClientTls& tls = {});

}  // namespace trainyard::net
