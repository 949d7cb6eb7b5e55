#pragma once
#include <optional>
#include <utility>

#include "store/database.h"

namespace trainyard::track::internal {

/// Runs `work(Connection&) -> Result<T>` in one read transaction and returns what it returned.
template <typename T, typename Work>
Result<T> read_value(store::Database& database, const Work& work) {
  std::optional<T> value;
  const Result<void> done = database.read([&](store::Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(value, work(sql));
    return {};
  });
  if (!done.ok()) return done.error();
  return *std::move(value);
}

/// The same in one write transaction: what `work` wrote is durable if this succeeds and undone if not.
template <typename T, typename Work>
Result<T> write_value(store::Database& database, const Work& work) {
  std::optional<T> value;
  const Result<void> done = database.write([&](store::Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(value, work(sql));
    return {};
  });
  if (!done.ok()) return done.error();
  return *std::move(value);
}

}  // namespace trainyard::track::internal
