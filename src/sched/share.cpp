#include "sched/share.h"

#include <algorithm>

namespace trainyard::sched {
namespace {

/// A product of three factors >= 0 of 63 bits each.
struct Product {
  unsigned __int128 high = 0;  ///< In units of 2^64.
  std::uint64_t low = 0;

  auto operator<=>(const Product&) const = default;
};

Product product(std::int64_t a, std::int64_t b, std::int64_t c) {
  const auto ab = static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b);
  const auto factor = static_cast<std::uint64_t>(c);
  const unsigned __int128 low = static_cast<unsigned __int128>(static_cast<std::uint64_t>(ab)) * factor;
  const unsigned __int128 high = (ab >> 64) * factor;
  return {high + (low >> 64), static_cast<std::uint64_t>(low)};
}

std::strong_ordering order(bool less, bool greater) {
  if (less) return std::strong_ordering::less;
  return greater ? std::strong_ordering::greater : std::strong_ordering::equal;
}

}  // namespace

double Share::value() const { return fraction() * 1000 / static_cast<double>(weight_milli > 0 ? weight_milli : 1); }

std::strong_ordering Share::operator<=>(const Share& other) const {
  const bool last = weight_milli <= 0;
  const bool other_last = other.weight_milli <= 0;
  if (last != other_last) return order(other_last, last);
  const std::int64_t weight = last ? 1 : weight_milli;
  const std::int64_t other_weight = last ? 1 : other.weight_milli;
  if (capacity == other.capacity) {
    const auto mine = static_cast<unsigned __int128>(used) * static_cast<unsigned __int128>(other_weight);
    const auto theirs = static_cast<unsigned __int128>(other.used) * static_cast<unsigned __int128>(weight);
    return order(mine<theirs, mine> theirs);
  }
  const Product mine = product(used, other.capacity, other_weight);
  const Product theirs = product(other.used, capacity, weight);
  return order(mine<theirs, mine> theirs);
}

Share share_of(const Amounts& used, const Amounts& capacity, std::int64_t weight_milli) {
  Share share{.used = 0, .capacity = 1, .weight_milli = weight_milli, .kind = kCpu};
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    if (capacity[kind] <= 0 || used[kind] <= 0) continue;
    const Share other{.used = used[kind], .capacity = capacity[kind], .weight_milli = weight_milli, .kind = kind};
    if (other > share) share = other;
  }
  return share;
}

}  // namespace trainyard::sched
