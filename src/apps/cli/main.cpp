#include <CLI/CLI.hpp>
#include <csignal>

#include "apps/cli/command_line.h"

namespace {

/// `trainyard up ARGS` and the like become another program at once, before any parsing: its flags are its own.
bool becomes_server(const std::string& verb) { return verb == "up" || verb == "server"; }

int run(int argc, char** argv) {
  using namespace trainyard;
  using namespace trainyard::apps;
  std::signal(SIGPIPE, SIG_IGN);
  CommandContext context;

  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && becomes_server(arguments[0])) {
    context.fail(exec_sibling("trainyard-server", arguments));
    return context.exit_code;
  }
  if (!arguments.empty() && arguments[0] == "agent") {
    context.fail(exec_sibling("trainyard-agent", {arguments.begin() + 1, arguments.end()}));
    return context.exit_code;
  }

  CLI::App app{"Trainyard: from raw data to a served, monitored model.", "trainyard"};
  app.require_subcommand(1);
  app.add_option("--url", context.url, "Server to talk to, as http://host:port");
  app.add_option("--token-file", context.token_file, "File that holds the access token");
  app.add_option("-o,--output", context.output, "Output format")->check(CLI::IsMember({"table", "json", "yaml"}));
  app.add_flag("-q,--quiet", context.quiet, "Print ids only");
  app.fallthrough();
  add_server_commands(app, context);
  add_demo_command(app, context);
  add_job_commands(app, context);
  add_workflow_commands(app, context);
  add_listing_commands(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  return context.exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& cause) {
    std::fprintf(stderr, "error: internal: %s\n", cause.what());
    return trainyard::apps::kFailed;
  }
}
