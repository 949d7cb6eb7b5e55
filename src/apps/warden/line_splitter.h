#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "exec/spool.h"

namespace trainyard::warden {

/// Turns the bytes of stdout and stderr into encoded log records: one for each line with its newline, split where a line is longer than
/// exec::kSpoolLineMax. Occurrences of `secret` inside one record are replaced by "[redacted]". Pure: bytes in, bytes out.
class LogSplitter {
 public:
  explicit LogSplitter(std::string secret) : secret_(std::move(secret)) {}

  /// Appends the records that `bytes` completes to `out`; the rest of the line waits.
  void feed(std::uint8_t stream, std::string_view bytes, TimePoint now, std::string& out);
  /// Appends what waits as records of their own, without the beginning of a character whose rest is still to come.
  void flush_begun(TimePoint now, std::string& out);
  /// Appends all that waits: nothing more will come.
  void flush(TimePoint now, std::string& out);
  /// Appends a record of the stream "system".
  void note(std::string_view text, TimePoint now, std::string& out);
  bool has_partial() const { return !partial_[0].empty() || !partial_[1].empty(); }

 private:
  void write(std::uint8_t stream, std::string_view line, TimePoint now, std::string& out);

  std::string secret_;
  std::array<std::string, 2> partial_;  ///< Of stdout and stderr.
};

/// Turns the bytes of descriptor 3 into event lines. A line that is no JSON object or is longer than exec::kSpoolLineMax is rejected.
class EventSplitter {
 public:
  explicit EventSplitter(std::string secret) : secret_(std::move(secret)) {}

  struct Output {
    std::string lines;                  ///< Accepted lines, each with its newline.
    std::vector<std::string> rejected;  ///< One sentence for each rejected line.
    /// When the bytes came. A metric that names no time gets this one, so that it is the same point however often it is sent.
    std::optional<TimePoint> now = {};
  };
  void feed(std::string_view bytes, Output& output);
  /// The stream has ended: what waits is a line.
  void finish(Output& output);

 private:
  void take(std::string_view line, Output& output) const;

  std::string secret_;
  std::string partial_;
  bool skipping_ = false;  ///< Inside a line that was rejected for its length.
};

}  // namespace trainyard::warden
