#include "store/testing/log_store_contract.h"

#include <gtest/gtest.h>

#include "store/testing/fake_log_store.h"

namespace trainyard::store::testing {
namespace {

struct FakeLogStoreHarness {
  LogStore& logs() { return fake; }
  void reopen() {}
  void damage(const RankKey& rank, std::size_t at) { fake.damage(rank, at); }
  FakeLogStore fake;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Fake, LogStoreContract, FakeLogStoreHarness);

}  // namespace trainyard::store::testing
