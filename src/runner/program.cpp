#include "runner/program.h"

#include <fmt/format.h>

#include <cstdio>

namespace trainyard::runner {
namespace {

/// What another engine would be given to run this job: shown by rank 0, so that it stands in the log once.
void show_preview(const Environment& environment, const RunnerSpec& spec) {
  const Document& preview = spec.document["kubernetes_preview"];
  if (preview.is_null() || !environment.is_first_rank()) return;
  fmt::print("Would create K8s Job {}\n{}", preview["name"].text(), preview["manifest"].text());
  std::fflush(stdout);
}

Result<ExitCode> run(EventWriter& events, const Clock& clock, const JobFunction& job) {
  ASSIGN_OR_RETURN(StopSignal stop, StopSignal::install());
  ASSIGN_OR_RETURN(const Environment environment, read_environment());
  ASSIGN_OR_RETURN(const RunnerSpec spec, read_spec(environment.spec_path));
  show_preview(environment, spec);
  JobContext context{.environment = environment, .spec = spec, .events = events, .stop = stop, .clock = clock};
  return job(context);
}

}  // namespace

int report_failure(std::string_view program, const Error& error, EventWriter* events) {
  const std::string line = fmt::format("{}: {}\n", program, error.describe());
  std::fputs(line.c_str(), stderr);
  if (events != nullptr) events->failure(error);
  return static_cast<int>(exit_code_of(error));
}

int run_program(std::string_view program, const JobFunction& job) {
  const SystemClock clock;
  EventWriter events(EventWriter::kEventDescriptor, clock);
  const Result<ExitCode> code = run(events, clock, job);
  if (code.ok()) return static_cast<int>(code.value());
  return report_failure(program, code.error(), &events);
}

}  // namespace trainyard::runner
