#pragma once
#include <chrono>
#include <future>
#include <memory>

#include "store/job_ledger.h"

namespace trainyard::store::testing {

/// Commits and waits for the answer; an answer that does not come within a minute is DEADLINE_EXCEEDED.
inline Result<void> commit_and_wait(JobLedger& ledger, LedgerBatch batch) {
  const auto answer = std::make_shared<std::promise<Result<void>>>();  // shared: the ledger may still be inside set_value when we leave
  std::future<Result<void>> future = answer->get_future();
  ledger.commit(std::move(batch), [answer](Result<void> result) { answer->set_value(std::move(result)); });
  if (future.wait_for(std::chrono::minutes(1)) != std::future_status::ready) {
    return Error{Category::kDeadlineExceeded, "ledger.no_answer", "the ledger did not answer", {}, {}};
  }
  return future.get();
}

}  // namespace trainyard::store::testing
