// Measures how many jobs a second JobService takes, leases and completes through a ledger, in one process.
// Usage: jobs_bench [jobs] [batch] [directory] [last figure] [--state URL]. Prints one JSON line a figure, each with the probe of the same
// run: p50 and p99 of append 4 KiB + fdatasync. Times are of the monotonic clock. An empty directory: one of its own. With --state the
// ledger is that one, which is empty and belongs to nobody else; without it a SQLite file in the directory. Beside the rates stands the
// processor time of the strand and of all other threads (the ledger's) for each job, which other load on the machine changes little.
#include <fcntl.h>
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/file.h"
#include "bench_ledger.h"
#include "jobs/job_service.h"

/// As the server has it.
extern "C" const char* const malloc_conf = "thp:always,metadata_thp:auto";

namespace trainyard {
namespace {

constexpr std::uint64_t kSeed = 1;
constexpr std::size_t kNodes = 64;
constexpr std::int64_t kCoresPerNode = 64;
/// As from many clients: enough that the next commit gathers while one is being written.
constexpr std::size_t kBatchesInFlight = 32;
constexpr auto kWaitMax = std::chrono::minutes(10);

double seconds_between(MonotonicPoint from, MonotonicPoint to) { return std::chrono::duration<double>(to - from).count(); }

/// Starts nothing: a launched rank has exited with 0 the next time the strand looks.
class ImmediateBackend final : public exec::ExecutionBackend {
 public:
  explicit ImmediateBackend(Executor& strand, const Clock& clock) : strand_(strand), clock_(clock) {
    for (std::size_t i = 0; i < kNodes; ++i) {
      exec::NodeView view;
      view.name = {fmt::format("node-{:02}", i)};
      view.capacity = {kCoresPerNode * 1000, kCoresPerNode << 30, 0};
      views_.push_back(std::move(view));
    }
  }
  /// On the strand.
  void set_ready(bool ready) {
    for (exec::NodeView& view : views_) view.ready = ready;
    observer_->on_nodes_changed();
  }
  std::function<void()> on_launch;

  void set_observer(exec::AttemptObserver& observer) override { observer_ = &observer; }
  std::vector<exec::NodeView> nodes() const override { return views_; }
  void launch(const exec::GangLaunch& launch) override {
    if (on_launch) on_launch();
    if (launched_.empty()) strand_.post([this] { exit_all(); });
    for (const exec::RankLaunch& rank : launch.ranks) launched_.push_back(rank.rank);
  }
  void stop(const AttemptKey&, exec::StopReason, Duration) override {}
  void request_checkpoint(const AttemptKey&) override {}
  void forget(const AttemptKey&) override {}
  void adopt(const exec::GangLaunch&) override {}

 private:
  void exit_all() {
    exec::RankExit exit;
    exit.ended_at = clock_.now();
    for (const RankKey& rank : std::exchange(launched_, {})) observer_->on_rank_exited(rank, exit);
  }

