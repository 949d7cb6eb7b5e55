#include "store/testing/job_ledger_contract.h"

#include <gtest/gtest.h>

#include "store/testing/fake_job_ledger.h"

namespace trainyard::store::testing {
namespace {

struct FakeJobLedgerHarness {
  JobLedger& ledger() { return fake; }
  void reopen() {}
  FakeJobLedger fake;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Fake, JobLedgerContract, FakeJobLedgerHarness);

}  // namespace trainyard::store::testing
