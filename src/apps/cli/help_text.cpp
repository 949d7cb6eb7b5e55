#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "apps/cli/help_pages.h"

namespace trainyard::apps {
namespace {

constexpr std::size_t kColumns = 100;
constexpr std::size_t kTitleMax = 30;

/// Breaks a paragraph at spaces into lines of at most `columns`.
std::vector<std::string> wrap(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    std::size_t end = text.size();
    if (end > columns) {
      end = text.rfind(' ', columns);
      if (end == std::string_view::npos || end == 0) end = std::min(text.find(' '), text.size());
    }
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string paragraphs(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find("\n\n"), text.size());
    for (const std::string& line : wrap(text.substr(0, end), kColumns)) out += line + "\n";
    text.remove_prefix(std::min(end + 2, text.size()));
    out += "\n";
  }
  return out;
}

using Entries = std::vector<std::pair<std::string, std::string>>;

std::string definition_list(std::string_view heading, const Entries& entries) {
  if (entries.empty()) return "";
  std::size_t width = 0;
  for (const auto& [title, doc] : entries) width = std::max(width, std::min(title.size(), kTitleMax));
  std::string out = fmt::format("{}:\n", heading);
  const std::string indent(width + 4, ' ');
  for (const auto& [title, doc] : entries) {
    const std::vector<std::string> lines = wrap(doc, kColumns - width - 4);
    out += title.size() > width ? fmt::format("  {}\n{}", title, indent) : fmt::format("  {:<{}}  ", title, width);
    for (std::size_t i = 0; i < lines.size(); ++i) out += (i == 0 ? "" : indent) + lines[i] + (i + 1 < lines.size() ? "\n" : "");
    out += "\n";
  }
  return out + "\n";
}

std::string_view short_name(ExitCode code) {
  switch (code) {
    case kOk:
      return "ok";
    case kFailed:
      return "failed";
    case kUsage:
      return "usage";
    case kNotFound:
      return "not found";
    case kAuthentication:
      return "authentication";
    case kConflict:
      return "conflict";
    case kUnavailable:
      return "unavailable";
    case kQuota:
      return "quota";
    case kOwnFailure:
      return "own failure, others are the job's";
    case kInterrupted:
      return "interrupted";
  }
  return "";
}

std::string exit_line(const CommandSpec& command) {
  if (command.exits.empty()) return "";
  std::string out;
  for (const ExitCode code : command.exits)
    out += fmt::format("{}{} {}", out.empty() ? "Exit codes: " : ", ", static_cast<int>(code), short_name(code));
  return fmt::format("{}\n", fmt::join(wrap(out + ".", kColumns), "\n"));
}

std::string example_lines(const CommandSpec& command) {
  if (command.examples.empty()) return "";
  std::string out = "Examples:\n";
  for (const ExampleSpec& example : command.examples) {
    out += example.doc.empty() ? fmt::format("  {}\n", example.line) : fmt::format("  {:<50} # {}\n", example.line, example.doc);
  }
  return out + "\n";
}

}  // namespace

std::string option_title(const OptionSpec& option) {
  const std::string name = option.letter != 0 ? fmt::format("-{}, --{}", option.letter, option.name) : fmt::format("--{}", option.name);
  return option.value.empty() ? name : name + " " + option.value;
}

std::string argument_title(const ArgumentSpec& argument) {
  std::string name = argument.name;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char letter) { return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 32) : letter; });
  if (argument.repeated) name += "...";
  return argument.required ? name : "[" + name + "]";
}

std::string option_doc(const OptionSpec& option) {
  std::string doc = option.doc;
  if (!option.choices.empty() && option.type != ValueType::kOutput) doc += fmt::format(": {}", fmt::join(option.choices, ", "));
  if (option.repeated) doc += "; may be repeated";
  if (!option.preset.empty()) doc += fmt::format(" [{}]", option.preset);
  return doc;
}

std::string usage_line(const CommandSpec& command) {
  std::string line = full_name(command);
  if (is_noun(command)) return line + " COMMAND";
  if (!command.program.empty()) return line + " [OPTIONS]";
  if (!command.options.empty()) line += " [OPTIONS]";
  for (const ArgumentSpec& argument : command.arguments) line += " " + argument_title(argument);
  return line;
}

std::string help_text(std::span<const CommandSpec> tree, const CommandSpec& command) {
  std::string out = fmt::format("{}\n\nUsage: {}\n\n", command.summary, usage_line(command));
  out += paragraphs(command.description);
  Entries commands;
  for (const CommandSpec* below : commands_below(tree, command.path)) commands.emplace_back(last_word(*below), below->summary);
  out += definition_list("Commands", commands);
  Entries arguments;
  for (const ArgumentSpec& argument : command.arguments) arguments.emplace_back(argument_title(argument), argument.doc);
  out += definition_list("Arguments", arguments);
  Entries options;
  for (const OptionSpec& option : command.path.empty() ? global_options() : command.options) {
    options.emplace_back(option_title(option), option_doc(option));
  }
  out += definition_list(command.path.empty() ? "Options of every command" : "Options", options);
  out += example_lines(command);
  out += exit_line(command);
  if (!command.path.empty() && command.program.empty()) {
    out += "Every command also takes --url, --token-file, -o FORMAT, -q and --no-input; see `trainyard --help`.\n";
  }
  return out;
}

}  // namespace trainyard::apps
