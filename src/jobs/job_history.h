#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/job.h"
#include "store/database.h"
#include "store/job_ledger.h"

namespace trainyard::jobs {

/// Tables job_history, job_history_label and job_history_position: component "job_history" (docs/formats/job.md).
const std::vector<store::Migration>& job_history_migrations();

/// Which jobs are meant. What is empty does not select.
struct JobFilter {
  std::vector<JobState> states;  ///< Any of these.
  std::string queue;
  std::string owner;
  std::string name_space;
  std::string kind;
  std::string name_part;                      ///< Anywhere in the name; upper and lower case of ASCII count as the same.
  std::map<std::string, std::string> labels;  ///< Each of these.
  std::optional<TimePoint> since;             ///< Submitted then or later.
  std::optional<TimePoint> until;             ///< Submitted before.
  JobId array;                                ///< Elements of it.
};

/// Whether the filter selects this job: the same answer that a query of the history gives, for jobs that are live.
bool matches(const JobFilter& filter, const Job& job);

struct JobPage {
  std::vector<Job> jobs;      ///< Newest first.
  std::optional<JobId> next;  ///< The cursor of the next page; none: there is none.
};

enum class UsageGroup { kUser, kQueue, kNamespace, kDay };
/// "user", "queue", "namespace", "day". Errors: INVALID_ARGUMENT "query.group".
Result<UsageGroup> usage_group_from(std::string_view name);

/// What jobs that ended in a span of time have had. Sums are floating: over years of a large cluster integers would overflow.
struct UsageSum {
  std::string key;  ///< Name of the user, queue or namespace, or the day of the end in UTC, "2026-01-02".
  std::int64_t jobs = 0;
  double cpu_seconds = 0;
  double gpu_seconds = 0;
  double memory_gib_seconds = 0;
  double cpu_used_seconds = 0;
};

/// Jobs that have ended, kept apart from the ledger for questions about many of them. Written by what follows the ledger's events, however
/// late: a job that is missing here is still in the ledger. Blocks; may be called from several threads. Errors: those of the database,
/// DATA_LOSS "history.corrupt".
class JobHistory {
 public:
  explicit JobHistory(store::Database& database) : database_(database) {}

  /// Events of the ledger up to this one are taken in.
  Result<EventNumber> position();
  /// Keeps these jobs, all of which have ended (CHECK), and notes that the events up to `position` are taken in, in one transaction. To say
  /// it again changes nothing; a position never goes back.
  Result<void> record(const std::vector<Job>& ended, EventNumber position);
  /// Takes in the ends that the ledger tells of, from the position on, at most `events_max` events. Returns whether more may be there.
  Result<bool> catch_up(store::JobLedger& ledger, std::size_t events_max = 1000);

  /// At most `limit` jobs with smaller ids than `before` (0: from the newest).
  Result<JobPage> query(const JobFilter& filter, JobId before, std::size_t limit);
  /// Sums by group of jobs that ended in [from, until), ascending by key. Arrays count as their elements.
  Result<std::vector<UsageSum>> usage(UsageGroup group, TimePoint from, TimePoint until);

 private:
  store::Database& database_;
};

}  // namespace trainyard::jobs
