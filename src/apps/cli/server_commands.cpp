#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "apps/cli/command_line.h"
#include "apps/programs.h"
#include "base/file.h"

#ifndef TRAINYARD_VERSION
#define TRAINYARD_VERSION "0.1.0"
#endif

namespace trainyard::apps {
namespace {

void version(CommandContext& context) {
  Document document = Document::object();
  document.set("version", TRAINYARD_VERSION);
  print(context, document, [](const Document& shown) { return fmt::format("trainyard {}\n", shown["version"].text()); });
}

struct Check {
  std::string what;
  Result<std::string> outcome;
};

Result<std::string> check_programs() {
  std::string found;
  for (const char* program :
       {"trainyard-server", "trainyard-agent", "trainyard-warden", "trainyard-etl", "trainyard-train", "trainyard-serve"}) {
    ASSIGN_OR_RETURN(const std::string path, find_program(program));
    found = path;
  }
  return "all programs beside " + found;
}

Result<std::string> check_temporary_space() {
  ASSIGN_OR_RETURN(const std::string directory, make_temporary_directory("trainyard-doctor-"));
  Result<void> written = write_file_durably(directory + "/probe", "probe\n");
  TRY(remove_tree(directory));
  if (!written.ok()) return std::move(written).error();
  return std::string("temporary files can be written durably");
}

Result<std::string> check_server(const CommandContext& context) {
  ASSIGN_OR_RETURN(const std::unique_ptr<client::ApiClient> api, context.connect());
  ASSIGN_OR_RETURN(const Document nodes, api->get("/api/v1/nodes", std::chrono::seconds(5)));
  return fmt::format("the server answers and knows {} nodes", nodes["nodes"].items().size());
}

void doctor(CommandContext& context) {
  const std::vector<Check> checks{{"programs", check_programs()}, {"disk", check_temporary_space()}, {"server", check_server(context)}};
  for (const Check& check : checks) {
    fmt::print("{:<10} {}  {}\n", check.what, check.outcome.ok() ? "ok    " : "FAILED",
               check.outcome.ok() ? *check.outcome : check.outcome.error().describe());
    if (!check.outcome.ok()) context.exit_code = kFailed;
  }
}

void down(CommandContext& context) {
  Result<std::unique_ptr<client::ApiClient>> api = context.connect();
  if (!api.ok()) return context.fail(api.error());
  const Result<Document> answer = (*api)->post("/api/v1/server:shutdown", Document::object());
  if (!answer.ok()) return context.fail(answer.error());
  fmt::print("the server stops its jobs and ends\n");
}

/// `up`, `server` and `agent` are other programs: they are listed here for the help, main runs them before any parsing.
void list_programs(CLI::App& app) {
  app.add_subcommand("up", "Start everything on this machine: server, worker and UI in one process");
  app.add_subcommand("server", "Start the control plane alone; agents join from outside");
  app.add_subcommand("agent", "Join this machine to a server as a node");
}

}  // namespace

void add_server_commands(CLI::App& app, CommandContext& context) {
  list_programs(app);
  app.add_subcommand("down", "Stop all jobs and the server")->callback([&context] { down(context); });
  app.add_subcommand("doctor", "Check this installation and the server")->callback([&context] { doctor(context); });
  app.add_subcommand("version", "Print the version")->callback([&context] { version(context); });
}

}  // namespace trainyard::apps
