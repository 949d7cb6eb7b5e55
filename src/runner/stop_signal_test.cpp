#include "runner/stop_signal.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

namespace trainyard::runner {
namespace {

using namespace std::chrono_literals;

/// Signals concern the whole process, so each case has one of its own. Returns what `body` returned there.
int in_a_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(StopSignal, sigterm_asks_to_stop_and_wakes_a_wait) {
  EXPECT_EQ(in_a_child([] {
              const Result<StopSignal> stop = StopSignal::install();
              if (!stop.ok() || stop->stop_requested() || stop->wait_for_stop(1ms)) return 1;
              ::raise(SIGTERM);
              return stop->stop_requested() && stop->wait_for_stop(10s) ? 0 : 2;
            }),
            0);
}

TEST(StopSignal, sigusr1_asks_for_one_checkpoint) {
  EXPECT_EQ(in_a_child([] {
              Result<StopSignal> stop = StopSignal::install();
              ::raise(SIGUSR1);
              return !stop->stop_requested() && stop->take_checkpoint_request() && !stop->take_checkpoint_request() ? 0 : 1;
            }),
            0);
}

TEST(StopSignal, reader_that_went_away_does_not_kill_the_process) {
  EXPECT_EQ(in_a_child([] {
              if (!StopSignal::install().ok()) return 1;
              ::raise(SIGPIPE);
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace trainyard::runner
