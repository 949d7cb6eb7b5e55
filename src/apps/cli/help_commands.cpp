#include <fmt/format.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "apps/cli/arguments.h"
#include "apps/cli/command_line.h"
#include "apps/cli/completion.h"
#include "apps/cli/help_commands.h"
#include "apps/cli/help_pages.h"
#include "apps/cli/resources.h"
#include "apps/programs.h"
#include "base/file.h"

namespace trainyard::apps {
namespace {

/// A shell waits for the answer with every key: after this there is none.
constexpr std::chrono::milliseconds kCompletionTime{180};
constexpr std::size_t kCandidatesMax = 200;

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

/// What another program prints for --help; empty when it is not installed.
std::string help_of_program(const CommandSpec& command) {
  const Result<std::string> path = find_program(command.program);
  if (!path.ok()) return "";
  const bool of_server = command.program == "trainyard-server";
  // The path is our own program's directory; the other words are constants.
  const std::string line = "'" + *path + "' " + (of_server ? command.path + " " : "") + "--help 2>/dev/null";
  std::FILE* const pipe = ::popen(line.c_str(), "re");
  if (pipe == nullptr) return "";
  std::string text;
  char piece[4096];
  while (const std::size_t got = std::fread(piece, 1, sizeof(piece), pipe)) text.append(piece, got);
  ::pclose(pipe);
  return text;
}

/// The options that a help text lists: the first word of an indented line, up to a comma or space.
std::vector<Candidate> options_in(std::string_view help) {
  std::vector<Candidate> found;
  while (!help.empty()) {
    std::string_view line = help.substr(0, help.find('\n'));
    help.remove_prefix(std::min(line.size() + 1, help.size()));
    const std::size_t begin = line.find("--");
    if (begin == std::string_view::npos || line.find_first_not_of(' ') == 0) continue;
    if (line.substr(0, begin).find_first_not_of(" -,abcdefghijklmnopqrstuvwxyz") != std::string_view::npos || begin > 8) continue;
    line.remove_prefix(begin);
    const std::size_t end = std::min(line.find_first_of(" ,="), line.size());
    const std::size_t doc = line.find("  ", end);
    std::string_view text = doc == std::string_view::npos ? "" : line.substr(doc);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    found.push_back({std::string(line.substr(0, end)), std::string(text)});
  }
  return found;
}

void show_help(CommandContext& context, const Arguments& arguments) {
  if (arguments.given("markdown")) return write_out(stdout, markdown_reference(command_tree()));
  const std::string path = joined(arguments.all("command"));
  const CommandSpec* command = find_command(command_tree(), path);
  if (command == nullptr) {
    std::vector<std::string> words = arguments.all("command");
    const Result<ParsedLine> line = parse_command_line(command_tree(), words);
    const std::string why = line.ok() ? "there is no such command: trainyard " + path : line.error().message;
    return context.fail(invalid_argument("cli.usage", why, "trainyard --help"));
  }
  if (!command->program.empty()) return context.fail(run_program(*command, {"--help"}));
  write_out(stdout, help_text(command_tree(), *command));
}

void show_version(CommandContext& context, const Arguments&) {
  print(context, Document::object({{"version", context.version}}),
        [](const Document& shown) { return fmt::format("trainyard {}\n", shown["version"].text()); });
}

void show_completion(CommandContext&, const Arguments& arguments) { write_out(stdout, completion_script(arguments.text("shell"))); }

Result<void> write_pages(const CommandContext& context, const std::string& directory) {
  TRY(make_directories(directory));
  for (const CommandSpec& command : command_tree()) {
    if (command.hidden) continue;
    const std::string help = command.program.empty() ? "" : help_of_program(command);
    TRY(write_file_atomically(directory + "/" + man_page_file(command), man_page(command_tree(), command, context.version, help), 0644));
  }
  return {};
}

void write_man(CommandContext& context, const Arguments& arguments) {
  if (!arguments.given("directory")) {
    return write_out(stdout, man_page(command_tree(), *find_command(command_tree(), ""), context.version, ""));
  }
  const Result<void> written = write_pages(context, arguments.text("directory"));
  if (!written.ok()) return context.fail(written.error());
  if (!context.output.quiet)
    fmt::print(stderr, "manual pages written; read one with `man -l {}/trainyard-job-submit.1`\n", arguments.text("directory"));
}

Document layer_document(const ConfigValue& value) {
  Document layer = Document::object({{"from", name_of(value.layer)}, {"value", value.value}});
  if (!value.where.empty()) layer.set("where", value.where);
  return layer;
}

std::string from_text(const ConfigValue& value) {
  return fmt::format("{}{}{}", name_of(value.layer), value.where.empty() ? "" : " ", value.where);
}

std::string explain_text(const Config& config, const std::string& wanted) {
  std::string text;
  for (const Setting& setting : settings()) {
    if (!wanted.empty() && setting.key != wanted) continue;
    const std::vector<ConfigValue> layers = config.layers(setting.key);
    text += fmt::format("{:<14} {:<30} from {}\n", setting.key, layers[0].value.empty() ? "-" : layers[0].value, from_text(layers[0]));
    for (std::size_t i = 1; i < layers.size(); ++i) {
      if (layers[i].layer != ConfigLayer::kPreset)
        text += fmt::format("{:<14} {:<30} from {}, outdone\n", "", layers[i].value, from_text(layers[i]));
    }
  }
  return text;
}

std::string files_text(const ConfigPlaces& places) {
  const auto line = [](std::string_view layer, const std::string& path) {
    return fmt::format("  {:<8} {}{}\n", layer, path.empty() ? "trainyard.yaml, here or above" : path,
                       !path.empty() && file_exists(path) ? "" : " (not there)");
  };
  return "files, the first one wins:\n" + line("project", places.project) + line("user", places.user) + line("system", places.system);
}

void explain_config(CommandContext& context, const Arguments& arguments) {
  const std::string wanted = arguments.text("key");
  Document document = Document::object();
  for (const Setting& setting : settings()) {
    if (!wanted.empty() && setting.key != wanted) continue;
    Document layers = Document::array();
    for (const ConfigValue& value : context.config.layers(setting.key)) layers.push(layer_document(value));
    document.set(setting.key, Document::object({{"value", context.config.value(setting.key).value}, {"layers", std::move(layers)}}));
  }
  if (document.members().empty()) {
    std::vector<std::string> keys;
    for (const Setting& setting : settings()) keys.push_back(setting.key);
    return context.fail(
        not_found("config.unknown_key", fmt::format("there is no such setting, only {}: {}", fmt::join(keys, ", "), wanted)));
  }
  const Result<client::ServerAddress> address = context.config.address();
  if (wanted.empty() && address.ok())
    document.set("server", Document::object({{"url", address->url}, {"token_file", address->token_file}}));
  std::error_code error;
  const ConfigPlaces places = config_places(std::filesystem::current_path(error).string(), context.variables);
  print(context, document, [&](const Document&) {
    std::string text = explain_text(context.config, wanted);
    if (!wanted.empty()) return text;
    if (address.ok())
      text += fmt::format("so the server is {} with {}\n", address->url,
                          address->token_file.empty() ? "no token" : "the token of " + address->token_file);
    return text + files_text(places);
  });
}

/// What there is of a kind, from the server.
std::vector<Candidate> live_names(const CommandContext& context, Names names) {
  struct Source {
    Names names;
    std::string target;
    const ResourceView& (*view)();
    std::string doc;
  };
  static const std::vector<Source> sources{
      {Names::kJob, "/api/v1/jobs?limit=50", jobs_view, "name"},
      {Names::kQueue, "/api/v1/queues", queues_view, ""},
      {Names::kNode, "/api/v1/nodes", nodes_view, "state"},
      {Names::kPool, "/api/v1/pools", pools_view, "backend"},
      {Names::kUser, "/api/v1/users", users_view, ""},
      {Names::kToken, "/api/v1/tokens", tokens_view, "name"},
      {Names::kWorkflow, "/api/v1/workflows", workflows_view, "workflow"},
      {Names::kRun, "/api/v1/runs", runs_view, "name"},
      {Names::kModel, "/api/v1/models", models_view, ""},
      {Names::kDataset, "/api/v1/datasets", datasets_view, ""},
  };
  std::vector<Candidate> found;
  for (const Source& source : sources) {
    if (source.names != names) continue;
    const Result<std::unique_ptr<client::ApiClient>> api = context.connect();
    const Result<Document> page = api.ok() ? (*api)->get(source.target, kCompletionTime) : Result<Document>(api.error());
    if (!page.ok()) continue;
    for (const Document& item : (*page)[source.view().plural].items()) {
      std::string doc = source.doc.empty() ? "" : item[source.doc].text();
      if (names == Names::kJob) doc += (doc.empty() ? "" : " ") + item["state"].text();
      if (found.size() < kCandidatesMax) found.push_back({cell("", item[source.view().id]), std::move(doc)});
    }
  }
  return found;
}

const std::vector<CommandSpec>& help_command_list() {
  static const std::vector<CommandSpec> commands{
      {.path = "config", .summary = "Where settings come from"},
      {.path = "config explain",
       .summary = "Which of flag, environment and files won, for each setting",
       .description = "Flags win over environment variables, these over trainyard.yaml of the project (here or above), that over your own "
                      "file and that over "
                      "the system's.\n\n"
                      "A project's file may name a server but no token file, and to a server that it named goes no token of yours unless "
                      "--token-file says so or "
                      "your own file keeps one for it: `tokens: {\"http://host:8470\": ~/host.token}`.",
       .arguments = {{.name = "key", .doc = "Only this setting", .names = Names::kSetting}},
       .examples = {{"trainyard config explain", ""}, {"trainyard config explain token_file", ""}},
       .exits = {kOk, kUsage, kNotFound},
       .run = explain_config},
      {.path = "help",
       .summary = "Show the help of a command",
       .arguments = {{.name = "command", .doc = "The command, as job submit", .repeated = true, .names = Names::kCommand}},
       .options = {{.name = "markdown", .doc = "Every command, as Markdown"}},
       .examples = {{"trainyard help job submit", ""}},
       .exits = exits_without_server(),
       .run = show_help,
       .offline = true},
      {.path = "completion",
       .summary = "Print the completion script for a shell",
       .description =
           "Source it in the shell's start-up file. Ids and names are completed with what the server has, if it answers at once.",
       .arguments = {{.name = "shell", .doc = "bash, zsh or fish", .required = true}},
       .examples = {{"source <(trainyard completion bash)", ""},
                    {"source <(trainyard completion zsh)", ""},
                    {"trainyard completion fish | source", ""}},
       .exits = exits_without_server(),
       .run =
           [](CommandContext& context, const Arguments& arguments) {
             if (completion_script(arguments.text("shell")).empty()) {
               return context.fail(invalid_argument("cli.usage", "the shell is bash, zsh or fish: " + arguments.text("shell"),
                                                    "trainyard completion --help"));
             }
             show_completion(context, arguments);
           },
       .offline = true},
      {.path = "man",
       .summary = "Write the manual pages",
       .arguments = {{.name = "directory",
                      .doc = "Where to write a page for every command; default: trainyard(1) on standard output",
                      .names = Names::kDirectory}},
       .examples = {{"trainyard man ~/.local/share/man/man1", ""}, {"trainyard man | man -l -", ""}},
       .exits = exits_without_server(),
       .run = write_man,
       .offline = true},
      {.path = "version",
       .summary = "Print the version",
       .examples = {{"trainyard version -o json", ""}},
       .exits = exits_without_server(),
       .run = show_version,
       .offline = true},
  };
  return commands;
}

}  // namespace

std::vector<CommandSpec> help_commands() { return help_command_list(); }

Error run_program(const CommandSpec& command, const std::vector<std::string>& words) {
  std::vector<std::string> all;
  if (command.program == "trainyard-server") all.push_back(command.path);
  all.insert(all.end(), words.begin(), words.end());
  return exec_sibling(command.program, all);
}

void answer_completion(CommandContext& context, std::vector<std::string> words) {
  std::signal(SIGALRM, [](int) { ::_exit(0); });
  itimerval limit{};
  limit.it_value.tv_usec = std::chrono::microseconds(kCompletionTime).count();
  ::setitimer(ITIMER_REAL, &limit, nullptr);
  if (!words.empty() && words.front() == "--") words.erase(words.begin());
  const auto live = [&context](Names names) { return live_names(context, names); };
  const auto program_options = [](const CommandSpec& command) { return options_in(help_of_program(command)); };
  write_out(stdout, candidate_lines(complete(command_tree(), std::move(words), live, program_options)));
}

}  // namespace trainyard::apps
