#pragma once
#include <functional>
#include <string_view>

#include "base/time.h"
#include "runner/environment.h"
#include "runner/event_writer.h"
#include "runner/exit_code.h"
#include "runner/spec.h"
#include "runner/stop_signal.h"

namespace trainyard::runner {

/// What a job program works with. The references live as long as the program.
struct JobContext {
  const Environment& environment;
  const RunnerSpec& spec;
  EventWriter& events;
  StopSignal& stop;
  const Clock& clock;
};

using JobFunction = std::function<Result<ExitCode>(JobContext&)>;

/// The main of every job program: reads the environment and the spec, installs the signal handlers and runs `job`. A failure becomes one
/// line on stderr ("trainyard-train: spec.range: ..."), a `result` event with the error, and the exit code that `exit_code_of`
/// says. To be called first in main, since descriptor 3 is taken over here.
int run_program(std::string_view program, const JobFunction& job);

/// Writes the line and the event for `error` and returns the exit code; for programs with a main of their own.
int report_failure(std::string_view program, const Error& error, EventWriter* events);

}  // namespace trainyard::runner
