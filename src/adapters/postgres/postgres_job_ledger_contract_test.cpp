#include <gtest/gtest.h>

#include "adapters/postgres/postgres_job_ledger.h"
#include "store/testing/job_ledger_contract.h"
#include "store/testing/job_ledger_fencing_contract.h"
#include "store/testing/server_process.h"

namespace trainyard::store::testing {
namespace {

struct PostgresJobLedgerHarness {
  void start() {
    TRAINYARD_REQUIRE_SERVER(shared_postgres());
    url = shared_postgres().value()->url() + "?schema=" + unused_name();
  }
  std::unique_ptr<JobLedger> open() { return adapters::postgres::make_postgres_job_ledger({.url = url}).value(); }
  std::string url;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Postgres, JobLedgerContract, PostgresJobLedgerHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(Postgres, JobLedgerFencingContract, PostgresJobLedgerHarness);

}  // namespace trainyard::store::testing