  Executor& strand_;
  const Clock& clock_;
  exec::AttemptObserver* observer_ = nullptr;
  std::vector<exec::NodeView> views_;
  std::vector<RankKey> launched_;
};

class PlainBuilder final : public jobs::AttemptBuilder {
 public:
  exec::GangLaunch build(const jobs::Job& job) override {
    exec::GangLaunch launch;
    launch.attempt = {job.id, job.attempt.number};
    for (std::uint32_t rank = 0; rank < job.attempt.ranks.size(); ++rank) {
      exec::RankLaunch one;
      one.rank = {launch.attempt, rank};
      one.argv = job.spec.command;
      launch.nodes.push_back(job.attempt.ranks[rank].node);
      launch.ranks.push_back(std::move(one));
    }
    return launch;
  }
};

class StderrErrors final : public LogSink {
 public:
  void write(const LogEvent& event) override {
    if (event.level == LogLevel::kError) fmt::print(stderr, "{}\n", event.name);
  }
};

/// Lets the main thread wait for something that happens on the strand.
class Signal {
 public:
  void set() {
    const std::lock_guard lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kWaitMax, [this] { return std::exchange(set_, false); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

double cpu_seconds(clockid_t which) {
  timespec time{};
  ::clock_gettime(which, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// How long something took, and whose processor time it took.
struct Cost {
  double seconds = 0;
  double strand_seconds = 0;
  double other_seconds = 0;

  std::string text(std::size_t jobs) const {
    const double each = 1e6 / static_cast<double>(jobs);
    return fmt::format(R"("per_second":{:.0f},"strand_us_per_job":{:.2f},"other_us_per_job":{:.2f})", static_cast<double>(jobs) / seconds,
                       strand_seconds * each, other_seconds * each);
  }
};

/// A spec of about 300 bytes as it is stored.
jobs::Submission submission_of(std::uint64_t number) {
  jobs::Submission submission;
  JobSpec& spec = submission.spec;
  spec.name = fmt::format("bench-{:08}", number);
  spec.command = {"python3", "-m", "pipeline.train", "--config", fmt::format("conf/experiment-{:08}.yaml", number), "--seed", "17"};
  spec.env = {{"EXPERIMENT", "ablation-of-the-learning-rate"}, {"OMP_NUM_THREADS", "4"}};
  spec.labels = {{"team", "vision"}, {"project", "digits"}};
  spec.limits.total = std::chrono::hours(6);
  submission.owner = "ann";
  return submission;
}

/// One life of the server: ledger, strand, service.
class World {
 public:
  static Result<std::unique_ptr<World>> open(const std::string& state) {
    ASSIGN_OR_RETURN(std::unique_ptr<store::JobLedger> ledger, open_ledger(state));
    auto world = std::make_unique<World>(std::move(ledger));
    TRY(world->service.recover());
    return world;
  }
  explicit World(std::unique_ptr<store::JobLedger> opened)
      : ledger(std::move(opened)),
        strand("strand"),
        backend(strand, clock),
        service(settings(), {strand, clock, *ledger, backend, builder, log},
                {[this](const Error& error) { fail(error); }, [](const jobs::Job&) {}, [this](const jobs::Job&) { count_end(); }}) {}
  ~World() {
    // The ledger answers on a thread of its own, so nothing may be under way.
    strand.post([this] { service.barrier([this] { done_.set(); }); });
    (void)done_.wait();
    strand.stop();
  }

  /// Submits all of them, a few batches at a time, until the last is durable.
  Result<Cost> submit(std::vector<jobs::Submission> all, std::size_t batch) {
    submissions_ = std::move(all);
    batch_ = batch;
    next_ = in_flight_ = 0;
    return measured([this] { pump(); });
  }

  /// Gives the jobs room until the last of `count` has ended.
  Result<Cost> complete(std::size_t count) {
    ends_wanted_ = count;
    return measured([this] { backend.set_ready(true); });
  }

  /// Seconds from the request to the durable launch of one job on free nodes.
  Result<double> claim(std::uint64_t number) {
    MonotonicPoint launched;
    ends_wanted_ = 1;
    const MonotonicPoint begun = clock.monotonic_now();
    strand.post([this, &launched, number] {
      backend.on_launch = [this, &launched] { launched = clock.monotonic_now(); };
      service.submit(submission_of(number), [](const Result<JobId>&) {});
    });
    if (!done_.wait()) return unavailable("bench.timeout", "a claim took too long");
    return seconds_between(begun, launched);
  }

  SystemClock clock;
  std::unique_ptr<store::JobLedger> ledger;
  ThreadExecutor strand;
  ImmediateBackend backend;
  PlainBuilder builder;
  StderrErrors log;
  jobs::JobService service;

 private:
  /// Runs `begin` on the strand and waits until `done_` is set there.
  Result<Cost> measured(std::function<void()> begin) {
    const MonotonicPoint begun = clock.monotonic_now();
    const double process_begun = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
    strand.post([this, begin = std::move(begin)] {
      strand_begun_ = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
      begin();
    });
    if (!done_.wait()) return unavailable("bench.timeout", "the jobs took too long");
    const double process = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - process_begun;
    return Cost{seconds_between(begun, clock.monotonic_now()), strand_cpu_, process - strand_cpu_};
  }
  /// On the strand.
  void finish() {
    strand_cpu_ = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - strand_begun_;
    done_.set();
  }
  static jobs::JobServiceSettings settings() {
    jobs::JobServiceSettings settings;
    settings.seed = kSeed;
    settings.live_jobs_max = 10'000'000;
    return settings;
  }
  void fail(const Error& error) {
    fmt::print(stderr, "{}\n", error.describe());
    std::_Exit(1);
  }
  void count_end() {
    if (ends_wanted_ > 0 && --ends_wanted_ == 0) finish();
  }
  /// One batch is one task of the strand, so that what others have for it comes in between.
  void pump_soon() {
    if (std::exchange(pumping_, true)) return;
    strand.post([this] { pump(); });
  }
  void pump() {
    pumping_ = false;
    if (in_flight_ < kBatchesInFlight && next_ < submissions_.size()) {
      const auto from = submissions_.begin() + static_cast<std::ptrdiff_t>(next_);
      const auto to = from + static_cast<std::ptrdiff_t>(std::min(batch_, submissions_.size() - next_));
      std::vector<jobs::Submission> batch(std::make_move_iterator(from), std::make_move_iterator(to));
      next_ += batch.size();
      ++in_flight_;
      service.submit_batch(std::move(batch), [this](const Result<std::vector<JobId>>& ids) {
        if (!ids.ok()) fail(ids.error());
        --in_flight_;
        if (next_ < submissions_.size()) {
          pump_soon();
        } else if (in_flight_ == 0) {
          finish();
        }
      });
      pump_soon();
    }
  }

  // Of the strand.
  std::vector<jobs::Submission> submissions_;
  std::size_t batch_ = 1;
  std::size_t next_ = 0;
  std::size_t in_flight_ = 0;
  bool pumping_ = false;
  std::size_t ends_wanted_ = 0;
  double strand_begun_ = 0;
  double strand_cpu_ = 0;
  Signal done_;
};

struct Probe {
  double p50_ms = 0;
  double p99_ms = 0;
};

double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(static_cast<double>(values.size() - 1) * share)];
}

/// Append 4 KiB + fdatasync beside the ledger.
Result<Probe> probe(const std::string& directory) {
  const SystemClock clock;
  const std::string path = directory + "/probe";
  const int file = ::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return unavailable("bench.probe", "the probe file cannot be made: " + path);
  const std::string block(4096, 'p');
  std::vector<double> times;
  for (int i = 0; i < 200; ++i) {
    const MonotonicPoint begun = clock.monotonic_now();
    if (::write(file, block.data(), block.size()) != static_cast<ssize_t>(block.size()) || ::fdatasync(file) != 0) break;
    times.push_back(seconds_between(begun, clock.monotonic_now()) * 1e3);
  }
  ::close(file);
  if (times.empty()) return unavailable("bench.probe", "the probe file cannot be written: " + path);
  return Probe{percentile(times, 0.5), percentile(times, 0.99)};
}

void print_figure(std::string_view figure, std::string_view state, std::string_view values, const Probe& disk) {
  fmt::print(R"({{"bench":"jobs","figure":"{}","state":"{}",{},"seed":{},"probe_p50_ms":{:.3f},"probe_p99_ms":{:.3f}}})"
             "\n",
             figure, state.substr(0, state.find(':')), values, kSeed, disk.p50_ms, disk.p99_ms);
  std::fflush(stdout);
}

std::vector<jobs::Submission> submissions(std::size_t count) {
  std::vector<jobs::Submission> all;
  all.reserve(count);
  for (std::size_t i = 0; i < count; ++i) all.push_back(submission_of(i));
  return all;
}

struct Options {
  std::size_t count = 200'000;
  std::size_t batch = 1000;
  std::string directory;
  std::string last;   ///< Figure after which it ends; empty: none.
  std::string state;  ///< URL of the ledger; empty: a file in the directory.
};

Result<void> measure(const Options& options) {
  const auto& [count, batch, directory, last, state] = options;
  ASSIGN_OR_RETURN(const Probe disk, probe(directory));
  ASSIGN_OR_RETURN(std::unique_ptr<World> world, World::open(state));
  ASSIGN_OR_RETURN(const Cost submitting, world->submit(submissions(count), batch));
  ASSIGN_OR_RETURN(const store::JobRecord sample, world->ledger->get(JobId(1)));
  print_figure("submit", state,
               fmt::format(R"("jobs":{},"batch":{},"body_bytes":{},{})", count, batch, sample.body.size(), submitting.text(count)), disk);
  if (last == "submit") return {};
  world.reset();

  // What the submits left to be written would be waited for by the first commit of the recovery.
  ASSIGN_OR_RETURN(const UniqueFd place, open_file(directory, O_RDONLY | O_DIRECTORY));
  ::syncfs(place.get());
  const SystemClock clock;
  const MonotonicPoint begun = clock.monotonic_now();
  ASSIGN_OR_RETURN(world, World::open(state));
  print_figure("recover", state, fmt::format(R"("live_jobs":{},"ms":{:.1f})", count, seconds_between(begun, clock.monotonic_now()) * 1e3),
               disk);

  if (last == "recover") return {};

  ASSIGN_OR_RETURN(const Cost completing, world->complete(count));
  print_figure("lease_and_complete", state,
               fmt::format(R"("jobs":{},"slots":{},{})", count, kNodes * kCoresPerNode, completing.text(count)), disk);

  if (last == "lease_and_complete") return {};

  std::vector<double> claims;
  for (std::uint64_t i = 0; i < std::min<std::size_t>(count, 500); ++i) {
    ASSIGN_OR_RETURN(const double seconds, world->claim(i));
    claims.push_back(seconds * 1e3);
  }
  print_figure(
      "claim", state,
      fmt::format(R"("claims":{},"p50_ms":{:.3f},"p99_ms":{:.3f})", claims.size(), percentile(claims, 0.5), percentile(claims, 0.99)),
      disk);
  return {};
}

Result<void> run(int argc, char** argv) {
  Options options;
  std::vector<std::string> words(argv + 1, argv + argc);
  if (const auto state = std::find(words.begin(), words.end(), "--state"); state != words.end()) {
    if (state + 1 == words.end()) return invalid_argument("bench.state", "--state takes a URL");
    options.state = *(state + 1);
    words.erase(state, state + 2);
  }
  words.resize(4);
  if (!words[0].empty()) options.count = static_cast<std::size_t>(std::atoll(words[0].c_str()));
  if (!words[1].empty()) options.batch = static_cast<std::size_t>(std::atoll(words[1].c_str()));
  options.directory = words[2];
  options.last = words[3];
  if (options.count == 0 || options.batch == 0) return invalid_argument("bench.size", "there is at least one job, and one in a batch");
  const bool temporary = options.directory.empty();
  if (temporary) {
    ASSIGN_OR_RETURN(options.directory, make_temporary_directory("trainyard-jobs-bench-"));
  }
  if (options.state.empty()) options.state = "sqlite://" + options.directory + "/ledger.db";
  const Result<void> measured = measure(options);
  if (temporary) TRY(remove_tree(options.directory));
  return measured;
}

}  // namespace
}  // namespace trainyard

int main(int argc, char** argv) {
  const trainyard::Result<void> done = trainyard::run(argc, argv);
  if (!done.ok()) fmt::print(stderr, "{}\n", done.error().describe());
  return done.ok() ? 0 : 1;
}
