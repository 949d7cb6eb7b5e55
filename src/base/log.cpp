#include "base/log.h"

#include <unistd.h>

#include "base/file.h"
#include "base/time.h"

namespace trainyard {
namespace {

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

}  // namespace

void StderrLogSink::write(const LogEvent& event) {
  if (event.level < threshold_) return;
  Document line = Document::object();
  line.set("time", to_rfc3339(SystemClock().now()));
  line.set("level", name_of(event.level));
  line.set("event", event.name);
  for (const auto& [key, value] : event.values) line.set(key, value);
  // One write keeps lines of several threads whole; there is nowhere to report that stderr is gone.
  const std::string text = to_json(line) + "\n";
  (void)write_all(STDERR_FILENO, std::string_view(text), "stderr");
}

}  // namespace trainyard
