#include "sim/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "sim/fields.h"

namespace trainyard::sim {
namespace {

using IdTable = std::unordered_map<std::string_view, std::uint32_t>;

Result<IdTable> number_ids(const Trace& trace, const JobLinks& links, std::string_view file) {
  IdTable numbers;
  numbers.reserve(trace.jobs.size());
  for (std::uint32_t i = 0; i < trace.jobs.size(); ++i) {
    const auto [first, added] = numbers.emplace(trace.jobs[i].id, i);
    if (added) continue;
    return record_error({file, links.lines[i]}, "trace.duplicate_id",
                        fmt::format("a job id occurs twice; give each job an id of its own: \"{}\" is also on line {}",
                                    shown(trace.jobs[i].id), links.lines[first->second]));
  }
  return numbers;
}

Result<void> resolve(Trace& trace, const JobLinks& links, std::string_view file) {
  ASSIGN_OR_RETURN(const IdTable numbers, number_ids(trace, links, file));
  for (const auto& [job, text] : links.depends_on) {
    std::vector<std::uint32_t>& resolved = trace.jobs[job].depends_on;
    std::string_view rest = text;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(';'), rest.size());
      const auto found = numbers.find(rest.substr(0, end));
      if (found == numbers.end()) {
        return record_error({file, links.lines[job]}, "trace.unknown_dependency",
                            fmt::format("depends_on names a job that the trace does not have; correct the id or leave it out: \"{}\" of "
                                        "job \"{}\"",
                                        shown(rest.substr(0, end)), shown(trace.jobs[job].id)));
      }
      resolved.push_back(found->second);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    std::sort(resolved.begin(), resolved.end());
    resolved.erase(std::unique(resolved.begin(), resolved.end()), resolved.end());
  }
  return {};
}

/// Takes away jobs all of whose dependencies are taken away, again and again: what is left stands on a cycle or behind one.
Result<void> refuse_cycles(const Trace& trace, const JobLinks& links, std::string_view file) {
  std::vector<std::size_t> waits_for(trace.jobs.size());
  std::vector<std::vector<std::uint32_t>> dependents(links.depends_on.empty() ? 0 : trace.jobs.size());
  for (const auto& [job, text] : links.depends_on) {
    waits_for[job] = trace.jobs[job].depends_on.size();
    for (const std::uint32_t other : trace.jobs[job].depends_on) dependents[other].push_back(job);
  }
  std::vector<std::uint32_t> ready;
  for (const auto& [job, text] : links.depends_on) {
    for (const std::uint32_t other : trace.jobs[job].depends_on) {
      if (trace.jobs[other].depends_on.empty()) ready.push_back(other);
    }
  }
  std::sort(ready.begin(), ready.end());
  ready.erase(std::unique(ready.begin(), ready.end()), ready.end());
  while (!ready.empty()) {
    const std::uint32_t done = ready.back();
    ready.pop_back();
    for (const std::uint32_t dependent : dependents[done]) {
      if (--waits_for[dependent] == 0) ready.push_back(dependent);
    }
  }
  for (std::uint32_t job = 0; job < trace.jobs.size(); ++job) {
    if (waits_for[job] == 0) continue;
    return record_error({file, links.lines[job]}, "trace.cyclic_dependency",
                        fmt::format("jobs wait for each other in a circle and none could ever start; break the circle: job \"{}\" is on it "
                                    "or behind it",
                                    shown(trace.jobs[job].id)));
  }
  return {};
}

Result<void> put_in_order(Trace& trace, const JobLinks& links, std::string_view file, bool sort) {
  const auto unsorted =
      std::is_sorted_until(trace.jobs.begin(), trace.jobs.end(), [](const TraceJob& a, const TraceJob& b) { return a.submit < b.submit; });
  if (unsorted == trace.jobs.end()) return {};
  if (!sort) {
    return record_error(
        {file, links.lines[static_cast<std::size_t>(unsorted - trace.jobs.begin())]}, "trace.unsorted",
        fmt::format("the trace is not sorted by submit time; sort the records, or pass --sort to have that done: job "
                    "\"{}\" comes at {} s, the one before it at {} s",
                    shown(unsorted->id), seconds_text(unsorted->submit.count()), seconds_text((unsorted - 1)->submit.count())));
  }
  std::vector<std::uint32_t> order(trace.jobs.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&trace](std::uint32_t a, std::uint32_t b) { return trace.jobs[a].submit < trace.jobs[b].submit; });
  std::vector<std::uint32_t> place_of(order.size());
  std::vector<TraceJob> jobs;
  jobs.reserve(order.size());
  for (const std::uint32_t old_place : order) {
    place_of[old_place] = static_cast<std::uint32_t>(jobs.size());
    jobs.push_back(std::move(trace.jobs[old_place]));
  }
  for (TraceJob& job : jobs) {
    for (std::uint32_t& other : job.depends_on) other = place_of[other];
    std::sort(job.depends_on.begin(), job.depends_on.end());
  }
  trace.jobs = std::move(jobs);
  return {};
}

}  // namespace

std::uint32_t NameTable::number_of(std::string_view name) {
  if (last_ < names_.size() && names_[last_] == name) return last_;
  const auto [found, added] = numbers_.emplace(std::string(name), static_cast<std::uint32_t>(names_.size()));
  if (added) names_.emplace_back(name);
  last_ = found->second;
  return last_;
}

Trace::Trace() { gpu_models.number_of(""); }

TraceFormat format_of(std::string_view path) {
  if (path.ends_with(".gz")) path.remove_suffix(3);
  return path.ends_with(".swf") ? TraceFormat::kSwf : TraceFormat::kCsv;
}

Result<void> finish_trace(Trace& trace, const JobLinks& links, std::string_view file, const TraceReading& reading) {
  if (trace.jobs.empty()) {
    return invalid_argument(
        "trace.empty",
        fmt::format("the trace holds no job that can run; check that it is the file you mean ({} records were skipped)", trace.skipped),
        std::string(file));
  }
  TRY(resolve(trace, links, file));
  TRY(refuse_cycles(trace, links, file));
  return put_in_order(trace, links, file, reading.sort);
}

Result<Trace> read_trace(const std::string& path, TraceFormat format, const TraceReading& reading) {
  ASSIGN_OR_RETURN(TextInput input, TextInput::open(path));
  switch (format) {
    case TraceFormat::kCsv:
      return read_trace_csv(input, reading);
    case TraceFormat::kSwf:
      return read_swf(input, reading);
  }
  return internal_error("trace.format", "a trace format is missing here");
}

}  // namespace trainyard::sim
