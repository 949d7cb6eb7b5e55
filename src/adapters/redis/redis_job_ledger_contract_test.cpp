#include <gtest/gtest.h>

#include "adapters/redis/redis_job_ledger.h"
#include "store/testing/job_ledger_contract.h"
#include "store/testing/job_ledger_fencing_contract.h"
#include "store/testing/server_process.h"

namespace trainyard::store::testing {
namespace {

struct RedisJobLedgerHarness {
  void start() {
    TRAINYARD_REQUIRE_SERVER(shared_redis());
    url = shared_redis().value()->url() + "?name=" + unused_name();
  }
  std::unique_ptr<JobLedger> open() { return adapters::redis::make_redis_job_ledger({.url = url}).value(); }
  std::string url;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Redis, JobLedgerContract, RedisJobLedgerHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(Redis, JobLedgerFencingContract, RedisJobLedgerHarness);

}  // namespace trainyard::store::testing
