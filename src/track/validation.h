#pragma once
#include <string>
#include <string_view>

#include "base/result.h"

namespace trainyard::track {

/// Bounds that clients of MLflow know.
inline constexpr std::size_t kKeyMax = 250;
inline constexpr std::size_t kParamValueMax = 6000;   ///< Longer values are cut.
inline constexpr std::size_t kRunTagValueMax = 8000;  ///< Longer values are cut.
inline constexpr std::size_t kExperimentNameMax = 500;
inline constexpr std::size_t kExperimentTagValueMax = 20000;
inline constexpr std::size_t kRegistryTagValueMax = 100000;
inline constexpr std::size_t kAliasMax = 255;

// The checks below have the texts on which clients of MLflow match. `parameter` is the JSON path of the value. Errors: INVALID_ARGUMENT
// "track.missing", "track.name", "track.length", "track.namespace".

/// The error for a value that must be given and is absent or empty.
Error missing_parameter(std::string_view parameter);
/// A metric, param or tag key: bounded length, a known alphabet, and a path that is its own normal form.
Result<void> check_key(std::string_view key, std::string_view parameter, std::string_view what);
Result<void> check_length(std::string_view value, std::size_t max, std::string_view what);
/// [A-Za-z0-9] and then up to 255 letters, digits, '_' and '-'.
Result<void> check_run_id(std::string_view id);
/// 1 to 63 lower-case letters, digits and '-', with a letter or digit at the ends.
Result<void> check_namespace(std::string_view name);
/// The experiment's number. Errors: NOT_FOUND for what cannot be one.
Result<std::int64_t> experiment_number(std::string_view id);

/// At most `max` bytes, never cutting a UTF-8 character.
std::string cut_text(std::string value, std::size_t max);

/// The shortest path with the same meaning: "a//b/./c/.." is "a/b". Empty becomes ".".
std::string normal_path(std::string_view path);

}  // namespace trainyard::track
