#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sim/text_input.h"

namespace trainyard::sim {

// Parsers of single values. The answer is empty when all is well, else what is wrong and what is expected instead.

/// A decimal number of seconds, as "12", "0.5" or "1e-3", to whole microseconds, rounded half up. At least 0, at most kSecondsMax.
std::string_view parse_seconds(std::string_view text, std::int64_t& micros);
constexpr std::int64_t kSecondsMax = 10'000'000'000;  ///< 317 years: beyond any trace, and sums stay far from overflow.

/// As parse_seconds, negative values too. For formats where -1 stands for unknown.
std::string_view parse_signed_seconds(std::string_view text, std::int64_t& micros);

/// A decimal integer in [least, most], nothing before or after it.
std::string_view parse_whole(std::string_view text, std::int64_t least, std::int64_t most, std::int64_t& value);

/// A finite decimal number >= 0.
std::string_view parse_weight(std::string_view text, double& value);

/// A name: valid UTF-8 without control characters, at most 1,000 bytes.
std::string_view check_name(std::string_view text);

/// Seconds with at most 6 places, no exponent, no trailing zeros: "0", "-0.5", "12.000001".
void append_seconds(std::string& out, std::int64_t micros);
std::string seconds_text(std::int64_t micros);

/// `text` as it may stand in a message: control characters and bad UTF-8 escaped, cut after 60 bytes.
std::string shown(std::string_view text);

/// Splits a CSV record at its commas; a quoted field loses its quotes, "" becomes ". `unescaped` keeps fields that changed.
/// Answers what is wrong, or nothing.
std::string_view split_csv(std::string_view record, std::vector<std::string_view>& fields, std::string& unescaped);

/// Appends a CSV field, quoted where RFC 4180 needs it or where a line would be taken for a comment.
void append_csv(std::string& out, std::string_view field);

/// INVALID_ARGUMENT `id` at "file:line" about the field `name`: its text, and what is wrong with it.
Error field_error(const Place& place, std::string id, std::string_view name, std::string_view text, std::string_view wrong);
/// The same about a whole record.
Error record_error(const Place& place, std::string id, std::string message);

}  // namespace trainyard::sim
