#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sim/text_input.h"

namespace trainyard::sim {

constexpr Duration kUnbounded = Duration::max();

/// Largest sizes that a reader takes. Real machines stay far below; sums of them stay far from overflow.
constexpr std::int64_t kProcsMax = 100'000'000;
constexpr std::int64_t kMemoryMibMax = std::int64_t{1} << 40;
constexpr std::int64_t kPriorityMax = 1'000'000'000;

/// Names given numbers in the order in which they first occur.
class NameTable {
 public:
  /// The number of the name, given one if it is new.
  std::uint32_t number_of(std::string_view name);
  const std::string& name(std::uint32_t number) const { return names_[number]; }
  std::size_t size() const { return names_.size(); }
  const std::vector<std::string>& names() const { return names_; }
  bool operator==(const NameTable& other) const { return names_ == other.names_; }

 private:
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::uint32_t last_ = 0;
};

/// One job of a workload. Times count from the start of the trace.
struct TraceJob {
  std::string id;
  Duration submit{0};
  Duration runtime{0};             ///< Undisturbed, at `procs` processors.
  Duration walltime = kUnbounded;  ///< The user's limit.
  std::int64_t procs = 1;          ///< In total; gpus and mem_mib too.
  std::int64_t gpus = 0;
  std::int64_t mem_mib = 0;       ///< 0: not constrained.
  std::uint32_t user = 0;         ///< In Trace::users.
  std::uint32_t queue = 0;        ///< In Trace::queues.
  std::int64_t priority = 0;      ///< Larger first.
  std::int64_t nodes = 0;         ///< Equal members that share the total; 0: not said.
  std::int32_t gpu_milli = 1000;  ///< Below 1000: a share of one device.
  std::uint32_t gpu_models = 0;   ///< In Trace::gpu_models, "A|B"; 0 is "": any.
  std::int64_t procs_min = 0;     ///< Elastic: may run with so few; 0: rigid.
  std::int64_t procs_max = 0;
  bool preemptible = true;
  Duration checkpoint_interval{0};  ///< Of periodic checkpoints, in run time; 0: none.
  Duration checkpoint_cost{0};      ///< Of one on request; 0: it cannot.
  Duration restart_cost{0};         ///< Before a restarted job gets on.
  Duration deadline = kUnbounded;
  double weight = 1;
  std::vector<std::uint32_t> depends_on;  ///< Positions in Trace::jobs, ascending.
  std::int32_t status = -1;               ///< Field 11 of an SWF record; the CSV has no column for it.

  bool operator==(const TraceJob&) const = default;
};

/// A workload, in file order.
struct Trace {
  Trace();
  std::vector<TraceJob> jobs;
  NameTable users;
  NameTable queues;
  NameTable gpu_models;
  std::optional<std::int64_t> processors;  ///< MaxProcs of an SWF header.
  std::optional<std::int64_t> nodes;       ///< MaxNodes.
  std::uint64_t skipped = 0;               ///< Records that the format says to skip.
  std::vector<std::string> warnings;       ///< What was ignored, for people.

  bool operator==(const Trace&) const = default;
};

enum class TraceFormat { kCsv, kSwf };

/// By the name of the file: SWF when it ends in .swf or .swf.gz.
TraceFormat format_of(std::string_view path);

struct TraceReading {
  ReadLimits limits;
  bool sort = false;  ///< Sorts by submit time, ties in file order. Otherwise a record before its predecessor is an error.
};

/// Reads a workload. Every error names file and line. Errors: INVALID_ARGUMENT "trace.header", "trace.truncated", "trace.quoting",
/// "trace.field", "trace.unsorted", "trace.duplicate_id", "trace.unknown_dependency", "trace.cyclic_dependency", "trace.empty", those of
/// RecordReader.
Result<Trace> read_trace_csv(TextInput& input, const TraceReading& reading = {});
/// Standard Workload Format, 18 fields: errors as above.
Result<Trace> read_swf(TextInput& input, const TraceReading& reading = {});
Result<Trace> read_trace(const std::string& path, TraceFormat format, const TraceReading& reading = {});

/// The trace as CSV, columns that no job uses left out; read_trace_csv reads back an equal trace.
std::string trace_csv(const Trace& trace);

/// What became of a job, for an SWF record.
struct SwfOutcome {
  std::optional<Duration> start;
  Duration end{0};
  bool succeeded = false;
};

/// The trace as SWF with what became of each job (`outcomes` empty, or one for each). Jobs and users whose names are no numbers get
/// numbers, from 1 in order of occurrence. What SWF has no field for is lost: GPUs, gangs, checkpoints, dependencies.
std::string swf_text(const Trace& trace, const std::vector<SwfOutcome>& outcomes);

/// Checks what only the whole trace can show, and resolves dependencies. `lines`: of each job. `depends_on`: ids joined by ';', by job.
struct JobLinks {
  std::vector<std::uint64_t> lines;
  std::vector<std::pair<std::uint32_t, std::string>> depends_on;
};
Result<void> finish_trace(Trace& trace, const JobLinks& links, std::string_view file, const TraceReading& reading);

}  // namespace trainyard::sim
