#pragma once
#include <chrono>
#include <string>
#include <string_view>

namespace trainyard::apps {

/// What the demo writes to the keeper before it leaves, when everything is to stay.
inline constexpr std::string_view kKeepRunning = "keep";

/// By then everything has ended or was killed: the grace of the jobs and the time of warden and server after it.
inline constexpr std::chrono::seconds kKeeperEnd{50};

/// What the keeper inherits over the fork.
struct KeeperTask {
  std::string server_program;
  std::string data;  ///< Empty: a temporary directory.
  int control = -1;  ///< Reading end: its end of file is the demo's end.
  int report = -1;   ///< Writing end: takes one JSON object {"data","pid","log_begin"} or {"error"} and is closed.
};

/// The life of the keeper, in a forked process: starts the server, waits for the demo's end, ends everything that came from the server
/// and removes the temporary directory. Returns the exit code: 0 when nothing is left.
int keep_demo_server(const KeeperTask& task);

}  // namespace trainyard::apps
