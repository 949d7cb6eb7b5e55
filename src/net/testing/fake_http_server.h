#pragma once
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "net/http_server.h"
#include "net/testing/router_client.h"

namespace trainyard::net::testing {

/// An HttpServer without sockets: the clients that `connect` makes are its only callers. Thread-safe.
class FakeHttpServer final : public HttpServer {
 public:
  explicit FakeHttpServer(const Router& router) : router_(router) {}
  ~FakeHttpServer() override { stop(std::chrono::milliseconds(0)); }

  /// A client of this server; the server outlives it.
  std::unique_ptr<HttpClient> connect() { return std::make_unique<Client>(*this); }

  std::uint16_t port() const override { return port_; }
  void stop(std::chrono::milliseconds grace) override {
    std::unique_lock lock(mutex_);
    running_ = false;
    changed_.wait_for(lock, grace, [this] { return counters_.connections_open == 0; });
  }
  Result<void> reload_certificate() override { return failed_precondition("net.no_tls", "A server without sockets has no certificate."); }
  HttpServerCounters counters() const override {
    const std::lock_guard lock(mutex_);
    return counters_;
  }

 private:
  class Client final : public HttpClient {
   public:
    explicit Client(FakeHttpServer& server) : server_(server), calls_(server.router_) {}
    Result<Response> send(const ClientRequest& request) override {
      return server_.during_call([&] { return calls_.send(request); });
    }
    Result<Response> stream(const ClientRequest& request, const std::function<bool(std::string_view)>& on_bytes) override {
      return server_.during_call([&] { return calls_.stream(request, on_bytes); });
    }

   private:
    FakeHttpServer& server_;
    RouterClient calls_;
  };

  template <typename Call>
  Result<Response> during_call(Call call) {
    {
      const std::lock_guard lock(mutex_);
      if (!running_) return unavailable("net.connect", "Cannot connect; the server has stopped.");
      ++counters_.requests;
      ++counters_.connections_open;
    }
    Result<Response> response = call();
    {
      const std::lock_guard lock(mutex_);
      --counters_.connections_open;
    }
    changed_.notify_all();
    return response;
  }

  static std::uint16_t next_port() {
    static std::atomic<std::uint16_t> last{1};
    return ++last;
  }

  const Router& router_;
  const std::uint16_t port_ = next_port();
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool running_ = true;          // guarded by mutex_
  HttpServerCounters counters_;  // guarded by mutex_
};

}  // namespace trainyard::net::testing
