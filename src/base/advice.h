#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/document.h"

namespace trainyard {

// Words about wrong values, for messages to those who wrote them. What may have been meant is empty where nothing can be told.

/// What stands at a node: `the text "yes"`, "the number 2.5", "a list"; long texts are cut.
std::string shown_value(const Document& node);

/// "4" for "4" and 4.0.., "2" for 2.5: a whole number that a wrong value was meant as.
std::string meant_integer(const Document& node);
/// "true" for "yes", "on" and 1.
std::string meant_boolean(const Document& node);
/// `"12"` for 12, "[..]" for nothing else.
std::string meant_text(const Document& node);
/// `["sleep", "10"]` for "sleep 10".
std::string meant_list(const Document& node);
/// `{"A": "1"}` for ["A=1"] and for "A=1".
std::string meant_map(const Document& node);

/// `"4GB" or "4GiB"` for "4G", `"512MB"` for "512mb".
std::string meant_byte_size(std::string_view text);
/// `"10m"` for "10 minutes", `"5s"` for "5".
std::string meant_duration(std::string_view text);
/// "2" for "2 cores".
std::string meant_cpu(std::string_view text);

/// "; write X" or nothing when `meant` is empty.
std::string write_instead(const std::string& meant);

}  // namespace trainyard
