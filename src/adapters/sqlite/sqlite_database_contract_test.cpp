#include <gtest/gtest.h>

#include "adapters/sqlite/testing/temporary_database.h"
#include "store/testing/database_contract.h"

namespace trainyard::store::testing {

INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, DatabaseContract, adapters::sqlite::testing::TemporaryDatabase);

}  // namespace trainyard::store::testing
