#pragma once
#include <memory>
#include <string>

#include "adapters/postgres/postgres_job_ledger.h"
#include "adapters/redis/redis_job_ledger.h"
#include "adapters/sqlite/sqlite_job_ledger.h"
#include "store/state_url.h"

namespace trainyard {

/// The ledger that a state URL names.
inline Result<std::unique_ptr<store::JobLedger>> open_ledger(const std::string& state) {
  ASSIGN_OR_RETURN(const store::StateUrl url, store::parse_state_url(state));
  switch (url.kind) {
    case store::StateKind::kSqlite:
      return adapters::sqlite::make_sqlite_job_ledger({.path = url.path});
    case store::StateKind::kPostgres:
      return adapters::postgres::make_postgres_job_ledger({.url = state});
    case store::StateKind::kRedis:
      return adapters::redis::make_redis_job_ledger({.url = state});
  }
  return internal_error("bench.state", "a kind of ledger is unknown here");
}

}  // namespace trainyard
