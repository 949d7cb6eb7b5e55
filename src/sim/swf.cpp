#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_set>

#include "sim/fields.h"
#include "sim/trace.h"

namespace trainyard::sim {
namespace {

constexpr std::size_t kFields = 18;
/// As in the definition of the format by Feitelson et al.; positions count from 0, the definition from 1.
constexpr std::array<std::string_view, kFields> kNames{
    "job number (1)", "submit time (2)",    "wait time (3)",        "run time (4)",     "processors allocated (5)",
    "CPU time (6)",   "memory used (7)",    "processors asked (8)", "time asked (9)",   "memory asked (10)",
    "status (11)",    "user (12)",          "group (13)",           "application (14)", "queue (15)",
    "partition (16)", "preceding job (17)", "think time (18)"};
enum Field : std::size_t {
  kId,
  kSubmit,
  kWait,
  kRun,
  kProcsUsed,
  kCpu,
  kMemUsed,
  kProcs,
  kTime,
  kMem,
  kStatus,
  kUser,
  kGroup,
  kApp,
  kQueue
};

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/// Splits at white space. More than kFields fields are counted, not kept.
std::size_t split(std::string_view record, std::array<std::string_view, kFields>& fields) {
  std::size_t count = 0;
  std::size_t at = 0;
  for (;;) {
    while (at < record.size() && blank(record[at])) ++at;
    if (at == record.size()) return count;
    const std::size_t start = at;
    while (at < record.size() && !blank(record[at])) ++at;
    if (count < kFields) fields[count] = record.substr(start, at - start);
    ++count;
  }
}

class SwfReader {
 public:
  SwfReader(TextInput& input, const TraceReading& reading)
      : records_(input, RecordReader::Quotes::kNone, reading.limits), reading_(reading) {}

  Result<Trace> read() {
    std::string_view record;
    for (;;) {
      ASSIGN_OR_RETURN(const bool more, records_.next(record));
      if (!more) break;
      const std::size_t first = record.find_first_not_of(" \t\r");
      if (first == std::string_view::npos) continue;
      if (record[first] == ';') {
        TRY(read_comment(record.substr(first + 1)));
      } else {
        TRY(read_job(record));
      }
    }
    if (trace_.skipped > 0) {
      trace_.warnings.push_back(fmt::format("{}: records without a run time or without processors are skipped, as the format says: {}",
                                            records_.place().file, trace_.skipped));
    }
    TRY(finish_trace(trace_, links_, records_.place().file, reading_));
    return std::move(trace_);
  }

 private:
  Result<void> read_comment(std::string_view comment) {
    const std::size_t colon = comment.find(':');
    if (colon == std::string_view::npos) return {};
    const auto trimmed = [](std::string_view text) {
      const std::size_t first = text.find_first_not_of(" \t\r");
      return first == std::string_view::npos ? std::string_view() : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
    };
    const std::string_view key = trimmed(comment.substr(0, colon));
    if (key != "MaxProcs" && key != "MaxNodes") return {};
    std::string_view text = trimmed(comment.substr(colon + 1));
    text = text.substr(0, text.find_first_of(" \t("));
    std::int64_t value = 0;
    if (text == "-1") return {};
    const std::string_view wrong = parse_whole(text, 1, kProcsMax, value);
    if (!wrong.empty()) return field_error(records_.place(), "trace.header", key, text, wrong);
    (key == "MaxProcs" ? trace_.processors : trace_.nodes) = value;
    return {};
  }

  Error bad(Field field, std::string_view wrong) const {
    return field_error(records_.place(), "trace.field", kNames[field], fields_[field], wrong);
  }

  Result<std::int64_t> whole(Field field, std::int64_t most) const {
    std::int64_t value = 0;
    const std::string_view wrong = parse_whole(fields_[field], -1, most, value);
    if (!wrong.empty()) return bad(field, value == -2 ? "it is too small; -1 stands for unknown" : wrong);
    return value;
  }

  Result<Duration> seconds(Field field) const {
    std::int64_t micros = 0;
    const std::string_view wrong = parse_signed_seconds(fields_[field], micros);
    if (!wrong.empty()) return bad(field, wrong);
    if (micros < 0 && micros != -1'000'000) return bad(field, "a time cannot be negative; -1 stands for unknown");
    return Duration(micros);
  }

  std::uint32_t name_number(NameTable& table, Field field) const {
    return table.number_of(fields_[field].starts_with('-') ? std::string_view("default") : fields_[field]);
  }

