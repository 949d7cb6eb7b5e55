#include "client/sse_parser.h"

#include <algorithm>
#include <charconv>

namespace trainyard::client {
namespace {

constexpr std::size_t kEventMax = std::size_t{16} << 20;

}  // namespace

void SseParser::begin_connection() {
  line_.clear();
  event_.clear();
  data_.clear();
  id_buffer_ = last_id_;
  after_return_ = false;
  first_line_ = true;
}

Result<bool> SseParser::feed(std::string_view bytes, const std::function<bool(const SseEvent&)>& on_event) {
  while (!bytes.empty()) {
    if (std::exchange(after_return_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t end = bytes.find_first_of("\r\n");
    line_ += bytes.substr(0, end);
    if (line_.size() + data_.size() > kEventMax) {
      return Error{Category::kResourceExhausted, "sse.too_large", "the stream is damaged: one of its events is larger than 16 MiB", {}, {}};
    }
    if (end == std::string_view::npos) return true;
    after_return_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    const std::string line = std::exchange(line_, {});
    if (!line.empty()) {
      take_line(line);
    } else if (const std::optional<SseEvent> event = finish_event(); event && !on_event(*event)) {
      return false;
    }
    first_line_ = false;
  }
  return true;
}

void SseParser::take_line(std::string_view line) {
  if (first_line_ && line.substr(0, 3) == "\xef\xbb\xbf") line.remove_prefix(3);
  const std::size_t colon = line.find(':');
  if (colon == 0) return;  // A comment, e.g. a heartbeat.
  const std::string_view name = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  if (name == "data") {
    data_.append(value).push_back('\n');
  } else if (name == "event") {
    event_ = value;
  } else if (name == "id") {
    if (value.find('\0') == std::string_view::npos) id_buffer_ = value;
  } else if (name == "retry") {
    unsigned milliseconds = 0;
    const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), milliseconds);
    if (failure == std::errc() && end == value.data() + value.size()) retry_ = std::chrono::milliseconds(milliseconds);
  }
}

std::optional<SseEvent> SseParser::finish_event() {
  last_id_ = id_buffer_;
  SseEvent event{last_id_, std::exchange(event_, {}), std::exchange(data_, {})};
  if (event.data.empty()) return std::nullopt;
  event.data.pop_back();
  if (event.event.empty()) event.event = "message";
  return event;
}

}  // namespace trainyard::client
