#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trainyard::adapters::postgres::internal {

// Values in the binary form of PostgreSQL's protocol: integers big-endian.

std::string wire_bigint(std::int64_t number);
/// Errors: DATA_LOSS "db.corrupt" when the bytes are no BIGINT.
Result<std::int64_t> bigint_from(std::string_view bytes);

/// A one-dimensional array as a parameter, built element by element.
class WireArray {
 public:
  enum class Of { kBigint, kBytes };
  explicit WireArray(Of type);
  void add(std::int64_t number);
  void add(std::string_view bytes);
  std::size_t size_bytes() const { return bytes_.size(); }
  std::string finish() &&;

 private:
  std::string bytes_;
  std::uint32_t count_ = 0;
};

}  // namespace trainyard::adapters::postgres::internal
