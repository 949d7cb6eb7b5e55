#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "net/http.h"
#include "net/http_client.h"

namespace trainyard::api {

struct ForwarderSettings {
  std::size_t in_flight_max = 256;            ///< Requests that are being forwarded, streams among them, and so threads; beyond it 503.
  std::size_t idle_connections_max = 16;      ///< Kept for the next request.
  std::chrono::milliseconds timeout{65'000};  ///< Of one exchange; for a stream the longest silence.
  net::ClientTls tls = {};                    ///< Whom to trust as the leader.
};

/// Hands requests to the process that leads the installation and its answers back, streams piece by piece. The caller's own credentials
/// travel with the request: the leader decides. Each request in flight has a thread, which stays for the next one. Thread-safe; the
/// destructor gives up what is in flight and waits for the threads.
class Forwarder {
 public:
  /// Where the leader serves the platform API, "http://host:port"; none: not known at the moment. Called on any thread.
  using Target = std::function<std::optional<std::string>()>;

  Forwarder(ForwarderSettings settings, Target target);
  ~Forwarder();
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  /// For Route::handler. Answers UNAVAILABLE "leader.unknown" or "leader.unreachable" (503 with Retry-After) when nobody leads or the
  /// leader cannot be reached, and "leader.busy" beyond `in_flight_max`.
  void forward(net::Request request, net::ResponderPtr responder);

 private:
  struct Connection {
    std::string url;
    std::unique_ptr<net::HttpClient> client;
  };

  struct Task {
    net::Request request;
    net::ResponderPtr responder;
  };

  void work();
  void carry(const net::Request& request, const net::ResponderPtr& responder);
  bool is_stopping();
  /// Blocks while the client reads more slowly than the leader sends, so that the leader waits too. False when that takes too long.
  bool wait_for_room(net::ResponseStream& stream);
  Result<Connection> take_connection(const std::string& url);
  void give_back(Connection connection);

  const ForwarderSettings settings_;
  const Target target_;
  const UniqueFd cancel_;  ///< Readable at the end.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;             // guarded by mutex_; at most as many as there are threads
  std::size_t in_flight_ = 0;          // guarded by mutex_; queued or carried
  bool stopping_ = false;              // guarded by mutex_
  std::vector<Connection> idle_;       // guarded by mutex_
  std::vector<std::jthread> threads_;  // guarded by mutex_; last: they use the rest
};

/// The header fields of a message that are for the next hop to keep: none that concern one connection only.
net::Headers end_to_end(const net::Headers& headers);

}  // namespace trainyard::api
