#pragma once
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/document.h"

namespace trainyard {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// One structured event: a stable dotted name ("jobs.launch_failed") and values.
struct LogEvent {
  LogLevel level = LogLevel::kInfo;
  std::string_view name;
  std::initializer_list<std::pair<std::string_view, Document>> values;
};

/// Where events go. Implementations are thread-safe and do not block for long.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void write(const LogEvent& event) = 0;
};

/// One JSON object a line on stderr: {"time":..,"level":..,"event":..,...}; events below `threshold` are dropped.
class StderrLogSink final : public LogSink {
 public:
  explicit StderrLogSink(LogLevel threshold) : threshold_(threshold) {}
  void write(const LogEvent& event) override;

 private:
  LogLevel threshold_;
};

}  // namespace trainyard
