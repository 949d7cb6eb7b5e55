#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <span>

#include "sim/fields.h"
#include "sim/trace.h"

namespace trainyard::sim {
namespace {

/// One column of the format. `read` answers what is wrong with a text that is not blank, or nothing. `used`: whether the job says anything
/// but the default there. An optional column is left out when no job uses it, unless `always`.
struct Column {
  std::string_view name;
  bool required = false;
  bool always = false;
  std::string_view (*read)(Trace& trace, TraceJob& job, std::string_view text) = nullptr;
  bool (*used)(const TraceJob& job) = nullptr;
  void (*write)(const Trace& trace, const TraceJob& job, std::string& out) = nullptr;
};

template <Duration TraceJob::*Member>
std::string_view read_time(Trace& /*trace*/, TraceJob& job, std::string_view text) {
  std::int64_t micros = 0;
  const std::string_view wrong = parse_seconds(text, micros);
  job.*Member = Duration(micros);
  return wrong;
}

template <Duration TraceJob::*Member>
void write_time(const Trace& /*trace*/, const TraceJob& job, std::string& out) {
  if (job.*Member != kUnbounded) append_seconds(out, (job.*Member).count());
}

template <std::int64_t TraceJob::*Member, std::int64_t Least, std::int64_t Most>
std::string_view read_whole(Trace& /*trace*/, TraceJob& job, std::string_view text) {
  return parse_whole(text, Least, Most, job.*Member);
}

template <std::int64_t TraceJob::*Member>
void write_whole(const Trace& /*trace*/, const TraceJob& job, std::string& out) {
  out += std::to_string(job.*Member);
}

/// As write_whole, with 0 as blank.
template <std::int64_t TraceJob::*Member>
void write_positive(const Trace& /*trace*/, const TraceJob& job, std::string& out) {
  if (job.*Member > 0) out += std::to_string(job.*Member);
}

template <std::uint32_t TraceJob::*Member, NameTable Trace::*Table>
std::string_view read_name(Trace& trace, TraceJob& job, std::string_view text) {
  const std::string_view wrong = check_name(text);
  if (wrong.empty()) job.*Member = (trace.*Table).number_of(text);
  return wrong;
}

template <std::uint32_t TraceJob::*Member, NameTable Trace::*Table>
void write_name(const Trace& trace, const TraceJob& job, std::string& out) {
  append_csv(out, (trace.*Table).name(job.*Member));
}

std::string_view read_id(Trace& /*trace*/, TraceJob& job, std::string_view text) {
  job.id = text;
  return text.find(';') == std::string_view::npos ? check_name(text) : "an id holds no semicolon, which separates ids in depends_on";
}

std::string_view read_walltime(Trace& trace, TraceJob& job, std::string_view text) {
  const std::string_view wrong = read_time<&TraceJob::walltime>(trace, job, text);
  if (wrong.empty() && job.walltime == Duration(0)) return "a limit is more than 0; leave it blank for none";
  return wrong;
}

std::string_view read_gpu_milli(Trace& /*trace*/, TraceJob& job, std::string_view text) {
  std::int64_t value = 0;
  const std::string_view wrong = parse_whole(text, 0, 1000, value);
  job.gpu_milli = value == 0 ? 1000 : static_cast<std::int32_t>(value);
  return wrong.empty() ? wrong : "it must be a whole number from 1 to 1000, thousandths of one device";
}

std::string_view read_preemptible(Trace& /*trace*/, TraceJob& job, std::string_view text) {
  job.preemptible = text != "0";
  return text == "0" || text == "1" ? "" : "it must be 0 or 1";
}

std::string_view read_job_weight(Trace& /*trace*/, TraceJob& job, std::string_view text) { return parse_weight(text, job.weight); }

void write_dependencies(const Trace& trace, const TraceJob& job, std::string& out) {
  std::string ids;
  for (const std::uint32_t other : job.depends_on) {
    if (!ids.empty()) ids += ';';
    ids += trace.jobs[other].id;
  }
  append_csv(out, ids);
}

/// Positions in kColumns.
constexpr std::size_t kUser = 7;
constexpr std::size_t kQueue = 8;
constexpr std::size_t kDependsOn = 21;

const std::array<Column, 22> kColumns{{
    {"job_id", true, true, read_id, nullptr, [](const Trace&, const TraceJob& job, std::string& out) { append_csv(out, job.id); }},
    {"submit_s", true, true, read_time<&TraceJob::submit>, nullptr, write_time<&TraceJob::submit>},
    {"runtime_s", true, true, read_time<&TraceJob::runtime>, nullptr, write_time<&TraceJob::runtime>},
    {"walltime_s", false, true, read_walltime, nullptr, write_time<&TraceJob::walltime>},
    {"procs", true, true, read_whole<&TraceJob::procs, 1, kProcsMax>, nullptr, write_whole<&TraceJob::procs>},
    {"gpus", false, true, read_whole<&TraceJob::gpus, 0, kProcsMax>, nullptr, write_whole<&TraceJob::gpus>},
    {"mem_mb", false, true, read_whole<&TraceJob::mem_mib, 0, kMemoryMibMax>, nullptr, write_positive<&TraceJob::mem_mib>},
    {"user", false, true, read_name<&TraceJob::user, &Trace::users>, nullptr, write_name<&TraceJob::user, &Trace::users>},
    {"queue", false, true, read_name<&TraceJob::queue, &Trace::queues>, nullptr, write_name<&TraceJob::queue, &Trace::queues>},
    {"priority", false, true, read_whole<&TraceJob::priority, -kPriorityMax, kPriorityMax>, nullptr, write_whole<&TraceJob::priority>},
    {"nodes", false, false, read_whole<&TraceJob::nodes, 0, kProcsMax>, [](const TraceJob& job) { return job.nodes > 0; },
     write_positive<&TraceJob::nodes>},
    {"gpu_milli", false, false, read_gpu_milli, [](const TraceJob& job) { return job.gpu_milli != 1000; },
     [](const Trace&, const TraceJob& job, std::string& out) {
       if (job.gpu_milli != 1000) out += std::to_string(job.gpu_milli);
     }},
    {"gpu_model", false, false, read_name<&TraceJob::gpu_models, &Trace::gpu_models>,
     [](const TraceJob& job) { return job.gpu_models != 0; }, write_name<&TraceJob::gpu_models, &Trace::gpu_models>},
    {"min_procs", false, false, read_whole<&TraceJob::procs_min, 0, kProcsMax>, [](const TraceJob& job) { return job.procs_min > 0; },
     write_positive<&TraceJob::procs_min>},
    {"max_procs", false, false, read_whole<&TraceJob::procs_max, 0, kProcsMax>, [](const TraceJob& job) { return job.procs_max > 0; },
     write_positive<&TraceJob::procs_max>},
    {"preemptible", false, false, read_preemptible, [](const TraceJob& job) { return !job.preemptible; },
     [](const Trace&, const TraceJob& job, std::string& out) { out += job.preemptible ? '1' : '0'; }},
    {"ckpt_interval_s", false, false, read_time<&TraceJob::checkpoint_interval>,
     [](const TraceJob& job) { return job.checkpoint_interval > Duration(0); }, write_time<&TraceJob::checkpoint_interval>},
    {"ckpt_s", false, false, read_time<&TraceJob::checkpoint_cost>, [](const TraceJob& job) { return job.checkpoint_cost > Duration(0); },
     write_time<&TraceJob::checkpoint_cost>},
    {"restart_s", false, false, read_time<&TraceJob::restart_cost>, [](const TraceJob& job) { return job.restart_cost > Duration(0); },
     write_time<&TraceJob::restart_cost>},
    {"deadline_s", false, false, read_time<&TraceJob::deadline>, [](const TraceJob& job) { return job.deadline != kUnbounded; },
     write_time<&TraceJob::deadline>},
    {"weight", false, false, read_job_weight, [](const TraceJob& job) { return job.weight != 1; },
     [](const Trace&, const TraceJob& job, std::string& out) { out += fmt::format("{}", job.weight); }},
    {"depends_on", false, false, nullptr, [](const TraceJob& job) { return !job.depends_on.empty(); }, write_dependencies},
}};

constexpr std::size_t kUnknown = kColumns.size();

/// Which column of the format stands at each position of this file.
Result<std::vector<std::size_t>> read_header(std::span<const std::string_view> names, const Place& place, Trace& trace) {
  std::vector<std::size_t> columns;
  std::string unknown;
  for (const std::string_view name : names) {
    const auto found = std::find_if(kColumns.begin(), kColumns.end(), [name](const Column& column) { return column.name == name; });
    const auto column = static_cast<std::size_t>(found - kColumns.begin());
    if (column == kUnknown) {
      unknown += (unknown.empty() ? "" : ", ") + shown(name);
    } else if (std::find(columns.begin(), columns.end(), column) != columns.end()) {
      return record_error(place, "trace.header", fmt::format("a column occurs twice in the header; leave one out: {}", name));
    }
    columns.push_back(column);
  }
  for (std::size_t column = 0; column < kColumns.size(); ++column) {
    if (!kColumns[column].required || std::find(columns.begin(), columns.end(), column) != columns.end()) continue;
    return record_error(place, "trace.header",
                        fmt::format("the header lacks a required column; the first line that is no comment must name job_id, submit_s, "
                                    "runtime_s and procs: {} is missing, there are {} columns",
                                    kColumns[column].name, names.size()));
  }
  if (!unknown.empty()) trace.warnings.push_back(fmt::format("{}:{}: unknown columns are ignored: {}", place.file, place.line, unknown));
  return columns;
}

/// What no single field shows.
Result<void> check_job(const TraceJob& job, const Place& place) {
  const auto wrong = [&place](std::string_view name, std::int64_t value, std::string_view why) {
    return field_error(place, "trace.field", name, std::to_string(value), why);
  };
  if (job.nodes > 0 && (job.procs % job.nodes != 0 || job.gpus % job.nodes != 0)) {
    return wrong("nodes", job.nodes, fmt::format("procs ({}) and gpus ({}) must divide evenly among the members", job.procs, job.gpus));
  }
  if (job.gpu_milli != 1000 && job.gpus != 1) {
    return wrong("gpu_milli", job.gpu_milli, fmt::format("a share of a device needs gpus = 1, which is {} here", job.gpus));
  }
  if (job.procs_min > job.procs) return wrong("min_procs", job.procs_min, fmt::format("it is at most procs, {} here", job.procs));
  if (job.procs_max != 0 && job.procs_max < job.procs) {
    return wrong("max_procs", job.procs_max, fmt::format("it is at least procs, {} here", job.procs));
  }
  return {};
}

class CsvTraceReader {
 public:
  CsvTraceReader(TextInput& input, const TraceReading& reading)
      : records_(input, RecordReader::Quotes::kRfc4180, reading.limits), reading_(reading) {}

