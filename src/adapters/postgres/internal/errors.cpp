#include "adapters/postgres/internal/errors.h"

#include <array>

namespace trainyard::adapters::postgres::internal {

Error access_refused(std::string message) {
  return {Category::kPermissionDenied,
          "db.access",
          "PostgreSQL refuses us, check user, password and rights in the state URL: " + std::move(message),
          {},
          {}};
}

bool is_refusal(std::string_view message) {
  for (const std::string_view sign : {"password authentication failed", "no password supplied", "no pg_hba.conf entry",
                                      "authentication failed", "does not exist", "permission denied"}) {
    if (message.find(sign) != std::string_view::npos) return true;
  }
  return false;
}

Error error_of_state(std::string_view state, std::string message) {
  const std::string detail = message + (state.empty() ? std::string() : " (SQLSTATE " + std::string(state) + ")");
  const std::string_view kind = state.substr(0, 2);
  if (state == "23505") return {Category::kAlreadyExists, "db.unique", "there is already a row with this key: " + detail, {}, {}};
  if (kind == "23") return failed_precondition("db.constraint", "the change violates a constraint: " + detail);
  if (state == "53100")
    return {Category::kResourceExhausted, "io.disk_full", "the disk of PostgreSQL is full, free some space: " + detail, {}, {}};
  if (kind == "28" || state == "42501") return access_refused(detail);
  if (state == "XX001" || state == "XX002") return data_loss("db.corrupt", "the database is damaged, restore it from a backup: " + detail);
  // Connections that fail, too few resources, locks and time-outs, a server that ends, system errors, conflicts with others.
  for (const std::string_view passing : {"08", "53", "55", "57", "58", "40"}) {
    if (kind == passing) return unavailable("db.unavailable", "PostgreSQL could not do it now, try again later: " + detail);
  }
  return internal_error("db.sql", "a statement failed: " + detail);
}

}  // namespace trainyard::adapters::postgres::internal
