#pragma once
#include <functional>
#include <map>
#include <mutex>

#include "api/platform/job_context.h"
#include "net/router.h"

namespace trainyard::api {

/// A LogStore that tells followers when a rank's log has grown. Thread-safe.
class WatchedLogStore final : public store::LogStore {
 public:
  using Listener = std::function<void(const RankKey&)>;

  explicit WatchedLogStore(store::LogStore& inner) : inner_(inner) {}

  /// Listeners are called after each append, on the appending thread, and must not block.
  std::uint64_t subscribe(Listener listener);
  void unsubscribe(std::uint64_t subscription);

  Result<std::uint64_t> append(const RankKey& rank, std::uint64_t offset, std::string_view encoded) override;
  Result<void> sync(const RankKey& rank) override { return inner_.sync(rank); }
  Result<std::uint64_t> end_offset(const RankKey& rank) override { return inner_.end_offset(rank); }
  Result<store::LogSlice> read(const RankKey& rank, std::uint64_t offset, std::size_t size_max) override {
    return inner_.read(rank, offset, size_max);
  }
  Result<void> remove_job(JobId job) override { return inner_.remove_job(job); }

 private:
  store::LogStore& inner_;
  std::mutex mutex_;
  std::map<std::uint64_t, Listener> listeners_;  // guarded by mutex_
  std::uint64_t last_ = 0;                       // guarded by mutex_
};

/// Adds GET /api/v1/jobs/{id}/logs. Query: attempt= (default the newest), rank= (default all). Plain text by default, with
/// follow=1 until the job ended, and for one rank in byte ranges (Range: bytes=0-99); with
/// `Accept: text/event-stream` each record is an event `log` {"attempt","rank","stream","time","text"} whose id resumes exactly
/// ("ATTEMPT/OFFSET,OFFSET.." by rank), with follow=1 new attempts and records follow until the job ended; the last event is `end`
/// {"state","exit_code"}.
void add_log_routes(net::Router& router, JobContext context, WatchedLogStore& logs);

}  // namespace trainyard::api
