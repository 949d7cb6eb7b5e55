#pragma once
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "apps/cli/command_line.h"

namespace trainyard::apps {

/// Learns from the server's event stream that something changed. Follows it on a thread of its own, over restarts of the server.
class ChangeSignal {
 public:
  /// `api` belongs to this object. Begins behind the event of that number, so that history is not sent again; empty: at the server's
  /// choice.
  ChangeSignal(std::unique_ptr<client::ApiClient> api, std::string behind);
  ChangeSignal(const ChangeSignal&) = delete;
  ChangeSignal& operator=(const ChangeSignal&) = delete;
  ~ChangeSignal();

  /// Returns when something changed since the last call, or after `longest`.
  void wait(std::chrono::milliseconds longest);

 private:
  void follow(const std::stop_token& stop);

  std::unique_ptr<client::ApiClient> api_;
  std::string behind_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool dirty_ = false;  // guarded by mutex_
  std::jthread thread_;
};

/// What `ls -w` shows.
struct WatchedList {
  std::string target;      ///< "/api/v1/jobs?state=RUNNING"
  std::string collection;  ///< "/api/v1/jobs": where an item that left the list is looked up a last time; empty: it is not.
  const ResourceView* view = nullptr;
  std::int64_t limit = 50;
  bool has_events = false;  ///< The event stream tells of changes; else the list is looked at every second.
};

/// Prints the list, then every item that changed, until a signal ends the process, the output is lost or the server is away too long. Rows
/// of a table, one line of JSON each with ndjson, whole documents with json and yaml, ids with name and --quiet. Errors: the last of the
/// server.
Result<void> watch_list(CommandContext& context, const WatchedList& list, Duration patience);

/// Prints one job and again after every change, until it has ended.
Result<void> watch_job(CommandContext& context, const std::string& id, const std::function<std::string(const Document&)>& for_people,
                       Duration patience);

}  // namespace trainyard::apps