  Result<void> read_job(std::string_view record) {
    const std::size_t count = split(record, fields_);
    if (count != kFields) {
      return record_error(records_.place(), "trace.truncated",
                          fmt::format("a record has {} fields, not 18; the line is cut off or damaged: {}", count, shown(record)));
    }
    TraceJob job;
    ASSIGN_OR_RETURN(const std::int64_t number, whole(kId, std::int64_t{1} << 53));
    job.id = std::to_string(number);
    ASSIGN_OR_RETURN(job.submit, seconds(kSubmit));
    ASSIGN_OR_RETURN(job.runtime, seconds(kRun));
    ASSIGN_OR_RETURN(const std::int64_t procs_used, whole(kProcsUsed, kProcsMax));
    ASSIGN_OR_RETURN(const std::int64_t procs_asked, whole(kProcs, kProcsMax));
    job.procs = procs_asked > 0 ? procs_asked : procs_used;
    ASSIGN_OR_RETURN(const Duration limit, seconds(kTime));
    if (limit > Duration(0)) job.walltime = limit;
    TRY(read_memory(job));
    ASSIGN_OR_RETURN(const std::int64_t status, whole(kStatus, 1000));
    job.status = static_cast<std::int32_t>(status);
    for (const Field field : {kUser, kQueue}) TRY(whole(field, std::int64_t{1} << 53));
    if (job.runtime < Duration(0) || job.procs <= 0) {
      ++trace_.skipped;
      return {};
    }
    if (job.submit < Duration(0)) return bad(kSubmit, "a time cannot be negative: times count from the start of the log");
    job.user = name_number(trace_.users, kUser);
    job.queue = name_number(trace_.queues, kQueue);
    trace_.jobs.push_back(std::move(job));
    links_.lines.push_back(records_.place().line);
    return {};
  }

  /// KiB per processor; a decimal number in some logs.
  Result<void> read_memory(TraceJob& job) const {
    for (const Field field : {kMem, kMemUsed}) {
      const std::string_view text = fields_[field];
      std::int64_t kib = 0;
      const std::string_view wrong = parse_whole(text.substr(0, text.find('.')), -1, kMemoryMibMax * 1024, kib);
      if (!wrong.empty()) return bad(field, wrong);
      if (kib <= 0) continue;
      const double total = static_cast<double>(kib) * static_cast<double>(std::max<std::int64_t>(job.procs, 1));
      if (total > static_cast<double>(kMemoryMibMax) * 1024) return bad(field, "it is absurdly large for so many processors");
      job.mem_mib = (kib * std::max<std::int64_t>(job.procs, 1) + 1023) / 1024;
      return {};
    }
    return {};
  }

  RecordReader records_;
  const TraceReading& reading_;
  Trace trace_;
  JobLinks links_;
  std::array<std::string_view, kFields> fields_{};
};

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 15 && (text == "0" || text.front() != '0') &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// The names as numbers when all of them are (but "default", which is -1), else their positions from 1.
std::vector<std::string> numbers_of(const std::vector<std::string>& names) {
  const bool numeric =
      std::all_of(names.begin(), names.end(), [](const std::string& name) { return name == "default" || is_number(name); });
  std::vector<std::string> numbers;
  for (std::size_t i = 0; i < names.size(); ++i) {
    numbers.push_back(!numeric ? std::to_string(i + 1) : names[i] == "default" ? "-1" : names[i]);
  }
  return numbers;
}

}  // namespace

Result<Trace> read_swf(TextInput& input, const TraceReading& reading) { return SwfReader(input, reading).read(); }

std::string swf_text(const Trace& trace, const std::vector<SwfOutcome>& outcomes) {
  std::string out = "; Version: 2.2\n";
  if (trace.processors) out += fmt::format("; MaxProcs: {}\n", *trace.processors);
  if (trace.nodes) out += fmt::format("; MaxNodes: {}\n", *trace.nodes);
  const bool own_ids = std::all_of(trace.jobs.begin(), trace.jobs.end(), [](const TraceJob& job) { return is_number(job.id); });
  const std::vector<std::string> users = numbers_of(trace.users.names());
  const std::vector<std::string> queues = numbers_of(trace.queues.names());
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    const TraceJob& job = trace.jobs[i];
    const SwfOutcome outcome = i < outcomes.size() ? outcomes[i] : SwfOutcome{};
    const std::string wait = outcome.start ? seconds_text((*outcome.start - job.submit).count()) : "-1";
    const std::string run = seconds_text(outcome.start ? (outcome.end - *outcome.start).count() : job.runtime.count());
    const std::string limit = job.walltime == kUnbounded ? "-1" : seconds_text(job.walltime.count());
    const std::int64_t memory = job.mem_mib > 0 ? job.mem_mib * 1024 / job.procs : -1;
    const int status = !outcome.start ? job.status : outcome.succeeded ? 1 : 0;
    out += fmt::format("{} {} {} {} {} -1 -1 {} {} {} {} {} -1 -1 {} -1 -1 -1\n", own_ids ? job.id : std::to_string(i + 1),
                       seconds_text(job.submit.count()), wait, run, job.procs, job.procs, limit, memory, status, users[job.user],
                       queues[job.queue]);
  }
  return out;
}

}  // namespace trainyard::sim
