#include <CLI/CLI.hpp>

#include "apps/cli/command_line.h"
#include "apps/cli/demo.h"

namespace trainyard::apps {

void add_demo_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<DemoOptions>();  // shared: CLI11 keeps callbacks by copy
  CLI::App* command = app.add_subcommand("demo", "Run the main job, from raw data to predictions, on a server of its own");
  command->add_option("--pipeline", options->pipeline, "Workflow file; default: the Fashion-MNIST example");
  command->add_option("--summary-out", options->summary_out, "Write the summary as JSON");
  command->add_option("--data", options->data, "Data directory; default: a temporary one, removed at the end");
  command->add_flag("--keep", options->keep, "Leave the server and the model running at the end");
  command->add_flag("--resume", options->resume, "Go on with the unfinished run in --data (the default with --data)");
  command->add_flag("--fresh", options->fresh, "Start a new run in --data");
  add_examples(*command, {"trainyard demo", "trainyard demo --data ./demo --keep",
                          "trainyard demo --data ./demo --fresh --summary-out summary.json"});
  command->callback([&context, options] { context.exit_code = run_demo(context, *options); });
}

}  // namespace trainyard::apps
