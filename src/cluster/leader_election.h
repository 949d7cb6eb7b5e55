#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "store/database.h"

namespace trainyard::cluster {

/// The process that holds jobs, scheduler and workflows of an installation.
struct Leader {
  std::string member;     ///< Name of the process.
  std::string url;        ///< Where it serves the platform API.
  std::int64_t term = 0;  ///< Grows with every change of leader.
  std::int64_t beat = 0;  ///< Grows while it lives.
  bool operator==(const Leader&) const = default;
};

/// How one turn of the election came out.
struct Standing {
  bool leads = false;
  std::optional<Leader> leader;  ///< Who leads, as far as is known; this process when `leads`.
};

const std::vector<store::Migration>& election_migrations();

/// Who leads, as one row of the relational database that all processes share.
///
///            no leader, or the same beat for `patience`
///   FOLLOWER -------------------------------------------> LEADER -- its row belongs to another --> deposed: an error
///
/// Time is the monotonic clock of each process: a leader counts as gone when its beat has stood still for `patience` as seen from here.
/// Two processes may both take themselves for the leader for a moment; what keeps jobs correct is the epoch of the ledger, which refuses
/// the older one's commits. One thread at a time; calls block.
class LeaderElection {
 public:
  struct Settings {
    std::string member;  ///< Two live processes never have the same: a leader of this name is this process's own earlier life.
    std::string url;     ///< Where others reach it.
    Duration patience{15'000'000};
  };

  LeaderElection(Settings settings, store::Database& database, const Clock& clock)
      : settings_(std::move(settings)), database_(database), clock_(clock) {}

  /// Renews this process's lead, or stands for election. To be called every third of `patience`. Errors: ABORTED "leader.deposed" when this
  /// process led and another does now: it must end, since what it holds in memory is no longer the truth; those of the database.
  Result<Standing> turn();
  /// Who leads, without standing for it: for processes that only forward.
  Result<Standing> look();
  /// Leaves the lead, so that another takes it at once. Nothing happens when this process does not lead.
  Result<void> resign();

 private:
  Result<Standing> renew(store::Connection& sql);
  Result<Standing> stand(store::Connection& sql);
  bool has_stood_still(const Leader& leader);

  const Settings settings_;
  store::Database& database_;
  const Clock& clock_;
  std::optional<Leader> own_;   ///< The row as this process wrote it, while it leads.
  std::optional<Leader> seen_;  ///< The row of another, as last seen.
  MonotonicPoint seen_since_;   ///< Since when it has not changed.
};

}  // namespace trainyard::cluster
