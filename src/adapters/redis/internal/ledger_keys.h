#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace trainyard::adapters::redis::internal {

/// The names of a ledger's keys. The braces keep them in one slot of a cluster.
struct LedgerKeys {
  explicit LedgerKeys(const std::string& name) : prefix("trainyard:{" + name + "}:") {}

  const std::string prefix;
  const std::string meta = prefix + "meta";           ///< Hash: format, epoch, last_event, last_job.
  const std::string jobs = prefix + "jobs";           ///< Hash: id -> record.
  const std::string live = prefix + "live";           ///< Sorted set of ids, by id.
  const std::string events = prefix + "events";       ///< Stream: NUMBER-0 -> r, record.
  const std::string keys = prefix + "keys";           ///< Hash: idempotency key -> record.
  const std::string ages = prefix + "ages";           ///< Sorted set of idempotency keys, by the time they were made.
  const std::string of_job = prefix + "job_events:";  ///< With an id behind it: list of the numbers of the job's events.

  /// As the scripts take them.
  std::vector<std::string_view> all() const { return {meta, jobs, live, events, keys, ages, of_job}; }
};

}  // namespace trainyard::adapters::redis::internal
