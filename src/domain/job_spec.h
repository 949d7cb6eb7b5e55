#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/describe.h"
#include "domain/resources.h"

namespace trainyard {

/// How long a job may take; 0 = no limit. Measured on the monotonic clock.
struct JobLimits {
  Duration queue{0};           ///< Waiting for its first start.
  Duration total{0};           ///< From the first start, over all attempts.
  Duration attempt{0};         ///< One attempt.
  Duration no_progress{0};     ///< Without a progress, metric or checkpoint event.
  Duration grace{30'000'000};  ///< Between SIGTERM and SIGKILL.

  void describe(FieldVisitor& fields);
};

/// How many times each cause may start the job again. Preemption is always free.
struct RetryBudgets {
  std::int64_t user = 0;
  std::int64_t oom = 1;
  std::int64_t node_lost = 5;
  std::int64_t infrastructure = 3;
  Duration backoff_base{1'000'000};
  Duration backoff_cap{60'000'000};

  void describe(FieldVisitor& fields);
};

/// What a job is, as submitted and completed with defaults. Inputs and outputs are dataset references by the name the program knows.
struct JobSpec {
  std::string kind = "command";
  std::string name;
  std::string job_class = "batch";   ///< "batch" ends by itself; "service" runs until stopped and restarts with backoff.
  std::vector<std::string> command;  ///< Required for kind command; otherwise the kind's program.
  std::int64_t tasks = 1;            ///< Ranks of the gang, started all or nothing.
  std::string queue = "default";     ///< Where it waits.
  std::int64_t priority = 0;         ///< Higher first, within its queue.
  bool preemptible = true;           ///< May be asked to give its room to others; it goes on later from its last checkpoint.
  ResourceRequest resources;
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> inputs;   ///< name -> "dataset@version/layer".
  std::map<std::string, std::string> outputs;  ///< name -> "dataset/layer".
  Document config;                             ///< The kind's own configuration, checked by its program.
  JobLimits limits;
  RetryBudgets retry;
  Duration checkpoint_every{60'000'000};
  std::map<std::string, std::string> labels;

  void describe(FieldVisitor& fields);
};

/// Decodes and checks a spec. Errors: as decode_fields, "spec.command" when a command job has none, and "document.too_deep" for a config
/// of more than 32 levels.
Result<JobSpec> job_spec_from(const Document& document);

}  // namespace trainyard
