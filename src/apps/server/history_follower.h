#pragma once
#include <atomic>
#include <memory>

#include "base/executor.h"
#include "base/log.h"
#include "jobs/job_history.h"

namespace trainyard::apps {

/// Takes ended jobs into the history, behind the back of those who end them: at the start what an earlier server left, and from then on
/// what is new. Its place is kept in the history itself, so that a crash at any point loses nothing.
class HistoryFollower {
 public:
  struct Deps {
    Executor& strand;
    Executor& writes;
    const Clock& clock;
    store::JobLedger& ledger;
    jobs::JobHistory& history;
    LogSink& log;
  };
  explicit HistoryFollower(Deps deps) : deps_(deps) {}
  ~HistoryFollower() { *alive_ = false; }
  HistoryFollower(const HistoryFollower&) = delete;
  HistoryFollower& operator=(const HistoryFollower&) = delete;

  static constexpr Duration kGather{200'000};
  /// Something may have ended; it is looked at after `kGather`, together with what else ends until then. From any thread.
  void poke();

 private:
  void follow_in(Duration delay);
  void follow();

  const Deps deps_;
  std::atomic<bool> posted_{false};
  /// Posted tasks look before they act.
  std::shared_ptr<std::atomic<bool>> alive_ = std::make_shared<std::atomic<bool>>(true);  // shared: owned here, watched by posted tasks
};

}  // namespace trainyard::apps
