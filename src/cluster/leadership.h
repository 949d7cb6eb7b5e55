#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/executor.h"
#include "base/log.h"
#include "cluster/leader_election.h"

namespace trainyard::cluster {

/// Keeps one process's place in the installation: takes its turns in the election, and knows at every moment whether it may answer for the
/// jobs.
///
///   FOLLOWS --elected--> ELECTED --take_office (all is loaded)--> LEADS --no renewal for most of `patience`--> LAPSED
///                                                                   ^------------------ renewed -----------------'
///
/// A process that was stopped for long and wakes up finds its lead lapsed before it answers anything: others stand for election only when
/// the whole `patience` is over. Thread-safe, but for start and stop.
class Leadership {
 public:
  struct Settings {
    bool stands = true;            ///< False for a process that only follows whoever leads.
    Duration patience{3'500'000};  ///< That of the election.
  };
  struct Deps {
    Executor& executor;  ///< Of its own: turns block on the database.
    const Clock& clock;
    LeaderElection& election;
    LogSink& log;
  };
  struct Hooks {
    /// This process was elected after it had followed: load what the leader holds, then take_office. On the executor; must not block.
    std::function<void()> on_elected;
    /// It led, and another process does now: end. On the executor.
    std::function<void(const Error&)> on_deposed;
  };

  Leadership(Settings settings, Deps deps, Hooks hooks) : settings_(settings), deps_(deps), hooks_(std::move(hooks)) {}
  ~Leadership() { *alive_ = false; }

  /// The first turn, which may elect this process at once; blocks. on_elected is not called for it. Errors: those of the database.
  Result<bool> start();
  /// Everything that a leader holds is loaded: from now on this process answers for it.
  void take_office() { in_office_ = true; }
  /// Whether this process answers for the jobs, now.
  bool leads() const { return in_office_ && deps_.clock.monotonic_now().time_since_epoch().count() < lead_ends_.load(); }
  /// Who leads as far as is known; none while nobody does, or while this process loads.
  std::optional<Leader> leader() const;
  /// Leaves the lead, when everything that was acknowledged is durable. The executor has ended.
  void resign();

 private:
  Result<Standing> take_turn();
  void turn();
  void turn_later();

  const Settings settings_;
  const Deps deps_;
  const Hooks hooks_;
  bool elected_ = false;  ///< Of the executor, like the election.
  std::atomic<bool> in_office_{false};
  std::atomic<std::int64_t> lead_ends_{0};  ///< Monotonic microseconds.
  mutable std::mutex mutex_;
  std::optional<Leader> leader_;  // guarded by mutex_
  /// Posted tasks look before they act.
  std::shared_ptr<std::atomic<bool>> alive_ = std::make_shared<std::atomic<bool>>(true);  // shared: owned here, watched by posted tasks
};

}  // namespace trainyard::cluster
