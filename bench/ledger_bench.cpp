// Measures how many job upserts a second the ledger makes durable, and how fast a large one is recovered.
// Usage: ledger_bench [seconds] [batch] [directory] [--state URL]. Prints one JSON line. Times are of the monotonic clock.
// With --state the ledger is that one, which is empty and belongs to nobody else; without it a SQLite file in the directory.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/time.h"
#include "bench_ledger.h"

namespace trainyard {
namespace {

constexpr std::size_t kBodyBytes = 300;

struct Measured {
  std::uint64_t jobs = 0;
  double seconds = 0;
  std::vector<double> commit_ms;
};

double seconds_between(MonotonicPoint from, MonotonicPoint to) { return std::chrono::duration<double>(to - from).count(); }

store::LedgerBatch batch_of(std::uint64_t first, std::size_t count, bool live, std::uint64_t& next_event) {
  store::LedgerBatch batch;
  const std::string body(kBodyBytes, live ? 'q' : 's');
  batch.jobs.reserve(count);
  for (std::uint64_t id = first; id < first + count; ++id) batch.jobs.push_back({JobId(id), live, time_from_micros(1), body});
  if (next_event > 0) {
    batch.events.reserve(count);
    for (std::uint64_t id = first; id < first + count; ++id) {
      batch.events.push_back({EventNumber(next_event++), JobId(id), time_from_micros(1), live ? "submitted" : "succeeded", "{}"});
    }
  }
  return batch;
}

Result<void> commit(store::JobLedger& ledger, store::LedgerBatch batch) {
  const auto answer = std::make_shared<std::promise<Result<void>>>();  // shared: the ledger may still be inside set_value when we leave
  auto future = answer->get_future();
  ledger.commit(std::move(batch), [answer](Result<void> result) { answer->set_value(std::move(result)); });
  return future.get();
}

/// Commits batch after batch, the next being built while none is in flight, until `seconds` have passed or `jobs_max` are written.
Result<Measured> write_jobs(store::JobLedger& ledger, const Clock& clock, double seconds, std::uint64_t jobs_max, std::size_t batch_size,
                            bool live, std::uint64_t& next_event) {
  Measured measured;
  const MonotonicPoint start = clock.monotonic_now();
  while (measured.seconds < seconds && measured.jobs < jobs_max) {
    store::LedgerBatch batch = batch_of(measured.jobs + 1, batch_size, live, next_event);
    const MonotonicPoint begun = clock.monotonic_now();
    TRY(commit(ledger, std::move(batch)));
    const MonotonicPoint ended = clock.monotonic_now();
    measured.commit_ms.push_back(seconds_between(begun, ended) * 1e3);
    measured.jobs += batch_size;
    measured.seconds = seconds_between(start, ended);
  }
  return measured;
}

std::string json_of(std::string_view name, Measured measured) {
  std::sort(measured.commit_ms.begin(), measured.commit_ms.end());
  const auto last = static_cast<double>(measured.commit_ms.size() - 1);
  const auto at = [&](double share) { return measured.commit_ms[static_cast<std::size_t>(last * share)]; };
  return fmt::format(R"("{0}_per_second":{1:.0f},"{0}_commit_ms_p50":{2:.3f},"{0}_commit_ms_p99":{3:.3f},"{0}_commit_ms_max":{4:.3f})",
                     name, static_cast<double>(measured.jobs) / measured.seconds, at(0.5), at(0.99), at(1));
}

struct Options {
  double seconds = 2;
  std::size_t batch = 1000;
  std::string directory;
  std::string state;
};

/// A ledger that holds nothing yet.
Result<std::unique_ptr<store::JobLedger>> open_empty_ledger(const std::string& state) {
  ASSIGN_OR_RETURN(std::unique_ptr<store::JobLedger> ledger, open_ledger(state));
  ASSIGN_OR_RETURN(const store::LedgerRecovery recovery, ledger->recover());
  if (recovery.last_job.valid()) return failed_precondition("bench.not_empty", "the ledger holds jobs, name another one");
  return ledger;
}

Result<std::string> measure_writes(const std::string& state, const Clock& clock, const Options& options) {
  std::uint64_t no_events = 0;
  std::uint64_t next_event = 1;
  const double seconds = options.seconds;
  ASSIGN_OR_RETURN(const std::unique_ptr<store::JobLedger> ledger, open_empty_ledger(state));
  ASSIGN_OR_RETURN(const Measured inserted, write_jobs(*ledger, clock, seconds, 1'000'000, options.batch, true, no_events));
  ASSIGN_OR_RETURN(const Measured updated, write_jobs(*ledger, clock, seconds, inserted.jobs, options.batch, false, no_events));
  ASSIGN_OR_RETURN(const Measured with_events, write_jobs(*ledger, clock, seconds, inserted.jobs, options.batch, true, next_event));
  ASSIGN_OR_RETURN(const Measured single, write_jobs(*ledger, clock, seconds / 2, 5'000, 1, true, next_event));
  return fmt::format("{},{},{},{}", json_of("insert", inserted), json_of("update", updated), json_of("update_with_event", with_events),
                     json_of("single", single));
}

Result<std::string> measure_recovery(const std::string& state, const Clock& clock) {
  const MonotonicPoint opening = clock.monotonic_now();
  ASSIGN_OR_RETURN(const std::unique_ptr<store::JobLedger> ledger, open_ledger(state));
  const MonotonicPoint opened = clock.monotonic_now();
  ASSIGN_OR_RETURN(const store::LedgerRecovery recovery, ledger->recover());
  const MonotonicPoint recovered = clock.monotonic_now();
  return fmt::format(R"("recovered_jobs":{},"open_ms":{:.1f},"recover_ms":{:.1f})", recovery.live_jobs.size(),
                     seconds_between(opening, opened) * 1e3, seconds_between(opened, recovered) * 1e3);
}

Result<void> fill(const std::string& state, const Clock& clock) {
  std::uint64_t next_event = 1;
  ASSIGN_OR_RETURN(const std::unique_ptr<store::JobLedger> ledger, open_empty_ledger(state));
  TRY(write_jobs(*ledger, clock, 60, 100'000, 10'000, true, next_event));
  return {};
}

Result<std::string> measure(const Options& options) {
  const SystemClock clock;
  const bool own_files = options.state.empty();
  const std::string written = own_files ? "sqlite://" + options.directory + "/ledger.db" : options.state;
  ASSIGN_OR_RETURN(const std::string writes, measure_writes(written, clock, options));
  // In a server the jobs that were written are recovered, in a file always as many.
  const std::string recovered = own_files ? "sqlite://" + options.directory + "/recovered.db" : options.state;
  if (own_files) TRY(fill(recovered, clock));
  ASSIGN_OR_RETURN(const std::string recovery, measure_recovery(recovered, clock));
  return fmt::format(R"({{"bench":"ledger","state":"{}","batch":{},"body_bytes":{},{},{}}})",
                     own_files ? "sqlite" : options.state.substr(0, options.state.find(':')), options.batch, kBodyBytes, writes, recovery);
}

Result<Options> options_of(int argc, char** argv) {
  Options options;
  std::vector<std::string> words(argv + 1, argv + argc);
  if (const auto state = std::find(words.begin(), words.end(), "--state"); state != words.end()) {
    if (state + 1 == words.end()) return invalid_argument("bench.state", "--state takes a URL");
    options.state = *(state + 1);
    words.erase(state, state + 2);
  }
  if (!words.empty()) options.seconds = std::atof(words[0].c_str());
  if (words.size() > 1) options.batch = static_cast<std::size_t>(std::atoll(words[1].c_str()));
  if (words.size() > 2) options.directory = words[2];
  if (options.batch == 0) return invalid_argument("bench.batch", "a batch holds at least one job");
  return options;
}

Result<std::string> run(int argc, char** argv) {
  ASSIGN_OR_RETURN(Options options, options_of(argc, argv));
  const bool temporary = options.directory.empty();
  if (temporary) {
    ASSIGN_OR_RETURN(options.directory, make_temporary_directory("trainyard-ledger-bench-"));
  }
  Result<std::string> line = measure(options);
  if (temporary) TRY(remove_tree(options.directory));
  return line;
}

}  // namespace
}  // namespace trainyard

int main(int argc, char** argv) {
  const trainyard::Result<std::string> line = trainyard::run(argc, argv);
  fmt::print(line.ok() ? stdout : stderr, "{}\n", line.ok() ? *line : line.error().describe());
  return line.ok() ? 0 : 1;
}
