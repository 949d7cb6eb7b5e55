#include <fmt/core.h>

#include <string>
#include <string_view>

#include "apps/train/local_run.h"
#include "apps/train/train_job.h"
#include "runner/program.h"

namespace {

using namespace trainyard;

constexpr std::string_view kProgram = "trainyard-train";

constexpr std::string_view kUsage = R"(Data-parallel training on packs: runs one rank of a job of kind train.

  trainyard-train                      runs the job that TRAINYARD_SPEC describes
  trainyard-train local CONFIG WORKDIR TRAIN_PACK [VALIDATION_PACK [TEST_PACK]]
                                       trains without a server: CONFIG is the job's config as JSON; spec, checkpoints, objects and the
                                       exported model are written below WORKDIR; started again, it goes on from its last checkpoint
  trainyard-train --version | --help

SIGUSR1 writes a checkpoint, SIGTERM writes one and ends with 75.
)";

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const std::string word = words.empty() ? std::string() : words.front();
  if (word == "--help" || word == "-h") {
    fmt::print("{}", kUsage);
    return 0;
  }
  if (word == "--version") {
    fmt::print("{} {}\n", kProgram, TRAINYARD_VERSION);
    return 0;
  }
  if (word == "local") {
    if (const Result<void> prepared = apps::prepare_local_run({words.begin() + 1, words.end()}); !prepared.ok()) {
      return runner::report_failure(kProgram, prepared.error(), nullptr);
    }
  } else if (!word.empty()) {
    return runner::report_failure(kProgram, invalid_argument("usage", "unknown word; see --help: " + word), nullptr);
  }
  return runner::run_program(kProgram, apps::run_train_job);
}
