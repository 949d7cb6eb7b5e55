#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "apps/cli/command_tree.h"
#include "apps/cli/run_cli.h"

namespace {

/// A standard stream that the caller closed must not become a socket to the server: its number is taken by what can only be read.
void hold_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) == -1) (void)::open("/dev/null", O_RDONLY);
  }
}

}  // namespace

int main(int argc, char** argv) {
  hold_standard_streams();
  try {
    return trainyard::apps::run_cli({argv + 1, argv + argc}, TRAINYARD_VERSION);
  } catch (const std::exception& cause) {
    std::fprintf(stderr, "error: internal: %s\n", cause.what());
    return trainyard::apps::kFailed;
  }
}
