#include <cstdio>
#include <exception>

#include "apps/cli/command_tree.h"
#include "apps/cli/run_cli.h"

int main(int argc, char** argv) {
  try {
    return trainyard::apps::run_cli({argv + 1, argv + argc}, TRAINYARD_VERSION);
  } catch (const std::exception& cause) {
    std::fprintf(stderr, "error: internal: %s\n", cause.what());
    return trainyard::apps::kFailed;
  }
}
