#include <fmt/format.h>

#include "apps/cli/help_pages.h"

namespace trainyard::apps {
namespace {

/// Text in a cell of a table.
std::string table_cell(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    if (letter == '|') out += '\\';
    out += letter;
  }
  return out;
}

std::string rows_of_options(const std::vector<OptionSpec>& options) {
  std::string out = "| option | |\n|---|---|\n";
  for (const OptionSpec& option : options) out += fmt::format("| `{}` | {} |\n", option_title(option), table_cell(option_doc(option)));
  return out + "\n";
}

std::string section(const CommandSpec& command) {
  std::string out = fmt::format("### {}\n\n{}. `{}`\n\n", full_name(command), command.summary, usage_line(command));
  if (!command.description.empty()) out += command.description + "\n\n";
  if (!command.arguments.empty()) out += "| argument | |\n|---|---|\n";
  for (const ArgumentSpec& argument : command.arguments)
    out += fmt::format("| `{}` | {} |\n", argument_title(argument), table_cell(argument.doc));
  if (!command.arguments.empty()) out += "\n";
  if (!command.options.empty()) out += rows_of_options(command.options);
  if (!command.examples.empty()) {
    out += "```sh\n";
    for (const ExampleSpec& example : command.examples)
      out += example.doc.empty() ? example.line + "\n" : fmt::format("{}  # {}\n", example.line, example.doc);
    out += "```\n\n";
  }
  std::string codes;
  for (const ExitCode code : command.exits) codes += fmt::format("{}{}", codes.empty() ? "" : ", ", static_cast<int>(code));
  if (!codes.empty()) out += fmt::format("Exit codes: {}.\n\n", codes);
  return out;
}

}  // namespace

std::string markdown_reference(std::span<const CommandSpec> tree) {
  std::string out = "## Options of every command\n\n" + rows_of_options(global_options());
  out += "## Exit codes\n\n| code | |\n|---|---|\n";
  const CommandSpec* program = find_command(tree, "");
  for (const ExitCode code : program->exits) out += fmt::format("| {} | {} |\n", static_cast<int>(code), meaning_of(code));
  out += "\n## Commands\n\n";
  for (const CommandSpec& command : tree) {
    if (!command.hidden && !command.path.empty() && !is_noun(command)) out += section(command);
  }
  while (out.ends_with("\n\n")) out.pop_back();
  return out;
}

}  // namespace trainyard::apps
