#pragma once
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "base/file.h"
#include "client/server_address.h"

namespace trainyard::apps {

/// The demo's server behind a keeper: a forked process that starts the server, adopts whatever comes from it and, when its pipe to the demo
/// closes, ends all of it and removes the temporary directory which it made. So nothing is left when the demo dies, even by SIGKILL; and
/// since the directory is known to the keeper alone, no option and no file can make it remove another one.
///
///   demo --pipe--> keeper --lifeline--> server, warden --> ranks
class DemoKeeper {
 public:
  struct Settings {
    std::string data;  ///< Empty: a temporary directory, made and removed by the keeper.
  };

  /// To be called while this process has one thread. Errors: those of files, NOT_FOUND "program.missing".
  static Result<std::unique_ptr<DemoKeeper>> start(const Settings& settings);
  DemoKeeper(const DemoKeeper&) = delete;
  DemoKeeper& operator=(const DemoKeeper&) = delete;
  ~DemoKeeper() { (void)stop(); }

  const std::string& data() const { return data_; }
  bool temporary() const { return temporary_; }
  /// False once the server has ended.
  bool server_runs() const;
  std::string log_path() const { return data_ + "/server.log"; }

  /// Waits until the server serves. Errors: UNAVAILABLE "demo.server_ended" with what it said, DEADLINE_EXCEEDED "demo.server_slow".
  Result<client::ServerAddress> wait_until_ready() const;

  /// Lets the keeper begin to end everything and returns at once. From any thread, any number of times.
  void begin_stop();
  /// The same, and waits for the end. Errors: UNAVAILABLE "demo.left_over" when something is still there afterwards.
  Result<void> stop();
  /// Leaves everything running: from now on the keeper waits for `trainyard down`.
  void release();

 private:
  DemoKeeper() = default;

  pid_t keeper_ = 0;
  pid_t server_ = 0;
  std::string data_;
  bool temporary_ = false;
  std::uint64_t log_begin_ = 0;  ///< What the log of the server held before.
  std::atomic<int> control_{-1};
};

/// True when `directory` may be used by a demo: it is absent, empty, or holds what a Trainyard server left there.
Result<bool> is_usable_data_directory(const std::string& directory);

}  // namespace trainyard::apps
