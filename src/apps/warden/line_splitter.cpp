#include "apps/warden/line_splitter.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/document.h"

namespace trainyard::warden {
namespace {

constexpr std::string_view kRedacted = "[redacted]";
constexpr std::size_t kExcerptMax = 200;

std::string redact(std::string_view text, std::string_view secret) {
  std::string clean;
  while (!text.empty()) {
    const std::size_t at = text.find(secret);
    clean += text.substr(0, at);
    if (at == std::string_view::npos) break;
    clean += kRedacted;
    text.remove_prefix(at + secret.size());
  }
  return clean;
}

/// The line of a metric with the member "time_us".
std::string with_time(std::string_view line, TimePoint time) {
  const std::string member = fmt::format(",\"time_us\":{}}}", micros(time));
  const std::size_t end = line.rfind('}');
  return line.size() + member.size() <= exec::kSpoolLineMax ? std::string(line.substr(0, end)) + member : std::string(line);
}

/// How much of the text is whole characters of UTF-8; all of it when its end is none.
std::size_t whole_characters(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const std::size_t length = byte >= 0xF8 ? 1 : byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return length > back ? text.size() - back : text.size();
  }
  return text.size();
}

bool holds(std::string_view text, std::string_view secret) { return !secret.empty() && text.find(secret) != std::string_view::npos; }

}  // namespace

void LogSplitter::write(std::uint8_t stream, std::string_view line, TimePoint now, std::string& out) {
  if (holds(line, secret_)) {
    const std::string clean = redact(line, secret_);
    exec::append_log_record(now, stream, std::string_view(clean).substr(0, exec::kSpoolLineMax), out);
  } else {
    exec::append_log_record(now, stream, line, out);
  }
}

void LogSplitter::feed(std::uint8_t stream, std::string_view bytes, TimePoint now, std::string& out) {
  std::string& partial = partial_[stream == exec::kStdoutStream ? 0 : 1];
  while (!bytes.empty()) {
    const std::size_t room = exec::kSpoolLineMax - partial.size();
    const std::size_t newline = bytes.substr(0, room).find('\n');
    const bool whole = newline != std::string_view::npos;
    const std::string_view piece = bytes.substr(0, whole ? newline + 1 : room);
    bytes.remove_prefix(piece.size());
    if (partial.empty() && (whole || piece.size() == room)) {
      write(stream, piece, now, out);
      continue;
    }
    partial += piece;
    if (!whole && partial.size() < exec::kSpoolLineMax) continue;
    write(stream, partial, now, out);
    partial.clear();
  }
}

void LogSplitter::flush_begun(TimePoint now, std::string& out) {
  for (const std::uint8_t stream : {exec::kStdoutStream, exec::kStderrStream}) {
    std::string& partial = partial_[stream == exec::kStdoutStream ? 0 : 1];
    const std::size_t whole = whole_characters(partial);
    if (whole > 0) write(stream, std::string_view(partial).substr(0, whole), now, out);
    partial.erase(0, whole);
  }
}

void LogSplitter::flush(TimePoint now, std::string& out) {
  for (const std::uint8_t stream : {exec::kStdoutStream, exec::kStderrStream}) {
    std::string& partial = partial_[stream == exec::kStdoutStream ? 0 : 1];
    if (!partial.empty()) write(stream, partial, now, out);
    partial.clear();
  }
}

void LogSplitter::note(std::string_view text, TimePoint now, std::string& out) {
  write(exec::kSystemStream, fmt::format("{}\n", text.substr(0, exec::kSpoolLineMax - 1)), now, out);
}

void EventSplitter::take(std::string_view line, Output& output) const {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
  const std::string clean = holds(line, secret_) ? redact(line, secret_) : std::string(line);
  const Result<Document> event = parse_json(clean);
  if (event.ok() && event->is_object()) {
    const bool stamp = output.now && (*event)["event"].text() == "metric" && event->find("time_us") == nullptr;
    output.lines += stamp ? with_time(clean, *output.now) : clean;
    output.lines += '\n';
    return;
  }
  output.rejected.push_back(fmt::format("an event on descriptor 3 was dropped: it is not one JSON object a line: {}{}",
                                        clean.substr(0, kExcerptMax), clean.size() > kExcerptMax ? "..." : ""));
}

void EventSplitter::feed(std::string_view bytes, Output& output) {
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, newline);
    bytes.remove_prefix(std::min(piece.size() + 1, bytes.size()));
    if (!skipping_ && partial_.size() + piece.size() >= exec::kSpoolLineMax) {
      skipping_ = true;
      partial_.clear();
      output.rejected.push_back(fmt::format("an event on descriptor 3 was dropped: its line is longer than {} bytes", exec::kSpoolLineMax));
    }
    if (!skipping_) partial_ += piece;
    if (newline == std::string_view::npos) return;
    if (!skipping_) take(partial_, output);
    partial_.clear();
    skipping_ = false;
  }
}

void EventSplitter::finish(Output& output) {
  if (!skipping_) take(partial_, output);
  partial_.clear();
  skipping_ = false;
}

}  // namespace trainyard::warden
