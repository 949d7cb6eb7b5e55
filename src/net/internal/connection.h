#pragma once
#include "net/internal/server_core.h"

namespace boost::asio {
class io_context;
}  // namespace boost::asio

namespace trainyard::net::internal {

/// One client of a server. The methods may be called from any thread while the event loop lives; they take effect on its threads.
class Connection {
 public:
  virtual ~Connection() = default;
  /// Serves requests until the client or an error ends it.
  virtual void start() = 0;
  /// The same when there is no room left: serves what is reserved, and answers 503 to everything else and closes.
  virtual void start_reserved() = 0;
  /// Closes as soon as the running request is answered; an idle connection at once.
  virtual void begin_stop() = 0;
  virtual void close() = 0;
};

/// Takes over `fd`, a connected non-blocking socket. Null when the event loop cannot take it.
ConnectionPtr make_connection(ServerCore& core, boost::asio::io_context& loop, int fd, std::uint64_t number);

}  // namespace trainyard::net::internal
