#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard::apps {

struct CommandContext;
class Arguments;

/// Exit codes of the CLI. Commands that return the job's own code use kOwnFailure for theirs.
enum ExitCode : int {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kNotFound = 3,
  kAuthentication = 4,
  kConflict = 5,
  kUnavailable = 6,
  kQuota = 7,
  kOwnFailure = 125,
  kInterrupted = 130,
};
/// One sentence on what a code says.
std::string_view meaning_of(ExitCode code);

/// What a value names, so that completion can offer what there is.
enum class Names {
  kNothing,
  kFile,
  kDirectory,
  kJob,
  kQueue,
  kNode,
  kPool,
  kUser,
  kToken,
  kWorkflow,
  kRun,
  kModel,
  kDataset,
  kCommand,
  kSetting
};

/// How a value is checked before the command runs.
enum class ValueType { kText, kInteger, kDuration, kOutput };

struct OptionSpec {
  std::string name;    ///< Without the dashes: "limit".
  char letter = 0;     ///< 'o' for -o; 0: none.
  std::string value;   ///< What stands for the value in the help, "N"; empty: a switch.
  std::string doc;     ///< One line, no full stop.
  std::string preset;  ///< The value when it is not given; shown in the help. Empty: none.
  ValueType type = ValueType::kText;
  std::int64_t min = 0;  ///< Bounds of an integer, inclusive.
  std::int64_t max = INT64_MAX;
  std::vector<std::string> choices;  ///< Every value there is; empty: any.
  Names names = Names::kNothing;
  bool repeated = false;
};

struct ArgumentSpec {
  std::string name;
  std::string doc;
  bool required = false;
  bool repeated = false;  ///< Takes all words that are left; only the last argument may.
  Names names = Names::kNothing;
};

struct ExampleSpec {
  std::string line;
  std::string doc;
};

/// Runs a command: prints, and leaves the exit code in the context.
using CommandHandler = void (*)(CommandContext& context, const Arguments& arguments);

/// Everything about a command: parsing, help, man page, completion and the reference derive from it.
struct CommandSpec {
  std::string path;         ///< "job submit"; empty for the program itself.
  std::string summary;      ///< One line, no full stop.
  std::string description;  ///< Paragraphs behind the summary; may be empty.
  std::vector<ArgumentSpec> arguments;
  std::vector<OptionSpec> options;
  std::vector<ExampleSpec> examples;
  std::vector<ExitCode> exits;
  CommandHandler run = nullptr;  ///< Null for a noun, which only holds commands, and for another program.
  std::string program;           ///< A program beside this one that is this command: it gets all words that follow.
  bool offline = false;          ///< Works without server and without reading configuration files.
  bool hidden = false;           ///< For machines: neither listed nor documented.
};

/// Exit codes that many commands share.
std::vector<ExitCode> exits_with_server();
std::vector<ExitCode> exits_without_server();
/// Of commands that return the job's code.
std::vector<ExitCode> exits_of_job();

/// Options that every command takes.
const std::vector<OptionSpec>& global_options();

/// All commands: a noun stands before its verbs. The first one is the program itself.
const std::vector<CommandSpec>& command_tree();

/// The command of that path, or nullptr.
const CommandSpec* find_command(std::span<const CommandSpec> tree, std::string_view path);
/// The commands one word below `path`, without hidden ones.
std::vector<const CommandSpec*> commands_below(std::span<const CommandSpec> tree, std::string_view path);
/// The last word of its path.
std::string_view last_word(const CommandSpec& command);
/// "trainyard job submit"
std::string full_name(const CommandSpec& command);
/// True when it holds commands and does nothing itself.
bool is_noun(const CommandSpec& command);

/// The option called "--name" or "-l", of the command or global; or nullptr.
const OptionSpec* find_option(const CommandSpec& command, std::string_view word);

// The parts of the tree, in the order of the help; one function for each file of commands.
std::vector<CommandSpec> start_commands();
std::vector<CommandSpec> job_commands();
std::vector<CommandSpec> job_control_commands();
std::vector<CommandSpec> job_shortcut_commands();
std::vector<CommandSpec> workflow_commands();
std::vector<CommandSpec> apply_commands();
std::vector<CommandSpec> cluster_commands();
std::vector<CommandSpec> catalog_commands();
std::vector<CommandSpec> access_commands();
std::vector<CommandSpec> help_commands();

}  // namespace trainyard::apps
