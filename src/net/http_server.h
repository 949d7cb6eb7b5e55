#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/router.h"

namespace trainyard::net {

struct HttpServerSettings {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free port.
  int threads = 1;
  std::size_t header_max = 16'384;                    ///< Bytes.
  std::size_t connections_max = 1'024;                ///< Beyond it new connections get what is reserved and else 503; 64 more at most.
  std::chrono::milliseconds header_timeout{10'000};   ///< From the first byte of a head (or the accept) to its end.
  std::chrono::milliseconds request_timeout{60'000};  ///< For reading a body, for the handler and for writing the answer, each; reading and
                                                      ///< writing get a second more for each MiB.
  std::chrono::milliseconds idle_timeout{60'000};     ///< A kept-alive connection without a request is closed after it.
  std::chrono::milliseconds heartbeat{15'000};        ///< Silence after which an event stream gets a comment.
  std::size_t streams_max = 256;                      ///< Open streaming answers; beyond it 503.
  /// Names in `Host` beyond the loopback names and `host`, without port. A server bound to another address than loopback also takes
  /// any IP literal: a browser that was lured by DNS rebinding sends a name.
  std::vector<std::string> allowed_hosts = {};
  std::vector<std::string> allowed_origins = {};  ///< "https://ui.example.org": may call besides the server's own origin.
  /// PEM files: the certificate with its chain, and its key. With them the server speaks TLS 1.3 and nothing else.
  std::string certificate_file = {};
  std::string key_file = {};
  bool insecure_public = false;  ///< Whether it may listen on a public address without TLS: see check_bind.
};

/// What a server has done so far and holds now.
struct HttpServerCounters {
  std::uint64_t requests = 0;             ///< Handed to the router.
  std::uint64_t requests_refused = 0;     ///< Malformed, too large, too slow or from a foreign origin: no handler saw them.
  std::uint64_t connections_refused = 0;  ///< Beyond `connections_max`.
  std::uint64_t handler_exceptions = 0;
  std::size_t connections_open = 0;
  std::size_t streams_open = 0;
};

/// An HTTP/1.1 server with keep-alive and pipelining. Started by make; stops and joins in the destructor.
class HttpServer {
 public:
  virtual ~HttpServer() = default;
  virtual std::uint16_t port() const = 0;
  /// Stops accepting and closes idle connections and streams; running requests get until `grace` ends. Blocks until that is done; not to
  /// be called from a handler.
  virtual void stop(std::chrono::milliseconds grace) = 0;
  /// Thread-safe.
  virtual HttpServerCounters counters() const = 0;
  /// Reads the files of the certificate again, for new connections; those that are open keep theirs. After an error the old one stays.
  /// Thread-safe; blocks. Errors: INVALID_ARGUMENT "net.certificate", FAILED_PRECONDITION "net.no_tls".
  virtual Result<void> reload_certificate() = 0;
};

/// Errors: UNAVAILABLE "net.port_taken" naming host and port, INVALID_ARGUMENT "net.address", "net.certificate", and "net.insecure_public"
/// for a public address without TLS. `router` outlives the server.
Result<std::unique_ptr<HttpServer>> make_http_server(const HttpServerSettings& settings, const Router& router);

}  // namespace trainyard::net
