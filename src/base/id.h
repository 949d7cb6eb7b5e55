#pragma once
#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace trainyard {

/// A dense number that names one kind of thing; ids of different kinds do not mix. Zero means "none yet".
template <typename Tag, typename Number = std::uint64_t>
struct Id {
  Number value = 0;

  constexpr Id() = default;
  constexpr explicit Id(Number number) : value(number) {}
  constexpr bool valid() const { return value != 0; }
  std::string text() const { return std::to_string(value); }
  constexpr auto operator<=>(const Id&) const = default;
};

/// A text that names one kind of thing.
template <typename Tag>
struct Name {
  std::string text;
  auto operator<=>(const Name&) const = default;
};

}  // namespace trainyard

template <typename Tag, typename Number>
struct std::hash<trainyard::Id<Tag, Number>> {
  std::size_t operator()(const trainyard::Id<Tag, Number>& id) const noexcept { return std::hash<Number>{}(id.value); }
};
