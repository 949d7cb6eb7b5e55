#include <gtest/gtest.h>

#include "adapters/postgres/postgres_database.h"
#include "store/testing/database_contract.h"
#include "store/testing/server_process.h"

namespace trainyard::store::testing {
namespace {

struct PostgresDatabaseHarness {
  void start() {
    TRAINYARD_REQUIRE_SERVER(shared_postgres());
    url = shared_postgres().value()->url() + "?schema=" + unused_name();
    reopen();
  }
  Database& database() { return *opened; }
  void reopen() {
    opened.reset();
    opened = adapters::postgres::make_postgres_database({.url = url}).value();
  }
  std::string url;
  std::unique_ptr<Database> opened;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Postgres, DatabaseContract, PostgresDatabaseHarness);

}  // namespace trainyard::store::testing
