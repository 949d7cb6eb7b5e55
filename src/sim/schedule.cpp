#include "sim/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "sim/fields.h"

namespace trainyard::sim {
namespace {

constexpr std::array<std::string_view, 5> kStates{"SUCCEEDED", "TIMED_OUT", "PREEMPTED", "FAILED", "RESIZED"};
constexpr std::array<std::string_view, 6> kColumns{"job_id", "start_s", "end_s", "hosts", "attempt", "state"};
constexpr std::size_t kRequired = 4;
constexpr std::size_t kUnknown = kColumns.size();
constexpr std::int64_t kHostIdMax = 4'000'000'000;

void append_number(std::string& out, std::uint32_t number) {
  char digits[16];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

std::string_view read_time(std::string_view text, Duration& time) {
  std::int64_t micros = 0;
  const std::string_view wrong = parse_seconds(text, micros);
  time = Duration(micros);
  return wrong;
}

std::string_view read_field(std::size_t column, std::string_view text, ScheduleRow& row) {
  if (text.empty()) return column < kRequired ? "it must not be blank" : "";
  std::int64_t number = 0;
  std::string_view wrong;
  switch (column) {
    case 0:
      row.job_id = text;
      return check_name(text);
    case 1:
      return read_time(text, row.start);
    case 2:
      return read_time(text, row.end);
    case 3:
      return parse_hosts(text, row.hosts);
    case 4:
      wrong = parse_whole(text, 1, kHostIdMax, number);
      row.attempt = static_cast<std::uint32_t>(number);
      return wrong;
    default: {
      const auto found = std::find(kStates.begin(), kStates.end(), text);
      if (found == kStates.end()) return "it must be SUCCEEDED, TIMED_OUT, PREEMPTED, FAILED or RESIZED";
      row.state = static_cast<SegmentState>(found - kStates.begin());
      return {};
    }
  }
}

Result<std::vector<std::size_t>> read_header(std::span<const std::string_view> names, const Place& place) {
  std::vector<std::size_t> columns;
  for (const std::string_view name : names) {
    const auto column = static_cast<std::size_t>(std::find(kColumns.begin(), kColumns.end(), name) - kColumns.begin());
    if (column != kUnknown && std::find(columns.begin(), columns.end(), column) != columns.end()) {
      return record_error(place, "schedule.header", fmt::format("a column occurs twice in the header; leave one out: {}", name));
    }
    columns.push_back(column);
  }
  for (std::size_t required = 0; required < kRequired; ++required) {
    if (std::find(columns.begin(), columns.end(), required) != columns.end()) continue;
    return record_error(place, "schedule.header",
                        fmt::format("the header lacks a required column; it must name job_id, start_s, end_s and hosts: {} is missing",
                                    kColumns[required]));
  }
  return columns;
}

}  // namespace

std::string_view name_of(SegmentState state) { return kStates[static_cast<std::size_t>(state)]; }

std::string_view parse_hosts(std::string_view text, std::vector<HostRange>& hosts) {
  hosts.clear();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("; "), text.size());
    const std::string_view item = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (item.empty()) return "it must be host ids and ranges such as 0-3;7";
    const std::size_t dash = item.find('-');
    std::int64_t first = 0;
    std::int64_t last = 0;
    std::string_view wrong = parse_whole(item.substr(0, dash), 0, kHostIdMax, first);
    last = first;
    if (wrong.empty() && dash != std::string_view::npos) wrong = parse_whole(item.substr(dash + 1), 0, kHostIdMax, last);
    if (!wrong.empty() || last < first) return "it must be host ids and ranges such as 0-3;7, the lower one first";
    hosts.push_back({static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last)});
  }
  std::sort(hosts.begin(), hosts.end(), [](const HostRange& a, const HostRange& b) { return a.first < b.first; });
  std::size_t kept = 0;
  for (std::size_t i = 1; i < hosts.size(); ++i) {
    if (hosts[i].first <= hosts[kept].last) return "a host occurs twice in it";
    if (hosts[i].first == hosts[kept].last + 1) {
      hosts[kept].last = hosts[i].last;
    } else {
      hosts[++kept] = hosts[i];
    }
  }
  hosts.resize(std::min(hosts.size(), kept + 1));
  return {};
}

ScheduleText::ScheduleText(bool details) : details_(details), text_("job_id,start_s,end_s,hosts") {
  text_ += details_ ? ",attempt,state\n" : "\n";
}

void ScheduleText::add(const Row& row) {
  append_csv(text_, row.job_id);
  text_ += ',';
  append_seconds(text_, row.start.count());
  text_ += ',';
  append_seconds(text_, row.end.count());
  text_ += ',';
  for (std::size_t i = 0; i < row.hosts.size(); ++i) {
    if (i > 0) text_ += ';';
    const std::uint32_t first = row.hosts[i].first;
    while (i + 1 < row.hosts.size() && row.hosts[i].last + 1 == row.hosts[i + 1].first) ++i;
    append_number(text_, first);
    if (row.hosts[i].last == first) continue;
    text_ += '-';
    append_number(text_, row.hosts[i].last);
  }
  if (details_) {
    text_ += ',';
    append_number(text_, row.attempt);
    text_ += ',';
    text_ += name_of(row.state);
  }
  text_ += '\n';
}

std::string schedule_csv(std::span<const ScheduleRow> rows) {
  ScheduleText text(std::any_of(rows.begin(), rows.end(),
                                [](const ScheduleRow& row) { return row.attempt != 1 || row.state != SegmentState::kSucceeded; }));
  for (const ScheduleRow& row : rows) text.add({row.job_id, row.start, row.end, row.hosts, row.attempt, row.state});
  return text.take();
}

Result<std::vector<ScheduleRow>> read_schedule_csv(TextInput& input, const ReadLimits& limits) {
  RecordReader records(input, RecordReader::Quotes::kRfc4180, limits);
  std::vector<ScheduleRow> rows;
  std::vector<std::size_t> columns;
  std::vector<std::string_view> fields;
  std::string unescaped;
  std::string_view record;
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, records.next(record));
    if (!more) break;
    if (record.empty() || record.front() == '#') continue;
    if (const std::string_view wrong = split_csv(record, fields, unescaped); !wrong.empty()) {
      return record_error(records.place(), "schedule.quoting", fmt::format("a record is not valid CSV; {}: {}", wrong, shown(record)));
    }
    if (columns.empty()) {
      ASSIGN_OR_RETURN(columns, read_header(fields, records.place()));
      continue;
    }
    if (fields.size() != columns.size()) {
      return record_error(records.place(), "schedule.truncated",
                          fmt::format("a record does not have one field for each column; the line is cut off: {} fields, {} columns",
                                      fields.size(), columns.size()));
    }
    ScheduleRow& row = rows.emplace_back();
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (columns[i] == kUnknown) continue;
      const std::string_view wrong = read_field(columns[i], fields[i], row);
      if (!wrong.empty()) return field_error(records.place(), "schedule.field", kColumns[columns[i]], fields[i], wrong);
    }
    if (row.end < row.start) {
      return field_error(records.place(), "schedule.field", "end_s", seconds_text(row.end.count()), "it lies before start_s");
    }
  }
  if (columns.empty()) return record_error(records.place(), "schedule.header", "the file holds no header: job_id,start_s,end_s,hosts");
  return rows;
}

}  // namespace trainyard::sim
