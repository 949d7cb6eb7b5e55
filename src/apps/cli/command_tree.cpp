#include "apps/cli/command_tree.h"

#include <algorithm>

namespace trainyard::apps {
namespace {

CommandSpec program_itself() {
  return {
      .path = "",
      .summary = "From raw data to a served, monitored model",
      .description =
          "Trainyard runs jobs, workflows and models on one machine or many. `trainyard up` starts all of it here; every other command "
          "talks to a server, which is found by --url, TRAINYARD_URL, a configuration file (`trainyard config explain`) or the data "
          "directory of `trainyard up`.\n\nData goes to standard output and everything else to standard error. Nothing is asked unless "
          "both are terminals.",
      .examples = {{"trainyard demo", "The main job on real data, on a server of its own"},
                   {"trainyard up", "A server on this machine"},
                   {"trainyard job submit --follow -- echo hello", "A first job"},
                   {"trainyard doctor", "What is missing here"}},
      .exits = {kOk, kFailed, kUsage, kNotFound, kAuthentication, kConflict, kUnavailable, kQuota, kOwnFailure, kInterrupted},
  };
}

std::vector<CommandSpec> make_tree() {
  std::vector<CommandSpec> tree{program_itself()};
  for (const auto& part : {start_commands, job_commands, job_control_commands, job_shortcut_commands, workflow_commands, apply_commands,
                           cluster_commands, catalog_commands, access_commands, help_commands}) {
    std::vector<CommandSpec> commands = part();
    std::move(commands.begin(), commands.end(), std::back_inserter(tree));
  }
  return tree;
}

bool is_below(std::string_view path, std::string_view parent) {
  if (path.empty()) return false;
  if (parent.empty()) return path.find(' ') == std::string_view::npos;
  return path.starts_with(parent) && path.size() > parent.size() && path[parent.size()] == ' ' &&
         path.find(' ', parent.size() + 1) == std::string_view::npos;
}

const OptionSpec* find_option(const std::vector<OptionSpec>& options, std::string_view word) {
  for (const OptionSpec& option : options) {
    const bool is_long = word.size() > 2 && word.starts_with("--") && word.substr(2) == option.name;
    const bool is_short = word.size() == 2 && word[0] == '-' && option.letter != 0 && word[1] == option.letter;
    if (is_long || is_short) return &option;
  }
  return nullptr;
}

}  // namespace

std::string_view meaning_of(ExitCode code) {
  switch (code) {
    case kOk:
      return "It worked.";
    case kFailed:
      return "A job or check failed, the server could not do it, or the output could not be written.";
    case kUsage:
      return "The command line or the file given is wrong.";
    case kNotFound:
      return "What was named is not there.";
    case kAuthentication:
      return "No token, a wrong one, or one that does not allow it.";
    case kConflict:
      return "It conflicts with what is there.";
    case kUnavailable:
      return "The server does not answer, or a time limit passed.";
    case kQuota:
      return "A quota or limit is reached.";
    case kOwnFailure:
      return "The command itself failed; any other code is the job's own.";
    case kInterrupted:
      return "It was interrupted (SIGINT; jobs go on), or its question was answered with no.";
  }
  return "";
}

std::vector<ExitCode> exits_with_server() {
  return {kOk, kFailed, kUsage, kNotFound, kAuthentication, kConflict, kUnavailable, kQuota, kInterrupted};
}
std::vector<ExitCode> exits_without_server() { return {kOk, kFailed, kUsage}; }
std::vector<ExitCode> exits_of_job() { return {kOk, kFailed, kUsage, kOwnFailure, kInterrupted}; }

const std::vector<OptionSpec>& global_options() {
  static const std::vector<OptionSpec> options{
      {.name = "url", .value = "URL", .doc = "Server to talk to, as http://host:port"},
      {.name = "token-file", .value = "FILE", .doc = "File that holds the access token", .names = Names::kFile},
      {.name = "ca-file", .value = "FILE", .doc = "Certificates (PEM) to trust when the server speaks TLS", .names = Names::kFile},
      {.name = "output",
       .letter = 'o',
       .value = "FORMAT",
       .doc = "table, wide, json, yaml, ndjson, name or jsonpath=EXPR",
       .type = ValueType::kOutput,
       .choices = {"table", "wide", "json", "yaml", "ndjson", "name", "jsonpath="}},
      {.name = "quiet", .letter = 'q', .doc = "Print ids only"},
      {.name = "no-input", .doc = "Never ask; what would need an answer fails"},
      {.name = "help", .letter = 'h', .doc = "Show this help"},
  };
  return options;
}

const std::vector<CommandSpec>& command_tree() {
  static const std::vector<CommandSpec> tree = make_tree();
  return tree;
}

const CommandSpec* find_command(std::span<const CommandSpec> tree, std::string_view path) {
  const auto found = std::find_if(tree.begin(), tree.end(), [path](const CommandSpec& command) { return command.path == path; });
  return found == tree.end() ? nullptr : &*found;
}

std::vector<const CommandSpec*> commands_below(std::span<const CommandSpec> tree, std::string_view path) {
  std::vector<const CommandSpec*> below;
  for (const CommandSpec& command : tree) {
    if (!command.hidden && is_below(command.path, path)) below.push_back(&command);
  }
  return below;
}

std::string_view last_word(const CommandSpec& command) {
  const std::string_view path = command.path;
  return path.substr(path.rfind(' ') + 1);
}

std::string full_name(const CommandSpec& command) { return command.path.empty() ? "trainyard" : "trainyard " + command.path; }

bool is_noun(const CommandSpec& command) { return command.run == nullptr && command.program.empty(); }

const OptionSpec* find_option(const CommandSpec& command, std::string_view word) {
  const OptionSpec* own = find_option(command.options, word);
  return own != nullptr ? own : find_option(global_options(), word);
}

}  // namespace trainyard::apps
