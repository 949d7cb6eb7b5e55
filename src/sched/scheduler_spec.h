#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/describe.h"
#include "sched/queue.h"

namespace trainyard::sched {

/// Amounts of a queue as people write them. "" : no limit.
struct QuotaSpec {
  std::string cpu;     ///< Cores: "16", "500m".
  std::string memory;  ///< "64GiB".
  std::string gpu;     ///< Devices: "8", "0.5".

  void describe(FieldVisitor& fields);
};

struct PreemptionSpec {
  bool enabled = false;
  Duration grace{30'000'000};
  Duration minimum_run_time{0};
  std::int64_t evictions_per_job = 3;
  std::int64_t evictions_per_minute = 60;

  void describe(FieldVisitor& fields);
};

/// One queue as written in a scheduler file.
struct QueueSpec {
  std::string name;
  std::string parent;
  double weight = 1;
  bool owns_quota = false;  ///< Whether `quota` counts: a queue without one borrows all that it uses.
  QuotaSpec quota;
  QuotaSpec borrow;
  QuotaSpec lend;
  std::string order = "priority";
  std::string backfill = "easy";
  std::string placement = "best_fit";
  std::map<std::string, std::string> parameters;
  std::int64_t max_running_jobs = 0;  ///< 0: no limit.
  std::int64_t max_running_jobs_per_user = 0;
  std::string state = "open";
  PreemptionSpec preemption;

  void describe(FieldVisitor& fields);
};

/// How a pool is shared: the scheduler file of a server, and what a simulation reads.
struct SchedulerSpec {
  std::string sharing = "order";
  Duration half_life{std::chrono::hours(24 * 7)};
  std::vector<QueueSpec> queues;

  void describe(FieldVisitor& fields);
};

/// What the planner works with.
struct SchedulerSettings {
  std::vector<QueueSettings> queues;
  SharingSettings sharing;

  /// One queue "default": higher priority first with ageing, EASY backfill, jobs that were passed over 20 times protected, fullest nodes
  /// first.
  static SchedulerSettings standard();
};

/// Reads a scheduler file. Errors: those of decoding, of amounts ("spec.byte_size" ...), and of QueueSnapshot::add_queue; NOT_FOUND
/// "policy.unknown" for the sharing policy.
Result<SchedulerSettings> scheduler_settings_from(const Document& document);

/// Makes the queues. Errors as scheduler_settings_from.
Result<void> apply_settings(QueueSnapshot& queue, const SchedulerSettings& settings);

}  // namespace trainyard::sched
