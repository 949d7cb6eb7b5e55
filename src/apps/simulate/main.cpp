#include <CLI/CLI.hpp>

#include "apps/simulate/simulate_options.h"
#include "apps/usage.h"

namespace {

int run(int argc, char** argv) {
  using namespace trainyard::apps;
  SimulateOptions options;
  CLI::App app{"Runs a recorded workload on a simulated cluster with the scheduler of the server.", "trainyard simulate"};
  app.set_version_flag("--version", "trainyard-simulate " TRAINYARD_VERSION);
  add_options(app, options);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.empty()) {
    std::fputs(app.help().c_str(), stderr);
    return 2;
  }
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::fputs(explain_usage_error(app, arguments, error.what()).c_str(), stderr);
    return 2;
  }
  return run_simulate(options);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& cause) {
    std::fprintf(stderr, "error: internal: %s\n", cause.what());
    return 1;
  }
}
