#pragma once
#include <map>
#include <string>
#include <vector>

#include "sched/testing/event_loop.h"
#include "sched/testing/naive_backfill.h"

namespace trainyard::sched::testing {

/// Where a job ran, as a file says it.
struct PublishedRun {
  double start_s = 0;
  double end_s = -1;  ///< Negative: the file does not say.
  std::vector<NodeIndex> hosts;
};

struct PublishedSchedule {
  std::vector<HostJob> jobs;  ///< In the order of the file; the id is the file's and one more, since 0 means none.
  std::map<JobId, PublishedRun> runs;
};

/// The Batsim log. Paths are relative to the root of the repository, where tests run. A file that is not as expected stops the test
/// (CHECK).
PublishedSchedule read_batsim_log(const std::string& path);
/// A trace CSV and the schedule CSV of its result.
PublishedSchedule read_example(const std::string& trace_path, const std::string& schedule_path);

/// "0-3;7" or "0-3 7".
std::vector<NodeIndex> parse_hosts(const std::string& text);

}  // namespace trainyard::sched::testing
