#include <gtest/gtest.h>

#include "adapters/sqlite/testing/temporary_database.h"
#include "store/testing/database_contract.h"

namespace trainyard::store::testing {
namespace {

/// The database as a server opens it.
struct DurableDatabase : adapters::sqlite::testing::TemporaryDatabase {
  DurableDatabase() : TemporaryDatabase(true) {}
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, DatabaseContract, DurableDatabase);
/// The fake that repositories are tested with.
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, DatabaseContract, adapters::sqlite::testing::TemporaryDatabase);

}  // namespace trainyard::store::testing
