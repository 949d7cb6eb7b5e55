#include "client/sse_parser.h"

namespace trainyard::client {

bool SseParser::feed(std::string_view bytes) {
  pending_ += bytes;
  std::size_t start = 0;
  for (std::size_t end = pending_.find('\n', start); end != std::string::npos; end = pending_.find('\n', start)) {
    std::string_view line = std::string_view(pending_).substr(start, end - start);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    start = end + 1;
    if (!take_line(line)) return false;
  }
  pending_.erase(0, start);
  return true;
}

bool SseParser::take_line(std::string_view line) {
  if (line.empty()) {
    const bool go_on = !has_data_ || on_event_(id_, event_, data_);
    event_.clear();
    data_.clear();
    has_data_ = false;
    return go_on;
  }
  if (line.front() == ':') return true;
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  if (field == "id") id_ = value;
  if (field == "event") event_ = value;
  if (field == "data") {
    if (has_data_) data_ += '\n';
    data_ += value;
    has_data_ = true;
  }
  return true;
}

}  // namespace trainyard::client
