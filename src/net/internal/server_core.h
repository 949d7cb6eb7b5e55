#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "net/http_server.h"
#include "net/internal/request_reader.h"
#include "net/internal/tls.h"

namespace trainyard::net::internal {

class Connection;
using ConnectionPtr = std::shared_ptr<Connection>;  // shared: each pending operation keeps its connection

/// Closed before the event loop goes away: afterwards the wakers of surviving responders do nothing.
struct Gate {
  std::shared_mutex mutex;
  bool open = true;  // guarded by mutex
};
using GatePtr = std::shared_ptr<Gate>;  // shared: responders may outlive the server

/// What the connections of one server share. Outlives them and the event loop.
struct ServerCore {
  ServerCore(const HttpServerSettings& wanted, const Router& routes);

  void add(std::uint64_t number, const ConnectionPtr& connection);
  void remove(std::uint64_t number);
  std::size_t connection_count() const;
  std::vector<ConnectionPtr> all_connections() const;
  /// Null without TLS.
  TlsContextPtr tls() const;
  void set_tls(TlsContextPtr context);
  /// False when some are still there at the deadline.
  bool wait_until_empty(std::chrono::steady_clock::time_point deadline);

  const HttpServerSettings settings;
  const Router& router;
  RequestRules rules;
  RequestIds ids;
  GatePtr gate = std::make_shared<Gate>();
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> requests_refused{0};
  std::atomic<std::uint64_t> connections_refused{0};
  std::atomic<std::uint64_t> handler_exceptions{0};
  std::atomic<std::size_t> streams_open{0};

 private:
  mutable std::mutex mutex_;
  TlsContextPtr tls_;  // guarded by mutex_
  std::condition_variable emptied_;
  std::map<std::uint64_t, std::weak_ptr<Connection>> connections_;  // guarded by mutex_
};

}  // namespace trainyard::net::internal
