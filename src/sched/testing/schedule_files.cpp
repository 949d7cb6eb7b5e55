#include "sched/testing/schedule_files.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

namespace trainyard::sched::testing {
namespace {

using Row = std::map<std::string, std::string>;

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream stream(line);
  for (std::string cell; std::getline(stream, cell, ',');) cells.push_back(cell);
  return cells;
}

std::vector<Row> read_csv(const std::string& path) {
  std::ifstream file(path);
  CHECK(file.good(), "tests run at the root of the repository; there is no " + path);
  std::string line;
  std::getline(file, line);
  const std::vector<std::string> names = cells_of(line);
  std::vector<Row> rows;
  while (std::getline(file, line)) {
    if (line.empty()) continue;
    const std::vector<std::string> cells = cells_of(line);
    CHECK(cells.size() == names.size(), "a row has another number of cells: " + line);
    Row& row = rows.emplace_back();
    for (std::size_t i = 0; i < names.size(); ++i) row[names[i]] = cells[i];
  }
  return rows;
}

/// To the nearest microsecond.
Duration seconds(const std::string& text) { return Duration(std::llround(std::stod(text) * 1e6)); }

JobId id_of(const Row& row) { return JobId(std::stoull(row.at("job_id")) + 1); }

HostJob job_of(const Row& row) {
  return {.id = id_of(row),
          .submit = TimePoint(seconds(row.at("submit_s"))),
          .hosts = std::stoull(row.at("procs")),
          .walltime = seconds(row.at("walltime_s")),
          .runtime = seconds(row.at("runtime_s"))};
}

}  // namespace

std::vector<NodeIndex> parse_hosts(const std::string& text) {
  std::string items = text;
  std::replace(items.begin(), items.end(), ';', ' ');
  std::istringstream stream(items);
  std::vector<NodeIndex> hosts;
  for (std::string item; stream >> item;) {
    const std::size_t dash = item.find('-');
    const unsigned long first = std::stoul(item.substr(0, dash));
    const unsigned long last = dash == std::string::npos ? first : std::stoul(item.substr(dash + 1));
    for (unsigned long host = first; host <= last; ++host) hosts.push_back(static_cast<NodeIndex>(host));
  }
  return hosts;
}

PublishedSchedule read_batsim_log(const std::string& path) {
  PublishedSchedule schedule;
  for (const Row& row : read_csv(path)) {
    schedule.jobs.push_back(job_of(row));
    schedule.runs[id_of(row)] = {.start_s = std::stod(row.at("easy_start_s")), .hosts = parse_hosts(row.at("easy_hosts"))};
  }
  return schedule;
}

PublishedSchedule read_example(const std::string& trace_path, const std::string& schedule_path) {
  PublishedSchedule schedule;
  for (const Row& row : read_csv(trace_path)) schedule.jobs.push_back(job_of(row));
  for (const Row& row : read_csv(schedule_path)) {
    schedule.runs[id_of(row)] = {
        .start_s = std::stod(row.at("start_s")), .end_s = std::stod(row.at("end_s")), .hosts = parse_hosts(row.at("hosts"))};
  }
  return schedule;
}

}  // namespace trainyard::sched::testing
