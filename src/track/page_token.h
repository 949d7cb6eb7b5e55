#pragma once
#include <string>
#include <string_view>

#include "base/result.h"

namespace trainyard::track {

/// An opaque text for the position after `offset` rows. Clients pass it back unchanged.
std::string page_token(std::size_t offset);
/// The position of a token; 0 for an empty one. Errors: INVALID_ARGUMENT "track.page_token".
Result<std::size_t> page_offset(std::string_view token);

}  // namespace trainyard::track
