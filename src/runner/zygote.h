#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace trainyard::runner {

struct ZygoteSettings {
  /// Loads what the program would else load at its first use. It leaves one thread and no random state behind, reads nothing of the job
  /// and writes nothing to standard output.
  std::function<void()> warm_up;
  /// Variables that the program has set for itself before: a rank keeps them unless its own environment has them.
  std::vector<std::string> kept_variables;
};

/// Makes this process a zygote: it waits on descriptor 3 and forks a rank for each request (docs/formats/warden.md). Returns in a rank
/// only, as a child of the warden with its environment, descriptors, directory and limits, to go on as main would have; the zygote itself
/// ends with the socket. `arguments` are those of main: the word that asked for a zygote is wiped from what others see of a rank. To be
/// called before any thread is started and before anything is read from the environment.
void serve_as_zygote(std::span<char*> arguments, const ZygoteSettings& settings);

}  // namespace trainyard::runner
