#include "apps/warden/control_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace trainyard::warden {
namespace {

constexpr const char* kSocketName = "warden.sock";
constexpr int kBacklog = 16;
constexpr std::size_t kConnectionsMax = 64;
constexpr std::size_t kWaitingMax = std::size_t{8} << 20;

/// The path goes through the directory's descriptor, since socket addresses hold 107 bytes and data directories may be deeper.
sockaddr_un address_in(int directory) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", directory, kSocketName);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

bool same_user(int fd) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::geteuid() || peer.uid == 0;
}

}  // namespace

Result<std::unique_ptr<ControlSocket>> ControlSocket::make(const std::string& directory, EventLoop& loop, Callbacks callbacks) {
  ASSIGN_OR_RETURN(UniqueFd handle, open_file(directory, O_RDONLY | O_DIRECTORY));
  std::unique_ptr<ControlSocket> socket(new ControlSocket(loop, std::move(callbacks), std::move(handle)));
  TRY(socket->listen());
  return socket;
}

Result<void> ControlSocket::listen() {
  ::unlinkat(directory_.get(), kSocketName, 0);
  listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener_.valid()) return system_error(errno, "socket", kSocketName);
  const sockaddr_un address = address_in(directory_.get());
  const mode_t mask = ::umask(0177);
  const int bound = ::bind(listener_.get(), static_cast<const sockaddr*>(static_cast<const void*>(&address)), sizeof(address));
  const int bind_error = errno;
  ::umask(mask);
  if (bound != 0) return system_error(bind_error, "bind", address.sun_path);
  if (::listen(listener_.get(), kBacklog) != 0) return system_error(errno, "listen", address.sun_path);
  ASSIGN_OR_RETURN(listener_watch_, loop_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept_one(); }));
  return {};
}

ControlSocket::~ControlSocket() {
  loop_.unwatch(listener_watch_);
  for (const auto& [id, connection] : connections_) loop_.unwatch(connection.watch);
  if (listener_.valid()) ::unlinkat(directory_.get(), kSocketName, 0);
}

void ControlSocket::accept_one() {
  UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid() || connections_.size() >= kConnectionsMax || !same_user(fd.get())) return;
  const ConnectionId id(++last_connection_);
  Result<WatchId> watch = loop_.watch(fd.get(), EPOLLIN, [this, id](std::uint32_t events) { on_ready(id, events); });
  if (!watch.ok()) return;
  connections_.emplace(id, Connection{std::move(fd), *watch, {}, {}, false});
}

void ControlSocket::on_ready(ConnectionId id, std::uint32_t events) {
  if ((events & EPOLLOUT) != 0 && !write_waiting(id)) return close(id);
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !read_messages(id)) close(id);
}

bool ControlSocket::read_messages(ConnectionId id) {
  std::array<char, 64 * 1024> buffer;
  Connection& connection = connections_.at(id);
  const ssize_t got = ::read(connection.fd.get(), buffer.data(), buffer.size());
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  connection.decoder.feed(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
  for (;;) {
    // A handler may send, and sending may close the connection.
    const auto found = connections_.find(id);
    if (found == connections_.end()) return true;
    const Result<std::optional<Document>> message = found->second.decoder.next();
    if (!message.ok()) return false;
    if (!message->has_value()) return true;
    callbacks_.on_message(id, **message);
  }
}

void ControlSocket::send_frames(ConnectionId id, std::string_view frames) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  found->second.waiting += frames;
  if (!write_waiting(id)) close(id);
}

bool ControlSocket::write_waiting(ConnectionId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return true;
  Connection& connection = found->second;
  std::size_t written = 0;
  while (written < connection.waiting.size()) {
    const ssize_t put = ::send(connection.fd.get(), connection.waiting.data() + written, connection.waiting.size() - written, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno != EAGAIN) return false;
    if (put < 0) break;
    written += static_cast<std::size_t>(put);
  }
  connection.waiting.erase(0, written);
  if (connection.waiting.size() > kWaitingMax) return false;
  const bool writes = !connection.waiting.empty();
  if (std::exchange(connection.writes, writes) != writes) loop_.change(connection.watch, writes ? EPOLLIN | EPOLLOUT : EPOLLIN);
  return true;
}

void ControlSocket::close(ConnectionId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  loop_.unwatch(found->second.watch);
  connections_.erase(found);
  callbacks_.on_closed(id);
}

}  // namespace trainyard::warden
