#include "net/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <cerrno>
#include <thread>

#include "net/bind_rule.h"
#include "net/internal/connection.h"
#include "net/internal/socket.h"

namespace trainyard::net {
namespace internal {

ServerCore::ServerCore(const HttpServerSettings& wanted, const Router& routes) : settings(wanted), router(routes) {
  rules.head_max = settings.header_max;
  rules.callers.any_ip_literal = !is_loopback_name(settings.host);
  rules.callers.origins = settings.allowed_origins;
  rules.callers.hosts.push_back(host_name_of(settings.host));
  for (const std::string& host : settings.allowed_hosts) rules.callers.hosts.push_back(host_name_of(host));
}

void ServerCore::add(std::uint64_t number, const ConnectionPtr& connection) {
  const std::lock_guard lock(mutex_);
  connections_.emplace(number, connection);
}

void ServerCore::remove(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  connections_.erase(number);
  if (connections_.empty()) emptied_.notify_all();
}

std::size_t ServerCore::connection_count() const {
  const std::lock_guard lock(mutex_);
  return connections_.size();
}

std::vector<ConnectionPtr> ServerCore::all_connections() const {
  const std::lock_guard lock(mutex_);
  std::vector<ConnectionPtr> all;
  for (const auto& [number, weak] : connections_) {
    if (ConnectionPtr connection = weak.lock()) all.push_back(std::move(connection));
  }
  return all;
}

TlsContextPtr ServerCore::tls() const {
  const std::lock_guard lock(mutex_);
  return tls_;
}

void ServerCore::set_tls(TlsContextPtr context) {
  const std::lock_guard lock(mutex_);
  tls_ = std::move(context);
}

bool ServerCore::wait_until_empty(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return emptied_.wait_until(lock, deadline, [this] { return connections_.empty(); });
}

}  // namespace internal

namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;
using Strand = asio::strand<asio::io_context::executor_type>;
using Listener = asio::posix::basic_stream_descriptor<Strand>;
using Timer = asio::basic_waitable_timer<SteadyClock, asio::wait_traits<SteadyClock>, Strand>;

constexpr std::size_t kReservedMax = 64;                ///< Connections beyond the cap, for what is reserved; others are just closed.
constexpr int kAcceptBatch = 64;                        ///< Accepts in a row, so that a flood does not starve the connections.
constexpr std::chrono::milliseconds kAcceptPause{100};  ///< After running out of file descriptors.
constexpr std::chrono::seconds kCloseWait{2};           ///< For connections to notice that they were closed.

class AsioServer final : public HttpServer {
 public:
  AsioServer(const HttpServerSettings& settings, const Router& router, std::uint16_t port)
      : core_(settings, router),
        port_(port),
        loop_(settings.threads),
        listener_(asio::make_strand(loop_)),
        pause_(listener_.get_executor()) {}
  AsioServer(const AsioServer&) = delete;
  AsioServer& operator=(const AsioServer&) = delete;
  ~AsioServer() override { stop(std::chrono::milliseconds(0)); }

  Result<void> start(UniqueFd listening, internal::TlsContextPtr tls) {
    core_.set_tls(std::move(tls));
    error_code failure;
    listener_.assign(listening.release(), failure);
    if (failure) return unavailable("net.listen", "The listening socket cannot be watched: " + failure.message());
    wait_for_client();
    for (int i = 0; i < core_.settings.threads; ++i) threads_.emplace_back([this] { run_loop(); });
    return {};
  }

  std::uint16_t port() const override { return port_; }

  void stop(std::chrono::milliseconds grace) override {
    if (threads_.empty() || std::exchange(stopped_, true)) return;
    asio::post(listener_.get_executor(), [this] {
      accepting_ = false;
      error_code ignored;
      pause_.cancel(ignored);
      listener_.close(ignored);
      // Only now is the set of connections complete.
      for (const internal::ConnectionPtr& connection : core_.all_connections()) connection->begin_stop();
      drained_of_accepts_.store(true);
      drained_of_accepts_.notify_all();
    });
    drained_of_accepts_.wait(false);
    core_.wait_until_empty(SteadyClock::now() + grace);
    for (const internal::ConnectionPtr& connection : core_.all_connections()) connection->close();
    core_.wait_until_empty(SteadyClock::now() + kCloseWait);
    {
      const std::unique_lock lock(core_.gate->mutex);
      core_.gate->open = false;
    }
    work_.reset();
    loop_.stop();
    for (std::thread& thread : threads_) thread.join();
  }

