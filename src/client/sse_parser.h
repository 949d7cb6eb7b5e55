#pragma once
#include <functional>
#include <string>
#include <string_view>

namespace trainyard::client {

/// Splits a Server-Sent Events body into events (WHATWG HTML, section "Server-sent events"), fed in pieces of any size.
class SseParser {
 public:
  using OnEvent = std::function<bool(const std::string& id, const std::string& event, const std::string& data)>;

  explicit SseParser(OnEvent on_event) : on_event_(std::move(on_event)) {}

  /// False when the receiver wants no more.
  bool feed(std::string_view bytes);
  const std::string& last_id() const { return id_; }

 private:
  bool take_line(std::string_view line);

  OnEvent on_event_;
  std::string pending_;
  std::string id_;
  std::string event_;
  std::string data_;
  bool has_data_ = false;
};

}  // namespace trainyard::client
