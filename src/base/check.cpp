#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace trainyard {

void check_failed(std::string_view expression, std::string_view message, const std::source_location& place) {
  std::fprintf(stderr, "%s:%u: invariant failed: %.*s: %.*s\n", place.file_name(), place.line(), static_cast<int>(expression.size()),
               expression.data(), static_cast<int>(message.size()), message.data());
  std::abort();
}

}  // namespace trainyard
