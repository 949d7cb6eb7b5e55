#include <gtest/gtest.h>

#include "adapters/sqlite/testing/temporary_ledger.h"
#include "store/testing/job_ledger_contract.h"
#include "store/testing/job_ledger_fencing_contract.h"

namespace trainyard::store::testing {
namespace {

struct SqliteJobLedgerHarness {
  std::unique_ptr<JobLedger> open() { return adapters::sqlite::make_sqlite_job_ledger({.path = temporary.path()}).value(); }
  adapters::sqlite::testing::TemporaryLedger temporary;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, JobLedgerContract, SqliteJobLedgerHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, JobLedgerFencingContract, SqliteJobLedgerHarness);

}  // namespace trainyard::store::testing
