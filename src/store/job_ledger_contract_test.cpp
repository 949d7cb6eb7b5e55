#include "store/testing/job_ledger_contract.h"

#include <gtest/gtest.h>

#include "store/testing/fake_job_ledger.h"
#include "store/testing/faulty_job_ledger.h"
#include "store/testing/job_ledger_fencing_contract.h"

namespace trainyard::store::testing {
namespace {

struct FakeJobLedgerHarness {
  std::unique_ptr<JobLedger> open() { return std::make_unique<FakeJobLedger>(storage); }
  FakeLedgerStorage storage;
};

/// A fault decorator that was told of no fault changes nothing.
struct FaultlessJobLedgerHarness {
  std::unique_ptr<JobLedger> open() { return std::make_unique<FaultyJobLedger>(std::make_unique<FakeJobLedger>(storage)); }
  FakeLedgerStorage storage;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Fake, JobLedgerContract, FakeJobLedgerHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, JobLedgerFencingContract, FakeJobLedgerHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(Faultless, JobLedgerContract, FaultlessJobLedgerHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(Faultless, JobLedgerFencingContract, FaultlessJobLedgerHarness);

}  // namespace trainyard::store::testing
