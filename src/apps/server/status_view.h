#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "exec/execution_backend.h"
#include "jobs/job.h"
#include "track/model_registry.h"
#include "workflow/workflow_run.h"

namespace trainyard::apps {

/// A job and, in one sentence, why it is where it is.
struct JobLine {
  jobs::Job job;
  std::string why;
};

/// What the status page shows, as a value.
struct StatusView {
  std::string url;
  std::string version;
  std::string warning;  ///< Something about the server that its users must know; empty: nothing.
  TimePoint now;
  Duration uptime{0};
  bool refreshing = true;
  std::map<JobState, std::size_t> live;  ///< Jobs that have not ended, by state.
  std::vector<exec::NodeView> nodes;
  std::vector<JobLine> jobs;                     ///< Newest first.
  std::vector<workflow::WorkflowRun> workflows;  ///< Newest first.
  std::vector<track::RegisteredModel> models;    ///< By name.
  std::vector<std::string> problems;             ///< What could not be read, and why.
};

/// What people call a job: its name, else its kind.
std::string name_of_job(const jobs::Job& job);

/// The body of the status page. Pure.
std::string render_status(const StatusView& view);
/// The body of the page of one job. Pure.
std::string render_job(const JobLine& line, TimePoint now);
/// The body of the page of one workflow run. Pure.
std::string render_workflow(const workflow::WorkflowRun& run, TimePoint now);

/// How often the pages ask for themselves again.
constexpr int kPageRefreshSeconds = 10;

}  // namespace trainyard::apps
