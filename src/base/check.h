#pragma once
#include <source_location>
#include <string_view>

namespace trainyard {

/// Writes the expression, the message and the place to stderr and aborts.
[[noreturn]] void check_failed(std::string_view expression, std::string_view message, const std::source_location& place);

}  // namespace trainyard

/// Aborts when an invariant of our own memory does not hold; on in every build. Never for input, environment or persisted state.
#define CHECK(condition, message)                                                        \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      ::trainyard::check_failed(#condition, (message), std::source_location::current()); \
    }                                                                                    \
  } while (false)
