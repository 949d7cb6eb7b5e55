#pragma once
#include <memory>
#include <string>

#include "base/time.h"
#include "store/job_ledger.h"

namespace trainyard::adapters::redis {

struct RedisJobLedgerSettings {
  /// redis://[[user]:password@]host[:port][/number][?name=..&unchecked=1]. Ledgers of different names live side by side in one database;
  /// the default is "main".
  std::string url;
  Duration connect_timeout = std::chrono::seconds(5);
  Duration loading_timeout = std::chrono::seconds(120);  ///< How long a server that still loads its data is waited for.
  Duration read_timeout = std::chrono::seconds(10);      ///< Of each answer to a read.
  Duration commit_timeout = std::chrono::seconds(60);    ///< Of the answer to a commit; without one the commit has failed.
  Duration idle_check = std::chrono::seconds(5);  ///< A connection unused for longer is tried, and replaced, before a commit is sent.
};

/// Opens a ledger in Redis 7 (docs/formats/ledger.md). One script makes a whole batch durable: it compares the epoch and applies everything
/// in one step, and with `appendfsync always` its answer comes after the sync. So `appendonly yes`, `appendfsync always`,
/// `no-appendfsync-on-rewrite no` and a memory policy that drops nothing are asked for at opening, and anything else is refused
/// (FAILED_PRECONDITION "ledger.unsafe_settings", which names the setting). Where CONFIG is forbidden `unchecked=1` says that they are
/// right. Reads connect again by themselves; a commit whose answer does not come is a failed one. No error text holds the password.
/// Failpoints: "ledger.before_commit", "ledger.after_write_before_commit" (sent, not answered), "ledger.after_commit". Errors:
/// INVALID_ARGUMENT "state.url", UNAVAILABLE "ledger.unavailable", UNAUTHENTICATED "ledger.access", FAILED_PRECONDITION "ledger.newer",
/// DATA_LOSS "ledger.corrupt", RESOURCE_EXHAUSTED "ledger.memory_full".
Result<std::unique_ptr<store::JobLedger>> make_redis_job_ledger(const RedisJobLedgerSettings& settings);

}  // namespace trainyard::adapters::redis
