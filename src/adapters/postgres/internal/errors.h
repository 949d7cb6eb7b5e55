#pragma once
#include <string>
#include <string_view>

#include "base/error.h"

namespace trainyard::adapters::postgres::internal {

/// The error of store::Connection that a SQLSTATE stands for (https://www.postgresql.org/docs/15/errcodes-appendix.html).
Error error_of_state(std::string_view state, std::string message);
/// PERMISSION_DENIED "db.access".
Error access_refused(std::string message);
/// Whether what libpq says about a connection that it could not make is about who we are; there is no SQLSTATE then.
bool is_refusal(std::string_view message);

}  // namespace trainyard::adapters::postgres::internal
