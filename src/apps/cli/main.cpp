#include <CLI/CLI.hpp>

#include "apps/cli/command_line.h"
#include "apps/usage.h"

namespace {

/// `trainyard up ARGS` and the like become another program at once, before any parsing: its flags are its own.
bool becomes_server(const std::string& verb) { return verb == "up" || verb == "server"; }

/// `trainyard help job ls` is `trainyard job ls --help`.
std::vector<std::string> with_help_as_option(std::vector<std::string> words) {
  if (words.empty() || words[0] != "help") return words;
  words.erase(words.begin());
  words.emplace_back("--help");
  return words;
}

int run(int argc, char** argv) {
  using namespace trainyard;
  using namespace trainyard::apps;
  CommandContext context;
  context.version = TRAINYARD_VERSION;

  const std::vector<std::string> arguments = with_help_as_option({argv + 1, argv + argc});
  if (!arguments.empty() && becomes_server(arguments[0])) {
    context.fail(exec_sibling("trainyard-server", arguments));
    return context.exit_code;
  }
  if (!arguments.empty() && arguments[0] == "agent") {
    context.fail(exec_sibling("trainyard-agent", {arguments.begin() + 1, arguments.end()}));
    return context.exit_code;
  }
  if (!arguments.empty() && arguments[0] == "simulate") {
    context.fail(exec_sibling("trainyard-simulate", {arguments.begin() + 1, arguments.end()}));
    return context.exit_code;
  }

  CLI::App app{"Trainyard: from raw data to a served, monitored model.", "trainyard"};
  app.require_subcommand(1);
  app.add_option("--url", context.url, "Server to talk to, as http://host:port");
  app.add_option("--token-file", context.token_file, "File that holds the access token");
  app.add_option("-o,--output", context.output, "Output format")->check(CLI::IsMember({"table", "json", "yaml"}));
  app.add_flag("-q,--quiet", context.quiet, "Print ids only");
  app.set_version_flag("--version", "trainyard " TRAINYARD_VERSION);
  app.fallthrough();
  add_server_commands(app, context);
  add_demo_command(app, context);
  add_job_commands(app, context);
  add_workflow_commands(app, context);
  add_listing_commands(app, context);
  app.footer(
      "Start here:\n  trainyard demo                              the main job on real data, on a server of its own\n"
      "  trainyard up                                a server on this machine\n"
      "  trainyard job submit --follow -- echo hello\n  trainyard doctor                            what is missing here\n\n"
      "Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 authentication, 5 conflict, 6 unavailable, 7 quota.");
  if (arguments.empty()) {
    std::fputs(app.help().c_str(), stderr);
    return kUsage;
  }
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::fputs(explain_usage_error(app, arguments, error.what()).c_str(), stderr);
    return kUsage;
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
