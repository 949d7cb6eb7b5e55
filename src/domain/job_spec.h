#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/describe.h"
#include "domain/resources.h"

namespace trainyard {

/// How long a job may take; 0 = no limit. Measured on the monotonic clock.
struct JobLimits {
  static constexpr std::string_view kSchemaName = "JobLimits";
  Duration queue{0};           ///< Waiting for its first start.
  Duration total{0};           ///< From the first start, over all attempts.
  Duration attempt{0};         ///< One attempt.
  Duration step{0};            ///< Between two events that show that it got further: more done, or a later step of a metric.
  Duration no_progress{0};     ///< Without any event.
  Duration grace{30'000'000};  ///< Between SIGTERM and SIGKILL.

  void describe(FieldVisitor& fields);
};

/// How many times each cause may start the job again. Preemption is always free. A restart waits for a full-jitter backoff.
struct RetryBudgets {
  static constexpr std::string_view kSchemaName = "RetryBudgets";
  std::int64_t user = 0;
  std::int64_t oom = 1;
  std::int64_t node_lost = 5;
  std::int64_t infrastructure = 3;
  Duration backoff_base{1'000'000};
  Duration backoff_cap{60'000'000};
  double memory_factor = 1.5;  ///< After the first end for want of memory the request is this many times as large.
  ByteSize memory_max;         ///< Bound of the raised request; 0 = none but what the nodes have.

  void describe(FieldVisitor& fields);
};

/// A job that must have ended before this one starts.
struct JobDependency {
  static constexpr std::string_view kSchemaName = "JobDependency";
  std::int64_t job = 0;
  std::string when = "ok";  ///< "ok": it succeeded. "failed": it ended in any other way. "any": it ended.

  void describe(FieldVisitor& fields);
  bool operator==(const JobDependency&) const = default;
};

/// Many jobs out of one spec, which differ by their index in the environment.
struct JobArray {
  std::int64_t count = 1;
  std::int64_t max_running = 0;  ///< Elements that may be live at the same time; 0 = no limit.

  void describe(FieldVisitor& fields);
  bool operator==(const JobArray&) const = default;
};

constexpr std::size_t kDependenciesMax = 1000;
constexpr std::int64_t kArrayElementsMax = 100'000;
constexpr std::int64_t kPriorityMax = 1'000'000;

/// What a job is, as submitted and completed with defaults. Inputs and outputs are dataset references by the name the program knows.
struct JobSpec {
  static constexpr std::string_view kSchemaName = "JobSpec";
  std::string kind = "command";
  std::string name;
  std::string name_space = "default";  ///< `namespace` in a spec: whose it is, for permissions and accounting.
  std::string job_class = "batch";     ///< "batch" ends by itself; "service" runs until stopped and restarts with backoff.
  std::vector<std::string> command;    ///< Required for kind command; otherwise the kind's program.
  std::int64_t tasks = 1;              ///< Ranks of the gang, started all or nothing.
  std::string queue = "default";       ///< Where it waits.
  std::int64_t priority = 0;           ///< Higher first, within its queue.
  bool hold = false;                   ///< Waits until it is released.
  std::vector<JobDependency> after;    ///< It waits until all of these are met.
  std::optional<JobArray> array;       ///< None: a single job.
  bool preemptible = true;             ///< May be asked to give its room to others; it goes on later from its last checkpoint.
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

/// Decodes and checks a spec. `after` also takes "12" and "12:any", `array` also "0-1999%64". Errors: as decode_fields, "spec.command" when
/// a command job has none, "spec.namespace", "spec.after", "spec.array", and "document.too_deep" for a config of more than 32 levels.
Result<JobSpec> job_spec_from(const Document& document);

}  // namespace trainyard
