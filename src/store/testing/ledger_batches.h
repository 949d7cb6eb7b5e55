#pragma once
#include <string>

#include "store/job_ledger.h"

namespace trainyard::store::testing {

/// `count` jobs from `first` on, each with an event of the same number and a key.
inline LedgerBatch batch_of_jobs(std::uint64_t first, std::uint64_t count, const std::string& body = R"({"name":"train"})") {
  LedgerBatch batch;
  for (std::uint64_t id = first; id < first + count; ++id) {
    batch.jobs.push_back({JobId(id), true, time_from_micros(static_cast<std::int64_t>(id)), body});
    batch.events.push_back({EventNumber(id), JobId(id), time_from_micros(5), "submitted", body});
    batch.idempotency.push_back({"key-" + std::to_string(id), "print", JobId(id), time_from_micros(5)});
  }
  return batch;
}

}  // namespace trainyard::store::testing
