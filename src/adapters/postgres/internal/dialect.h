#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace trainyard::adapters::postgres::internal {

struct Translated {
  std::string sql;
  std::size_t parameters = 0;
};

/// The SQL of store::Connection in PostgreSQL's words: the parameters `?` become $1, $2 ..; in CREATE and ALTER, written in capitals, the
/// type BLOB becomes BYTEA, and TEXT compares byte by byte (COLLATE "C"), as it does in SQLite. Literals, quoted names and comments stay.
Translated translate(std::string_view sql);

}  // namespace trainyard::adapters::postgres::internal
