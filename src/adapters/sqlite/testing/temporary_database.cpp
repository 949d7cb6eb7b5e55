#include "adapters/sqlite/testing/temporary_database.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

#include "adapters/postgres/postgres_database.h"
#include "adapters/sqlite/sqlite_database.h"
#include "base/file.h"
#include "store/testing/server_process.h"

namespace trainyard::adapters::sqlite::testing {
namespace {

constexpr int kSkipped = 77;

/// A schema of its own in the shared server; empty when SQLite is meant.
std::string postgres_url() {
  const char* chosen = std::getenv("TRAINYARD_TEST_DATABASE");
  if (chosen == nullptr || std::string_view(chosen) != "postgres") return {};
  if (store::testing::without_servers()) {
    fmt::print(stderr, "NOT TESTED: TRAINYARD_WITHOUT_SERVERS=1 leaves out every test that needs a real database server\n");
    std::_Exit(kSkipped);
  }
  return store::testing::shared_postgres().value()->url() + "?schema=" + store::testing::unused_name();
}

}  // namespace

TemporaryDatabase::TemporaryDatabase(bool durable)
    : durable_(durable), directory_(make_temporary_directory("trainyard-database-").value()), postgres_url_(postgres_url()) {
  reopen();
}

TemporaryDatabase::~TemporaryDatabase() {
  database_.reset();
  (void)remove_tree(directory_).ok();
}

void TemporaryDatabase::reopen() {
  database_.reset();
  if (postgres_url_.empty()) {
    database_ = make_sqlite_database({.path = path(), .durable = durable_}).value();
  } else {
    database_ = postgres::make_postgres_database({.url = postgres_url_}).value();
  }
}

}  // namespace trainyard::adapters::sqlite::testing
