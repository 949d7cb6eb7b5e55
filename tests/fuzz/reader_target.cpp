#include "tests/fuzz/reader_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "sim/faults.h"
#include "sim/fields.h"
#include "sim/machine.h"
#include "sim/schedule.h"
#include "sim/testing/workloads.h"
#include "sim/trace.h"

namespace trainyard::fuzz {
namespace {

using sim::TextInput;

constexpr std::string_view kFile = "f";
/// A record of an input can be longer than this only by mutations that repeat it, and a small gzip file can be a large text.
constexpr sim::ReadLimits kLimits{.record_max = std::size_t{1} << 16, .bytes_max = std::uint64_t{1} << 22, .records_max = 20'000};
Answers g_answers;

[[noreturn]] void broken(std::string_view promise, std::string_view detail) {
  fmt::print(stderr, "broken promise: {}: {}\n", promise, sim::shown(detail));
  std::abort();
}

void expect(bool holds, std::string_view promise, std::string_view detail = {}) {
  if (!holds) broken(promise, detail);
}

/// For people: some text, not too much, nothing that a terminal would obey.
void check_text(std::string_view text, std::string_view what) {
  expect(!text.empty() && text.size() < 4000, what, "empty or endless");
  while (!text.empty()) {
    std::size_t length = std::min<std::size_t>(text.size(), 900);
    while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80U) --length;
    expect(sim::check_name(text.substr(0, length)).empty(), what, text);
    text.remove_prefix(length);
  }
}

/// `lines`: of the input as it is decompressed; no error stands behind the last one but for the line that is missing there.
void check_refusal(const Error& error, std::uint64_t lines) {
  ++g_answers.refused;
  check_text(error.message, "a reason is text");
  expect(error.id.find('.') != std::string::npos, "a refusal has an id", error.id);
  expect(error.category == Category::kInvalidArgument, "a bad input is an invalid argument", error.describe());
  check_text(error.describe(), "a description is text");
  const std::string_view where = error.where;
  if (where == kFile) return expect(error.id == "trace.empty" || error.id == "sim.gzip", "a refusal names the line", error.describe());
  expect(where.starts_with("f:"), "a refusal names the file", error.describe());
  std::uint64_t line = 0;
  const auto parsed = std::from_chars(where.data() + 2, where.data() + where.size(), line);
  expect(parsed.ec == std::errc() && parsed.ptr == where.data() + where.size(), "a line is a number", where);
  expect(line >= 1 && line <= lines + 1, "a line is in the file", error.describe());
}

std::uint64_t lines_of(std::string_view text) { return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n')) + 1; }

void check_warnings(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) check_text(warning, "a warning is text");
}

/// Reads a trace, sorting it when that is all it lacks; none when it was refused.
template <typename Read>
std::optional<sim::Trace> trace_in(std::string_view bytes, std::uint64_t lines, const Read& read, bool& sorted) {
  for (const bool sort : {false, true}) {
    TextInput input = TextInput::over(std::string(kFile), bytes);
    Result<sim::Trace> trace = read(input, sim::TraceReading{.limits = kLimits, .sort = sort});
    if (!trace.ok()) {
      check_refusal(trace.error(), lines);
      if (trace.error().id == "trace.unsorted" && !sort) continue;
      expect(trace.error().id != "trace.unsorted", "what is sorted is not refused as unsorted");
      return std::nullopt;
    }
    ++g_answers.accepted;
    check_warnings(trace->warnings);
    sorted = sort;
    return std::move(trace).value();
  }
  return std::nullopt;
}

void check_trace_csv(std::string_view bytes, std::uint64_t lines) {
  bool sorted = false;
  std::optional<sim::Trace> trace = trace_in(bytes, lines, sim::read_trace_csv, sorted);
  if (!trace) return;
  const std::string text = sim::trace_csv(*trace);
  TextInput input = TextInput::over(std::string(kFile), text);
  Result<sim::Trace> again = sim::read_trace_csv(input);
  expect(again.ok(), "what was written can be read", again.ok() ? "" : again.error().describe());
  expect(sim::trace_csv(*again) == text, "what was written and read is written the same", text);
  trace->warnings.clear();
  // Sorting puts the names in another order than reading the sorted text does.
  if (!sorted) expect(*again == *trace, "a trace that was written and read is equal", text);
}

void check_swf(std::string_view bytes) {
  bool sorted = false;
  const std::optional<sim::Trace> trace = trace_in(bytes, lines_of(bytes), sim::read_swf, sorted);
  if (!trace) return;
  const std::string text = sim::swf_text(*trace, {});
  TextInput input = TextInput::over(std::string(kFile), text);
  Result<sim::Trace> again = sim::read_swf(input);
  expect(again.ok(), "a log that was written can be read", again.ok() ? "" : again.error().describe());
  expect(again->jobs.size() == trace->jobs.size() && again->skipped == 0, "no job is lost", text);
  expect(again->processors == trace->processors && again->nodes == trace->nodes, "a header is kept", text);
  const bool own_ids = again->jobs.front().id == trace->jobs.front().id;
  for (std::size_t i = 0; i < trace->jobs.size(); ++i) {
    sim::TraceJob job = trace->jobs[i];
    const sim::TraceJob& read = again->jobs[i];
    // Names that are no plain numbers get numbers, and sorting changes the order in which they occur.
    if (!own_ids) job.id = read.id;
    if (sorted) job.user = read.user;
    if (sorted) job.queue = read.queue;
    expect(read == job, "a job of a log that was written and read is equal", text);
  }
}

void check_cluster(std::string_view bytes) {
  TextInput input = TextInput::over(std::string(kFile), bytes);
  const Result<sim::Machine> machine = sim::read_cluster_csv(input, kLimits);
  if (!machine.ok()) return check_refusal(machine.error(), lines_of(bytes));
  ++g_answers.accepted;
  check_warnings(machine->warnings);
  const std::string text = sim::cluster_csv(*machine);
  TextInput written = TextInput::over(std::string(kFile), text);
  const Result<sim::Machine> again = sim::read_cluster_csv(written);
  expect(again.ok(), "a cluster that was written can be read", again.ok() ? "" : again.error().describe());
  expect(again->nodes == machine->nodes && again->host_ids == machine->host_ids, "a cluster that was written and read is equal", text);
  sched::ClusterSnapshot cluster;
  const Result<void> added = sim::add_nodes(*machine, cluster);
  expect(added.ok(), "the planner takes what the reader accepts", added.ok() ? "" : added.error().describe());
}

void check_schedule(std::string_view bytes) {
  TextInput input = TextInput::over(std::string(kFile), bytes);
  const Result<std::vector<sim::ScheduleRow>> rows = sim::read_schedule_csv(input, kLimits);
  if (!rows.ok()) return check_refusal(rows.error(), lines_of(bytes));
  ++g_answers.accepted;
  const std::string text = sim::schedule_csv(*rows);
  TextInput written = TextInput::over(std::string(kFile), text);
  const Result<std::vector<sim::ScheduleRow>> again = sim::read_schedule_csv(written);
  expect(again.ok(), "a schedule that was written can be read", again.ok() ? "" : again.error().describe());
  expect(*again == *rows, "a schedule that was written and read is equal", text);
}

/// The bytes as a file, compressed or not; and as a text that is compressed here, which must come out as it went in.
void check_gzip(std::string_view bytes) {
  std::string text(kLimits.bytes_max, '\0');
  TextInput raw = TextInput::over(std::string(kFile), bytes);
  const Result<std::size_t> length = raw.read(text);
  if (length.ok()) text.resize(*length);
  check_trace_csv(bytes, length.ok() ? lines_of(text) : kLimits.bytes_max);
  const std::string packed = sim::testing::gzipped(bytes);
  TextInput input = TextInput::over(std::string(kFile), packed);
  std::string unpacked(bytes.size() + 1, '\0');
  const Result<std::size_t> got = input.read(unpacked);
  expect(got.ok() && *got == bytes.size() && std::string_view(unpacked).substr(0, *got) == bytes, "gzip loses nothing", bytes);
  if (packed.size() < 4) return;
  TextInput cut = TextInput::over(std::string(kFile), std::string_view(packed).substr(0, packed.size() - 1 - bytes.size() % 8));
  const Result<std::size_t> missing = cut.read(unpacked);
  expect(!missing.ok() && missing.error().id == "sim.gzip", "what is cut off is refused", bytes);
}

void check_fault(std::string_view text, bool spot) {
  const auto parse = spot ? sim::parse_spot : sim::parse_loss;
  const Result<sim::Fault> fault = parse(text);
  if (!fault.ok()) {
    ++g_answers.refused;
    expect(fault.error().id == "sim.fault", "a fault is refused as one", fault.error().describe());
    return check_text(fault.error().describe(), "a reason is text");
  }
  ++g_answers.accepted;
  std::string written = fmt::format("{}@{}", fault->node, sim::seconds_text(fault->at.count()));
  if (spot) written += '/' + sim::seconds_text(fault->notice.count());
  if (fault->down > Duration(0)) written += '+' + sim::seconds_text(fault->down.count());
  const Result<sim::Fault> again = parse(written);
  expect(again.ok() && *again == *fault, "a fault that was written and read is equal", text);
}

struct Reader {
  std::string_view name;
  void (*check)(std::string_view bytes);
};

constexpr Reader kReaders[] = {
    {"trace", [](std::string_view bytes) { check_trace_csv(bytes, lines_of(bytes)); }},
    {"swf", check_swf},
    {"cluster", check_cluster},
    {"schedule", check_schedule},
    {"gzip", check_gzip},
    {"faults",
     [](std::string_view bytes) {
       for (const bool spot : {false, true}) check_fault(bytes.substr(0, bytes.find('\n')), spot);
     }},
};
const Reader* g_reader = nullptr;

/// Under libFuzzer, which has no words of its own for us.
const Reader& chosen() {
  if (g_reader == nullptr) {
    const char* name = std::getenv("TRAINYARD_FUZZ_READER");
    expect(choose_reader(name != nullptr ? name : "trace"), "TRAINYARD_FUZZ_READER names a reader", name);
  }
  return *g_reader;
}

}  // namespace

std::span<const std::string_view> reader_names() {
  static const std::vector<std::string_view> kNames = [] {
    std::vector<std::string_view> names;
    for (const Reader& reader : kReaders) names.push_back(reader.name);
    return names;
  }();
  return kNames;
}

bool choose_reader(std::string_view name) {
  for (const Reader& reader : kReaders) {
    if (reader.name == name) g_reader = &reader;
  }
  return g_reader != nullptr && g_reader->name == name;
}

Answers answers() { return g_answers; }

}  // namespace trainyard::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(data, data + size);
  trainyard::fuzz::chosen().check(bytes);
  return 0;
}
