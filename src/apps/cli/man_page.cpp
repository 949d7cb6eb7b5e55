#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/help_pages.h"

namespace trainyard::apps {
namespace {

/// Text for roff: backslashes and hyphens escaped, no line that looks like a request.
std::string roff(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (const char letter : text) {
    if (line_start && (letter == '.' || letter == '\'')) out += "\\&";
    line_start = letter == '\n';
    if (letter == '\\') {
      out += "\\e";
    } else if (letter == '-') {
      out += "\\-";
    } else {
      out += letter;
    }
  }
  return out;
}

std::string roff_paragraphs(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find("\n\n"), text.size());
    out += fmt::format(".PP\n{}\n", roff(text.substr(0, end)));
    text.remove_prefix(std::min(end + 2, text.size()));
  }
  return out;
}

std::string page_name(const CommandSpec& command) {
  std::string name = full_name(command);
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

std::string options_section(std::string_view heading, const std::vector<OptionSpec>& options) {
  if (options.empty()) return "";
  std::string out = fmt::format(".SH {}\n", heading);
  for (const OptionSpec& option : options) out += fmt::format(".TP\n.B {}\n{}.\n", roff(option_title(option)), roff(option_doc(option)));
  return out;
}

std::string exits_section(const CommandSpec& command) {
  if (command.exits.empty()) return "";
  std::string out = ".SH EXIT STATUS\n";
  for (const ExitCode code : command.exits) out += fmt::format(".TP\n.B {}\n{}\n", static_cast<int>(code), roff(meaning_of(code)));
  return out;
}

std::string see_also(std::span<const CommandSpec> tree, const CommandSpec& command) {
  std::vector<std::string> pages;
  const std::size_t space = command.path.rfind(' ');
  if (!command.path.empty()) {
    const CommandSpec* parent = find_command(tree, space == std::string::npos ? "" : command.path.substr(0, space));
    if (parent != nullptr) pages.push_back(fmt::format("{}(1)", roff(page_name(*parent))));
  }
  for (const CommandSpec* below : commands_below(tree, command.path)) pages.push_back(fmt::format("{}(1)", roff(page_name(*below))));
  return pages.empty() ? "" : fmt::format(".SH SEE ALSO\n{}\n", fmt::join(pages, ",\n"));
}

}  // namespace

std::string man_page_file(const CommandSpec& command) { return page_name(command) + ".1"; }

std::string man_page(std::span<const CommandSpec> tree, const CommandSpec& command, std::string_view version,
                     std::string_view program_help) {
  std::string title = page_name(command);
  std::transform(title.begin(), title.end(), title.begin(),
                 [](char letter) { return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 32) : letter; });
  std::string out = fmt::format(".TH \"{}\" 1 \"\" \"trainyard {}\" \"Trainyard\"\n", roff(title), roff(version));
  out += fmt::format(".SH NAME\n{} \\- {}\n", roff(page_name(command)), roff(command.summary));
  out += fmt::format(".SH SYNOPSIS\n.B {}\n", roff(usage_line(command)));
  out += fmt::format(".SH DESCRIPTION\n{}.\n{}", roff(command.summary), roff_paragraphs(command.description));
  for (const CommandSpec* below : commands_below(tree, command.path)) {
    out += fmt::format(".TP\n.B {}\n{}.\n", roff(full_name(*below)), roff(below->summary));
  }
  if (!command.arguments.empty()) out += ".SH ARGUMENTS\n";
  for (const ArgumentSpec& argument : command.arguments) {
    out += fmt::format(".TP\n.B {}\n{}.\n", roff(argument_title(argument)), roff(argument.doc));
  }
  out += options_section("OPTIONS", command.options);
  if (!program_help.empty()) out += fmt::format(".SH OPTIONS\n.nf\n{}\n.fi\n", roff(program_help));
  if (command.program.empty()) out += options_section("\"OPTIONS OF EVERY COMMAND\"", global_options());
  if (!command.examples.empty()) out += ".SH EXAMPLES\n";
  for (const ExampleSpec& example : command.examples) {
    if (!example.doc.empty()) out += fmt::format(".PP\n{}:\n", roff(example.doc));
    out += fmt::format(".PP\n.nf\n.RS\n{}\n.RE\n.fi\n", roff(example.line));
  }
  return out + exits_section(command) + see_also(tree, command);
}

}  // namespace trainyard::apps
