#pragma once
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trainyard::client {

struct SseEvent {
  std::string id;     ///< The last id that the stream gave, this event's or an earlier one's.
  std::string event;  ///< "message" when the stream names none.
  std::string data;   ///< Lines joined by '\n'.
};

/// Takes a text/event-stream apart (WHATWG HTML, section 9.2.6) from pieces of any size. One event holds at most 16 MiB.
class SseParser {
 public:
  /// Gives every event that is complete to `on_event` until that returns false. Returns false then. Errors: RESOURCE_EXHAUSTED
  /// "sse.too_large".
  Result<bool> feed(std::string_view bytes, const std::function<bool(const SseEvent&)>& on_event);

  /// What a new connection sends as Last-Event-ID; empty when there was none.
  const std::string& last_id() const { return last_id_; }
  void set_last_id(std::string id) { last_id_ = std::move(id); }
  /// What the server wants clients to wait before they connect again.
  std::optional<std::chrono::milliseconds> retry() const { return retry_; }
  /// Forgets the unfinished event: a new connection begins. The last id stays.
  void begin_connection();

 private:
  void take_line(std::string_view line);
  std::optional<SseEvent> finish_event();

  std::string line_;
  std::string event_;
  std::string data_;
  std::string id_buffer_;
  std::string last_id_;
  std::optional<std::chrono::milliseconds> retry_;
  bool after_return_ = false;  ///< The last byte was CR: a following LF belongs to it.
  bool first_line_ = true;
};

}  // namespace trainyard::client
