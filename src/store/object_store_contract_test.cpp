#include "store/testing/object_store_contract.h"

#include <gtest/gtest.h>

#include "store/testing/fake_object_store.h"

namespace trainyard::store::testing {
namespace {

struct FakeObjectStoreHarness {
  ObjectStore& objects() { return fake; }
  void reopen() {}
  void damage(const ObjectName& name, std::size_t at) { fake.damage(name, at); }
  FakeObjectStore fake;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Fake, ObjectStoreContract, FakeObjectStoreHarness);

}  // namespace trainyard::store::testing
