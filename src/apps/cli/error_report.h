#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/document.h"

namespace trainyard::apps {

/// Reads a file that an error points into; none when it is not here.
using SourceReader = std::function<std::optional<std::string>(const std::string& file)>;

/// A place in a file: "train.yaml:4:8".
struct FilePlace {
  std::string file;
  std::size_t line = 0;
  std::size_t column = 0;
};
std::optional<FilePlace> parse_file_place(std::string_view text);

/// An error for people, and for who has to find it in the server's log:
///
///   error: train.yaml:4:8: spec.range_reversed: the bounds are reversed: "4..2"
///     4 | tasks: 4..2
///       |        ^~~~
///   did you mean: 2..4
///   why: checking task train
///   next: `trainyard job submit --dry-run -f FILE` checks it again
///   request: 7f3a
///
/// `problem` is what the server said, null for an error of this side. `source` is the file that was sent, if any: JSON pointers are looked
/// up in it.
std::string error_report(const Error& error, const Document& problem, const std::string& source, const SourceReader& read);

/// The line of the file with marks below the word at the place; empty when there is no such place.
std::string caret_lines(const FilePlace& place, std::string_view text);

/// What to do next about an error whose message does not say so; empty when nothing is known.
std::string_view next_step(const Error& error);

}  // namespace trainyard::apps
