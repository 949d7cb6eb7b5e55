#pragma once
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trainyard::net {

/// A request target taken apart and decoded once.
struct Target {
  std::string path;
  std::multimap<std::string, std::string> query;  ///< '+' in a query is a space.
};

/// Takes "/path?query" apart. Refuses what only an attack or a mistake sends: no leading slash, control characters, and the segments "."
/// and ".." (after decoding, so that "%2e%2e" does not help). Errors: INVALID_ARGUMENT "http.encoding" or "http.path".
Result<Target> parse_target(std::string_view target);

}  // namespace trainyard::net
