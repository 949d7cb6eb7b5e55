#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/document.h"

namespace trainyard::apps {

/// How the lines of a log are shown.
struct LogFormat {
  bool timestamps = false;   ///< The time of a line before it, RFC 3339 in UTC.
  bool rank_prefix = false;  ///< "[3] " before the lines of rank 3.
  std::string mark;          ///< Before each line of one log among several, as "17[3]: "; empty: nothing.
  std::string grep;          ///< Only lines that match this POSIX extended regular expression; empty: all.
};

/// Makes the `log` events of a job into what is printed. Without any format the bytes pass as they come; otherwise a line waits until it is
/// whole, at most 1 MiB of it.
class LogPrinter {
 public:
  /// `sink` gets what is to be printed and the stream it came from: "stdout", "stderr" or "system".
  using Sink = std::function<void(const std::string& stream, std::string_view text)>;

  /// Errors: INVALID_ARGUMENT "cli.grep" for a pattern that is none.
  static Result<LogPrinter> make(const LogFormat& format, Sink sink);

  /// One event: {"rank","stream","time","text"}.
  void take(const Document& event);
  /// The log has ended: what waits is a line too.
  void finish();

 private:
  struct Pattern;
  struct Waiting {
    std::string text;
    std::string time;  ///< Of its first byte.
  };
  struct FreePattern {
    void operator()(Pattern* pattern) const;
  };

  LogPrinter(LogFormat format, Sink sink) : format_(std::move(format)), sink_(std::move(sink)) {}
  void print_line(std::int64_t rank, const std::string& stream, const Waiting& line) const;

  LogFormat format_;
  Sink sink_;
  std::unique_ptr<Pattern, FreePattern> pattern_;  ///< Null: every line matches.
  std::map<std::pair<std::int64_t, std::string>, Waiting> waiting_;
};

}  // namespace trainyard::apps
