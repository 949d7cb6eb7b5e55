#pragma once
#include <string>

#include "base/result.h"

namespace trainyard::adapters::sqlite::internal {

/// Looks for damage in the middle of a SQLite write-ahead log, which SQLite itself takes for its end: it would open the database without
/// the commits that follow, though they were acknowledged. A frame behind the damage whose predecessor is a commit proves that the commit
/// was synced, since the next transaction starts only after that. Damage in the last transaction looks like a write that a crash cut
/// short, and is left to SQLite, which drops the transaction. An absent log is in order.
/// Format: https://www.sqlite.org/fileformat2.html#walformat. Errors: DATA_LOSS "db.corrupt".
Result<void> check_write_ahead_log(const std::string& path);

}  // namespace trainyard::adapters::sqlite::internal
