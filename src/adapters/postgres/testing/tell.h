#pragma once
#include <gtest/gtest.h>

#include <string>

#include "adapters/postgres/internal/session.h"
#include "store/testing/server_process.h"

namespace trainyard::adapters::postgres::testing {

/// Talks to a server past what is tested, as an administrator does. Fails the test when the server refuses.
inline std::string tell(const std::string& url, const std::string& sql) {
  internal::Session session({.url = internal::parse_postgres_url(url).value(),
                             .connect_timeout = std::chrono::seconds(5),
                             .starting_timeout = std::chrono::seconds(60),
                             .answer_timeout = std::chrono::seconds(60),
                             .statement_timeout = Duration(0),
                             .lock_timeout = Duration(0),
                             .idle_transaction_timeout = Duration(0)});
  const Result<bool> connected = session.connect();
  EXPECT_TRUE(connected.ok()) << connected.error().describe();
  if (!connected.ok()) return {};
  const Result<internal::PgResult> done = session.run(sql);
  EXPECT_TRUE(done.ok()) << done.error().describe();
  if (!done.ok() || PQntuples(done->get()) == 0) return {};
  return std::string(internal::text_at(**done, 0, 0));
}

}  // namespace trainyard::adapters::postgres::testing
