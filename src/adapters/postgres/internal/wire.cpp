#include "adapters/postgres/internal/wire.h"

namespace trainyard::adapters::postgres::internal {
namespace {

// Of pg_type.
constexpr std::uint32_t kBigintType = 20;
constexpr std::uint32_t kBytesType = 17;
/// Dimensions, whether there are nulls, element type; then count and lower bound of the one dimension.
constexpr std::size_t kCountAt = 12;
constexpr std::size_t kHeaderSize = 20;

template <typename Number>
void put(std::string& bytes, Number number) {
  for (int shift = 8 * (static_cast<int>(sizeof(Number)) - 1); shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift);
}

}  // namespace

std::string wire_bigint(std::int64_t number) {
  std::string bytes;
  put(bytes, static_cast<std::uint64_t>(number));
  return bytes;
}

Result<std::int64_t> bigint_from(std::string_view bytes) {
  if (bytes.size() != 8) return data_loss("db.corrupt", "a number of the database has another size than it should");
  std::uint64_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
  return static_cast<std::int64_t>(number);
}

WireArray::WireArray(Of type) {
  put(bytes_, std::uint32_t{1});
  put(bytes_, std::uint32_t{0});
  put(bytes_, type == Of::kBigint ? kBigintType : kBytesType);
  put(bytes_, std::uint32_t{0});  // The count, filled in at the end.
  put(bytes_, std::uint32_t{1});
}

void WireArray::add(std::int64_t number) {
  put(bytes_, std::uint32_t{8});
  put(bytes_, static_cast<std::uint64_t>(number));
  ++count_;
}

void WireArray::add(std::string_view bytes) {
  put(bytes_, static_cast<std::uint32_t>(bytes.size()));
  bytes_ += bytes;
  ++count_;
}

std::string WireArray::finish() && {
  static_assert(kCountAt + 8 == kHeaderSize);
  std::string count;
  put(count, count_);
  bytes_.replace(kCountAt, count.size(), count);
  return std::move(bytes_);
}

}  // namespace trainyard::adapters::postgres::internal
