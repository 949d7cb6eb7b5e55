#include "sim/schedule.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/rng.h"

namespace trainyard::sim {
namespace {

std::vector<ScheduleRow> rows_of(std::string_view csv) {
  TextInput input = TextInput::over("schedule.csv", csv);
  return read_schedule_csv(input).value();
}

TEST(ScheduleCsv, example_files_are_written_as_they_were) {
  for (const char* name : {"ex1_easy", "ex2_conservative"}) {
    const std::string path = std::string("tests/data/scheduling/examples/") + name + ".schedule.csv";
    const std::string text = read_file(path).value();
    EXPECT_EQ(schedule_csv(rows_of(text)), text) << path;
  }
}

TEST(ScheduleCsv, hosts_may_be_separated_by_spaces_and_stand_in_any_order) {
  std::vector<HostRange> hosts;
  EXPECT_EQ(parse_hosts("7 0-2;3", hosts), "");
  EXPECT_EQ(hosts, (std::vector<HostRange>{{0, 3}, {7, 7}}));
}

TEST(ScheduleCsv, attempt_and_state_are_written_when_they_say_something) {
  ScheduleRow row{.job_id = "a", .start = Duration(0), .end = Duration(1'500'000), .hosts = {{0, 3}, {7, 7}}};
  EXPECT_EQ(schedule_csv(std::vector{row}), "job_id,start_s,end_s,hosts\na,0,1.5,0-3;7\n");
  row.state = SegmentState::kPreempted;
  EXPECT_EQ(schedule_csv(std::vector{row}), "job_id,start_s,end_s,hosts,attempt,state\na,0,1.5,0-3;7,1,PREEMPTED\n");
}

TEST(ScheduleCsv, rows_of_any_kind_read_back_equal) {
  const std::uint64_t seed = 5;
  SeededRng rng(seed);
  std::vector<ScheduleRow> rows;
  for (int i = 0; i < 500; ++i) {
    ScheduleRow row{.job_id = "job " + std::to_string(i) + (i % 7 == 0 ? ", \"x\"" : "")};
    row.start = Duration(static_cast<std::int64_t>(rng.below(std::uint64_t{1} << 40)));
    row.end = row.start + Duration(static_cast<std::int64_t>(rng.below(std::uint64_t{1} << 40)));
    std::uint32_t host = 0;
    for (std::uint64_t n = 1 + rng.below(5); n > 0; --n) {
      const auto first = host + static_cast<std::uint32_t>(rng.below(9));
      const auto last = first + static_cast<std::uint32_t>(rng.below(4));
      row.hosts.push_back({first, last});
      host = last + 2;
    }
    row.attempt = 1 + static_cast<std::uint32_t>(rng.below(3));
    row.state = static_cast<SegmentState>(rng.below(5));
    rows.push_back(row);
  }
  EXPECT_EQ(rows_of(schedule_csv(rows)), rows) << "seed " << seed;
}

}  // namespace
}  // namespace trainyard::sim