  Result<Trace> read() {
    std::string_view record;
    for (;;) {
      ASSIGN_OR_RETURN(const bool more, records_.next(record));
      if (!more) break;
      if (record.empty() || record.front() == '#') continue;
      if (const std::string_view wrong = split_csv(record, fields_, unescaped_); !wrong.empty()) {
        return record_error(records_.place(), "trace.quoting", fmt::format("a record is not valid CSV; {}: {}", wrong, shown(record)));
      }
      if (columns_.empty()) {
        ASSIGN_OR_RETURN(columns_, read_header(fields_, records_.place(), trace_));
      } else {
        TRY(read_job());
      }
    }
    if (columns_.empty()) {
      return record_error(records_.place(), "trace.header",
                          "the file holds no header; its first line must name the columns: job_id,submit_s,runtime_s,procs,...");
    }
    TRY(finish_trace(trace_, links_, records_.place().file, reading_));
    return std::move(trace_);
  }

 private:
  Result<void> read_job() {
    if (fields_.size() != columns_.size()) {
      return record_error(
          records_.place(), "trace.truncated",
          fmt::format("a record does not have one field for each column; the line is cut off, or a field with a comma lacks "
                      "quotes: {} fields, {} columns",
                      fields_.size(), columns_.size()));
    }
    const auto number = static_cast<std::uint32_t>(trace_.jobs.size());
    TraceJob& job = trace_.jobs.emplace_back();
    bool user = false;
    bool queue = false;
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      if (columns_[i] == kUnknown) continue;
      const Column& column = kColumns[columns_[i]];
      if (fields_[i].empty()) {
        if (!column.required) continue;
        return field_error(records_.place(), "trace.field", column.name, fields_[i], "it must not be blank");
      }
      if (columns_[i] == kDependsOn) {
        links_.depends_on.emplace_back(number, std::string(fields_[i]));
        continue;
      }
      user = user || columns_[i] == kUser;
      queue = queue || columns_[i] == kQueue;
      const std::string_view wrong = column.read(trace_, job, fields_[i]);
      if (!wrong.empty()) return field_error(records_.place(), "trace.field", column.name, fields_[i], wrong);
    }
    if (!user) job.user = trace_.users.number_of("default");
    if (!queue) job.queue = trace_.queues.number_of("default");
    links_.lines.push_back(records_.place().line);
    return check_job(job, records_.place());
  }

  RecordReader records_;
  const TraceReading& reading_;
  Trace trace_;
  JobLinks links_;
  std::vector<std::size_t> columns_;
  std::vector<std::string_view> fields_;
  std::string unescaped_;
};

}  // namespace

Result<Trace> read_trace_csv(TextInput& input, const TraceReading& reading) { return CsvTraceReader(input, reading).read(); }

std::string trace_csv(const Trace& trace) {
  std::vector<const Column*> columns;
  for (const Column& column : kColumns) {
    if (column.always || std::any_of(trace.jobs.begin(), trace.jobs.end(), column.used)) columns.push_back(&column);
  }
  std::string out;
  for (const Column* column : columns) {
    if (column != columns.front()) out += ',';
    out += column->name;
  }
  out += '\n';
  for (const TraceJob& job : trace.jobs) {
    for (const Column* column : columns) {
      if (column != columns.front()) out += ',';
      column->write(trace, job, out);
    }
    out += '\n';
  }
  return out;
}

}  // namespace trainyard::sim
