#include "apps/cli/log_printer.h"

#include <fmt/format.h>
#include <regex.h>

#include <array>

namespace trainyard::apps {
namespace {

constexpr std::size_t kLineMax = std::size_t{1} << 20;

}  // namespace

struct LogPrinter::Pattern {
  regex_t compiled{};
};

void LogPrinter::FreePattern::operator()(Pattern* pattern) const {
  ::regfree(&pattern->compiled);
  delete pattern;
}

Result<LogPrinter> LogPrinter::make(const LogFormat& format, Sink sink) {
  LogPrinter printer(format, std::move(sink));
  if (format.grep.empty()) return printer;
  auto pattern = std::make_unique<Pattern>();
  const int refused = ::regcomp(&pattern->compiled, format.grep.c_str(), REG_EXTENDED | REG_NOSUB);
  if (refused != 0) {
    std::array<char, 200> why{};
    ::regerror(refused, &pattern->compiled, why.data(), why.size());
    return invalid_argument("cli.grep", fmt::format("--grep takes an extended regular expression: {}: \"{}\"", why.data(), format.grep));
  }
  printer.pattern_.reset(pattern.release());
  return printer;
}

void LogPrinter::take(const Document& event) {
  const std::string& stream = event["stream"].text();
  std::string_view text = event["text"].text();
  if (!format_.timestamps && !format_.rank_prefix && format_.mark.empty() && !pattern_) return sink_(stream, text);
  const std::int64_t rank = event["rank"].as_int().value_or(0);
  Waiting& waiting = waiting_[{rank, stream}];
  while (!text.empty()) {
    if (waiting.text.empty()) waiting.time = event["time"].text();
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    waiting.text += text.substr(0, end);
    text.remove_prefix(end);
    if (waiting.text.back() != '\n' && waiting.text.size() < kLineMax) continue;
    print_line(rank, stream, waiting);
    waiting.text.clear();
  }
}

void LogPrinter::finish() {
  for (auto& [key, waiting] : waiting_) {
    // Among others the next log begins on a line of its own.
    if (!waiting.text.empty() && !format_.mark.empty()) waiting.text += '\n';
    if (!waiting.text.empty()) print_line(key.first, key.second, waiting);
    waiting.text.clear();
  }
}

void LogPrinter::print_line(std::int64_t rank, const std::string& stream, const Waiting& line) const {
  if (pattern_) {
    // REG_STARTEND gives the bounds, so that bytes of any value may stand in the line.
    const bool newline = line.text.back() == '\n';
    regmatch_t bounds{};
    bounds.rm_so = 0;
    bounds.rm_eo = static_cast<regoff_t>(line.text.size() - (newline ? 1 : 0));
    if (::regexec(&pattern_->compiled, line.text.c_str(), 1, &bounds, REG_STARTEND) != 0) return;
  }
  std::string text = format_.mark.empty() ? "" : format_.mark + ": ";
  if (format_.timestamps) text += line.time + " ";
  if (format_.rank_prefix) text += fmt::format("[{}] ", rank);
  sink_(stream, text + line.text);
}

}  // namespace trainyard::apps
