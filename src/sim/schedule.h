#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sim/text_input.h"

namespace trainyard::sim {

/// Neighbouring hosts, both ends included, with `tasks` tasks each.
struct HostRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  std::uint32_t tasks = 1;  ///< Not written.

  bool operator==(const HostRange& other) const { return first == other.first && last == other.last; }
};

/// How a stretch of running ended. kResized: the job went on at once with another number of tasks.
enum class SegmentState : std::uint8_t { kSucceeded, kTimedOut, kPreempted, kFailed, kResized };
/// "SUCCEEDED", "TIMED_OUT", "PREEMPTED", "FAILED"; kResized is "RESIZED".
std::string_view name_of(SegmentState state);

/// One stretch in which a job ran on the same hosts.
struct ScheduleRow {
  std::string job_id;
  Duration start{0};
  Duration end{0};
  std::vector<HostRange> hosts;  ///< Ascending, apart.
  std::uint32_t attempt = 1;
  SegmentState state = SegmentState::kSucceeded;

  bool operator==(const ScheduleRow&) const = default;
};

/// Writes rows of `job_id,start_s,end_s,hosts` and, with `details`, `attempt,state`.
class ScheduleText {
 public:
  explicit ScheduleText(bool details);
  struct Row {
    std::string_view job_id;
    Duration start;
    Duration end;
    std::span<const HostRange> hosts;
    std::uint32_t attempt;
    SegmentState state;
  };
  void add(const Row& row);
  std::string take() { return std::move(text_); }

 private:
  bool details_;
  std::string text_;
};

/// The rows as CSV. attempt and state are written when some row is not the first attempt of a job that succeeded.
std::string schedule_csv(std::span<const ScheduleRow> rows);

/// Reads a schedule. Hosts may come in any order, separated by ';' or spaces. Errors, each with file and line: INVALID_ARGUMENT
/// "schedule.header", "schedule.truncated", "schedule.quoting", "schedule.field", those of RecordReader.
Result<std::vector<ScheduleRow>> read_schedule_csv(TextInput& input, const ReadLimits& limits = {});

/// Host ids and inclusive ranges, such as "0-3;7". Answers what is wrong, or nothing.
std::string_view parse_hosts(std::string_view text, std::vector<HostRange>& hosts);

}  // namespace trainyard::sim
