#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/cli/command_tree.h"
#include "base/time.h"

namespace trainyard::apps {

/// The words of one command line, sorted by what they mean. Every name asked for must stand in the command's description (CHECK); types and
/// bounds were checked when it was parsed.
class Arguments {
 public:
  explicit Arguments(const CommandSpec& command) : command_(&command) {}

  const CommandSpec& command() const { return *command_; }

  /// Whether an option or argument stood on the command line.
  bool given(std::string_view name) const;
  /// The value of an option or argument, the last one if there are several; its preset, else "", when it was not given.
  std::string text(std::string_view name) const;
  std::vector<std::string> all(std::string_view name) const;
  std::int64_t number(std::string_view name) const;
  Duration duration(std::string_view name) const;

  void add(std::string_view name, std::string value);

 private:
  const CommandSpec* command_;
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

/// What a command line asks for.
struct ParsedLine {
  Arguments arguments;                     ///< Of the command that was named.
  bool wants_help = false;                 ///< --help stood somewhere; nothing else is checked then.
  std::vector<std::string> program_words;  ///< For a command that is a program of its own: all that follows its name.
};

/// Sorts the words behind the program's name. Options may stand anywhere behind the word of their command; global ones anywhere; `--` ends
/// them. Errors: INVALID_ARGUMENT "cli.usage", which names the word and suggests the nearest one; its `where` is the command line that
/// explains it, "trainyard job --help".
Result<ParsedLine> parse_command_line(std::span<const CommandSpec> tree, std::span<const std::string> words);

/// Whether `text` is an output format: "json", "jsonpath=.jobs[0].id" and so on.
bool is_output_format(std::string_view text);

}  // namespace trainyard::apps
