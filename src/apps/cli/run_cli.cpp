#include "apps/cli/run_cli.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "apps/cli/arguments.h"
#include "apps/cli/command_line.h"
#include "apps/cli/help_commands.h"
#include "apps/cli/help_pages.h"
#include "apps/cli/workflow_view.h"

namespace trainyard::apps {
namespace {

/// Configuration files and flags, and what follows from them for the output.
Result<void> configure(CommandContext& context, const Arguments& arguments) {
  std::error_code error;
  const std::string directory = std::filesystem::current_path(error).string();
  if (!arguments.command().offline) {
    ASSIGN_OR_RETURN(context.config, Config::load(config_places(directory, context.variables), context.variables));
  }
  for (const auto& [option, key] :
       {std::pair("url", "url"), std::pair("token-file", "token_file"), std::pair("ca-file", "ca_file"), std::pair("output", "output")}) {
    if (arguments.given(option)) context.config.set_flag(key, arguments.text(option));
  }
  const ConfigValue format = context.config.value("output");
  if (!is_output_format(format.value)) {
    return invalid_argument("config.type",
                            fmt::format("the output is table, wide, json, yaml, ndjson, name or jsonpath=EXPR: \"{}\"", format.value),
                            format.where);
  }
  context.output.format = format.value;
  context.output.quiet = arguments.given("quiet");
  context.no_input = arguments.given("no-input");
  return {};
}

int run_command(CommandContext& context, const Arguments& arguments) {
  if (const Result<void> configured = configure(context, arguments); !configured.ok()) {
    context.fail(configured.error());
    return context.exit_code;
  }
  arguments.command().run(context, arguments);
  return context.exit_code;
}

/// No command has worked whose output was lost. One that returns the code of a job says that the failure is its own.
int code_after_output(int code, const CommandSpec* command) {
  write_out(stdout, "");
  if (!is_lost(stdout)) return code;
  const bool returns_code =
      command != nullptr && std::find(command->exits.begin(), command->exits.end(), kOwnFailure) != command->exits.end();
  if (returns_code) return kOwnFailure;
  return code == kOk ? static_cast<int>(kFailed) : code;
}

/// Understands the words and does what they say.
int run_words(CommandContext& context, std::vector<std::string> words) {
  if (words.empty()) {
    std::fputs(help_text(command_tree(), *find_command(command_tree(), "")).c_str(), stderr);
    return kUsage;
  }
  if (words.size() == 1 && words[0] == "--version") words = {"version"};
  if (words[0] == "__complete") {
    std::error_code error;
    Result<Config> config =
        Config::load(config_places(std::filesystem::current_path(error).string(), context.variables), context.variables);
    if (config.ok()) context.config = std::move(config).value();
    answer_completion(context, {words.begin() + 1, words.end()});
    return code_after_output(kOk, nullptr);
  }
  const Result<ParsedLine> line = parse_command_line(command_tree(), words);
  if (!line.ok()) {
    context.fail(line.error());
    return context.exit_code;
  }
  const CommandSpec& command = line->arguments.command();
  if (!command.program.empty()) {
    context.fail(run_program(command, line->program_words));
    return context.exit_code;
  }
  if (line->wants_help) {
    write_out(stdout, help_text(command_tree(), command));
    return code_after_output(kOk, nullptr);
  }
  return code_after_output(run_command(context, line->arguments), &command);
}

}  // namespace

int run_cli(std::vector<std::string> words, std::string version) {
  CommandContext context;
  context.version = std::move(version);
  context.output.is_terminal = ::isatty(STDOUT_FILENO) == 1;
  context.output.style = style_of_output();
  return run_words(context, std::move(words));
}

}  // namespace trainyard::apps
