#pragma once
#include <gtest/gtest.h>
#include <poll.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/file.h"
#include "exec/process_groups.h"
#include "exec/process_table.h"
#include "exec/spool.h"

namespace trainyard::exec::testing {

/// The built program: beside the tests in the build folder, or where $TRAINYARD_LIBEXEC says.
inline std::string program_path(const std::string& name) {
  if (const char* directory = std::getenv("TRAINYARD_LIBEXEC"); directory != nullptr) return std::string(directory) + "/" + name;
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path().string() + "/bin/" + name;
}

/// Looks at `condition` every few milliseconds until it holds; false after `patience`. For what sends no signal, such as /proc.
inline bool wait_until(const std::function<bool()>& condition, Duration patience = std::chrono::seconds(10)) {
  const SystemClock clock;
  const MonotonicPoint deadline = clock.monotonic_now() + patience;
  while (!condition()) {
    if (clock.monotonic_now() > deadline) return false;
    ::poll(nullptr, 0, 2);
  }
  return true;
}

/// One piece of output of a rank.
struct LogPiece {
  std::uint8_t stream = 0;
  std::string text;
};

/// Decodes a stream of log records; a test failure unless all of it is whole records.
inline std::vector<LogPiece> log_pieces(std::string_view bytes) {
  std::vector<LogPiece> pieces;
  EXPECT_EQ(whole_log_records(bytes), bytes.size());
  for (std::size_t at = 0; at + kLogRecordOverhead <= bytes.size();) {
    std::uint32_t length = 0;
    std::memcpy(&length, bytes.data() + at + 9, sizeof(length));
    pieces.push_back({static_cast<std::uint8_t>(bytes[at + 8]), std::string(bytes.substr(at + kLogRecordHeader, length))});
    at += length + kLogRecordOverhead;
  }
  return pieces;
}
inline std::vector<LogPiece> read_log(const std::string& path) { return log_pieces(read_file(path, std::size_t{1} << 30).value_or("")); }
inline std::string text_of_stream(const std::vector<LogPiece>& pieces, std::uint8_t stream) {
  std::string text;
  for (const LogPiece& piece : pieces) {
    if (piece.stream == stream) text += piece.text;
  }
  return text;
}

inline RankKey rank_key(std::uint64_t job, std::uint32_t attempt = 1, std::uint32_t rank = 0) {
  return {{JobId(job), AttemptNumber(attempt)}, rank};
}
inline const RankKey kRank = rank_key(17);
inline RankLaunch shell_launch(const RankKey& key, const std::string& script) {
  RankLaunch launch;
  launch.rank = key;
  launch.argv = {"sh", "-c", script};
  launch.resources.milli_cpu = 1000;
  return launch;
}

/// Processes whose environment carries the mark of `rank`, with files below this directory.
inline std::vector<pid_t> processes_of(const RankKey& rank, const std::string& data_dir) {
  std::vector<pid_t> found;
  const std::string files = "TRAINYARD_SPEC=" + slots_directory(data_dir) + "/";
  for (const ProcessStat& process : list_processes()) {
    if (process.zombie || !environment_has(process.pid, files)) continue;
    if (environment_value(process.pid, kRankMarker).value_or("").ends_with("/" + text_of(rank))) found.push_back(process.pid);
  }
  return found;
}

}  // namespace trainyard::exec::testing
