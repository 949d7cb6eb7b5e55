#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "apps/train/local_run.h"
#include "apps/train/train_job.h"
#include "apps/train/warm_up.h"
#include "exec/zygote_protocol.h"
#include "runner/program.h"
#include "runner/zygote.h"

namespace {

using namespace trainyard;

constexpr std::string_view kProgram = "trainyard-train";

constexpr const char* kWaitPolicy = "OMP_WAIT_POLICY";

constexpr std::string_view kUsage = R"(Data-parallel training on packs: runs one rank of a job of kind train.

  trainyard-train                      runs the job that TRAINYARD_SPEC describes
  trainyard-train local CONFIG WORKDIR [TRAIN_PACK [VALIDATION_PACK [TEST_PACK]]]
                                       trains without a server, and without a pack on made-up data: CONFIG is the job's config as
                                       JSON; spec, checkpoints, objects and the exported model are written below WORKDIR; started
                                       again, it goes on from its last checkpoint
  trainyard-train --version | --help

SIGUSR1 writes a checkpoint, SIGTERM writes one and ends with 75.
)";

/// The threads of one operation wait for each other by spinning unless the OpenMP runtime is told otherwise before it is loaded, and where
/// other work competes for the cores that makes training several times slower. So a process with several threads starts itself once more.
void wait_without_spinning(char** argv) {
  const char* const threads = std::getenv("OMP_NUM_THREADS");
  if (threads == nullptr || std::string_view(threads) == "1" || std::getenv(kWaitPolicy) != nullptr) return;
  if (::setenv(kWaitPolicy, "PASSIVE", 1) == 0) ::execv("/proc/self/exe", argv);
  // A process that cannot start itself again goes on as it is.
}

}  // namespace

int main(int argc, char** argv) {
  wait_without_spinning(argv);
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
  } else if (word == exec::kZygoteWord && words.size() == 1) {
    // For the warden, and so not in the usage. What comes after it is a rank.
    runner::serve_as_zygote(std::span(argv, static_cast<std::size_t>(argc)),
                            {.warm_up = apps::warm_up_training, .kept_variables = {kWaitPolicy}});
  } else if (!word.empty()) {
    return runner::report_failure(kProgram, invalid_argument("usage", "unknown word; see --help: " + word), nullptr);
  }
  const int code = runner::run_program(kProgram, apps::run_train_job);
  // Nothing of ours is left to be destroyed, and to take down the tables of libtorch costs more than many a job.
  std::fflush(nullptr);
  ::_exit(code);
}
