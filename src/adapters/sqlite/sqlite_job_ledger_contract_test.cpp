#include <gtest/gtest.h>

#include "adapters/sqlite/testing/temporary_ledger.h"
#include "store/testing/job_ledger_contract.h"

namespace trainyard::store::testing {
namespace {

struct SqliteJobLedgerHarness {
  SqliteJobLedgerHarness() { temporary.reopen(); }
  JobLedger& ledger() { return temporary.ledger(); }
  void reopen() { temporary.reopen(); }
  adapters::sqlite::testing::TemporaryLedger temporary;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, JobLedgerContract, SqliteJobLedgerHarness);

}  // namespace trainyard::store::testing