  Result<void> reload_certificate() override {
    const HttpServerSettings& settings = core_.settings;
    if (settings.certificate_file.empty()) return failed_precondition("net.no_tls", "This server has no certificate to read again.");
    ASSIGN_OR_RETURN(internal::TlsContextPtr fresh, internal::TlsContext::for_server(settings.certificate_file, settings.key_file));
    core_.set_tls(std::move(fresh));
    return {};
  }

  HttpServerCounters counters() const override {
    return {.requests = core_.requests,
            .requests_refused = core_.requests_refused,
            .connections_refused = core_.connections_refused,
            .handler_exceptions = core_.handler_exceptions,
            .connections_open = core_.connection_count(),
            .streams_open = core_.streams_open};
  }

 private:
  void run_loop() {
    while (!loop_.stopped()) {
      try {
        loop_.run();
      } catch (...) {
        // Thrown by a callback that a handler left with a stream: it must not end the other connections.
        ++core_.handler_exceptions;
      }
    }
  }

  void wait_for_client() {
    listener_.async_wait(Listener::wait_read, [this](error_code failure) {
      if (!failure && accepting_) accept_clients();
    });
  }

  void accept_clients() {
    for (int i = 0; i < kAcceptBatch; ++i) {
      const int fd = ::accept4(listener_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0) {
        take_client(fd);
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        return pause_accepting();
      } else if (errno == EAGAIN) {
        break;
      }
    }
    wait_for_client();
  }

  void pause_accepting() {
    pause_.expires_after(kAcceptPause);
    pause_.async_wait([this](error_code failure) {
      if (!failure && accepting_) wait_for_client();
    });
  }

  void take_client(int fd) {
    const std::size_t open = core_.connection_count();
    const bool too_many = open >= core_.settings.connections_max;
    if (too_many) ++core_.connections_refused;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const bool silent = open >= core_.settings.connections_max + kReservedMax;
    const internal::ConnectionPtr connection = silent ? nullptr : internal::make_connection(core_, loop_, fd, ++last_connection_);
    if (connection == nullptr) {
      ::close(fd);
      return;
    }
    core_.add(last_connection_, connection);
    if (too_many) {
      connection->start_reserved();
    } else {
      connection->start();
    }
  }

  internal::ServerCore core_;
  const std::uint16_t port_;
  asio::io_context loop_;
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(loop_);
  Listener listener_;
  Timer pause_;
  bool accepting_ = true;              // on the listener's strand
  std::uint64_t last_connection_ = 0;  // on the listener's strand
  std::atomic<bool> drained_of_accepts_{false};
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> make_http_server(const HttpServerSettings& settings, const Router& router) {
  if (settings.threads < 1 || settings.threads > 16) {
    return invalid_argument("net.threads", "An HTTP server runs on 1 to 16 threads; got " + std::to_string(settings.threads));
  }
  const bool secure = !settings.certificate_file.empty();
  TRY(check_bind({.host = settings.host, .tls = secure, .insecure_public = settings.insecure_public}));
  internal::TlsContextPtr tls;
  if (secure) {
    ASSIGN_OR_RETURN(tls, internal::TlsContext::for_server(settings.certificate_file, settings.key_file));
  }
  ASSIGN_OR_RETURN(UniqueFd listening, internal::listen_on(settings.host, settings.port));
  ASSIGN_OR_RETURN(const std::uint16_t port, internal::local_port(listening.get()));
  auto server = std::make_unique<AsioServer>(settings, router, port);
  TRY(server->start(std::move(listening), std::move(tls)));
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace trainyard::net
