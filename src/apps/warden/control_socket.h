#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "apps/warden/event_loop.h"
#include "exec/warden_protocol.h"

namespace trainyard::warden {

using ConnectionId = Id<struct ConnectionTag>;

/// The Unix socket `run/warden.sock` (mode 0600): frames in, frames out. Only processes of the same user get in. A peer that does not
/// read until 8 MiB wait for it is cut off: it comes back and asks for the whole state.
class ControlSocket {
 public:
  struct Callbacks {
    std::function<void(ConnectionId, const Document&)> on_message;
    std::function<void(ConnectionId)> on_closed;
  };

  /// Replaces a socket file that is there: the caller holds the lock of the directory.
  static Result<std::unique_ptr<ControlSocket>> make(const std::string& directory, EventLoop& loop, Callbacks callbacks);
  /// Removes the socket file.
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  /// A connection that is gone is no error.
  void send(ConnectionId connection, const Document& message) { send_frames(connection, exec::encode_frame(message)); }
  /// Encoded frames, one after the other.
  void send_frames(ConnectionId connection, std::string_view frames);
  std::size_t connection_count() const { return connections_.size(); }

 private:
  struct Connection {
    UniqueFd fd;
    WatchId watch;
    exec::FrameDecoder decoder;
    std::string waiting;  ///< Bytes the peer has not taken yet.
    bool writes = false;  ///< The watch waits for room to write.
  };

  ControlSocket(EventLoop& loop, Callbacks callbacks, UniqueFd directory)
      : loop_(loop), callbacks_(std::move(callbacks)), directory_(std::move(directory)) {}
  Result<void> listen();
  void accept_one();
  void on_ready(ConnectionId id, std::uint32_t events);
  bool read_messages(ConnectionId id);
  bool write_waiting(ConnectionId id);
  void close(ConnectionId id);

  EventLoop& loop_;
  Callbacks callbacks_;
  UniqueFd directory_;
  UniqueFd listener_;
  WatchId listener_watch_;
  std::map<ConnectionId, Connection> connections_;
  std::uint64_t last_connection_ = 0;
};

}  // namespace trainyard::warden
