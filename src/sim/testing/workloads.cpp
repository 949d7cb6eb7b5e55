#include "sim/testing/workloads.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <map>

#include "sim/fields.h"
#include "sim/job_request.h"
#include "sim/policy_choice.h"

namespace trainyard::sim::testing {

std::string gzipped(std::string_view text) {
  z_stream stream{};
  CHECK(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK, "zlib is not available");
  std::string in(text);
  std::string out(deflateBound(&stream, static_cast<uLong>(in.size())) + 64, '\0');
  stream.next_in = static_cast<Bytef*>(static_cast<void*>(in.data()));
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = static_cast<Bytef*>(static_cast<void*>(out.data()));
  stream.avail_out = static_cast<uInt>(out.size());
  CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END, "the text did not fit");
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

Trace trace_of(std::string_view csv) {
  TextInput input = TextInput::over("trace.csv", csv);
  return read_trace_csv(input).value();
}

Trace jobs(std::string_view rows) { return trace_of("job_id,submit_s,runtime_s,walltime_s,procs\n" + std::string(rows)); }

SimulationSettings settings_of(std::string_view policy) {
  SimulationSettings settings;
  const Result<PolicyChoice> choice = parse_policy(policy);
  choose_policies(choice.value(), {}, settings.queue, settings.sharing).value();
  return settings;
}

SimulationResult run(const Trace& trace, const Machine& machine, SimulationSettings settings) {
  settings.check = true;
  return simulate(trace, machine, settings).value();
}

std::string told(const Trace& trace, const SimulationResult& result) {
  std::string out;
  for (const Segment& segment : result.segments) {
    std::string hosts;
    for (std::uint32_t i = segment.hosts_begin; i < segment.hosts_begin + segment.hosts_count; ++i) {
      const HostRange& range = result.hosts[i];
      hosts += (hosts.empty() ? "" : ";") + std::to_string(range.first);
      if (range.last != range.first) hosts += "-" + std::to_string(range.last);
    }
    out += fmt::format("{}{}:{}-{}@{}", out.empty() ? "" : " ", trace.jobs[segment.job].id, seconds_text(segment.start.count()),
                       seconds_text(segment.end.count()), hosts);
    if (segment.state != SegmentState::kSucceeded) out += fmt::format(" {}", name_of(segment.state));
  }
  return out;
}

namespace {

std::string optional_number(Rng& rng, std::uint64_t one_in, std::uint64_t below) {
  return rng.below(one_in) == 0 ? std::to_string(1 + rng.below(below)) : std::string();
}

std::string random_row(Rng& rng, std::size_t number, double submit, std::int64_t procs_max, std::int64_t gpus_max) {
  const auto procs = static_cast<std::int64_t>(1 + rng.below(rng.below(4) == 0 ? static_cast<std::uint64_t>(procs_max) : 4));
  const std::int64_t gpus = rng.below(2) == 0 ? std::min(procs, gpus_max) : 0;
  const bool share = gpus == 1 && rng.below(2) == 0;
  const bool elastic = !share && rng.below(4) == 0;
  const std::uint64_t runtime = rng.below(5) == 0 ? 0 : rng.below(400);
  const std::string walltime = rng.below(3) == 0 ? "" : std::to_string(1 + runtime * (1 + rng.below(4)) / 2);
  const std::string after = number > 0 && rng.below(8) == 0 ? fmt::format("j{}", rng.below(number)) : "";
  return fmt::format("j{},{:.3f},{},{},{},{},{},u{},q{},{},{},{},{},{},{},{},{},{},{}\n", number, submit, runtime, walltime, procs, gpus,
                     optional_number(rng, 2, 2000), rng.below(4), rng.below(3), rng.below(3), share ? "300" : "",
                     elastic ? std::to_string((procs + 1) / 2) : "", elastic ? std::to_string(procs * 2) : "", rng.below(2),
                     optional_number(rng, 2, 90), optional_number(rng, 2, 20), optional_number(rng, 2, 15), optional_number(rng, 4, 100000),
                     after);
}

}  // namespace

Trace random_trace(Rng& rng, std::size_t count, std::int64_t procs, std::int64_t gpus) {
  std::string csv =
      "job_id,submit_s,runtime_s,walltime_s,procs,gpus,mem_mb,user,queue,priority,gpu_milli,min_procs,max_procs,preemptible,"
      "ckpt_interval_s,ckpt_s,restart_s,deadline_s,depends_on\n";
  double submit = 0;
  for (std::size_t i = 0; i < count; ++i) {
    submit += rng.below(3) == 0 ? 0 : static_cast<double>(rng.below(60'000)) / 1000;
    csv += random_row(rng, i, submit, procs, gpus);
  }
  return trace_of(csv);
}

namespace {

/// Adds up what segments hold of each node and resource at each time, ends before starts.
class RoomReplay {
 public:
  explicit RoomReplay(const Machine& machine) : machine_(machine) {}

  void hold(const Segment& segment, const JobRequest& made, std::span<const HostRange> hosts) {
    if (segment.end == segment.start) return;
    for (const HostRange& range : hosts) {
      for (std::uint32_t node = range.first; node <= range.last; ++node) {
        const sched::Amounts held = made.demand.amounts * range.tasks;
        changes_[node].emplace_back(segment.start, held);
        changes_[node].emplace_back(segment.end, held * -1);
      }
    }
  }

  std::string flaw() {
    for (auto& [node, changes] : changes_) {
      // What is given back comes first.
      std::stable_sort(changes.begin(), changes.end(), [](const auto& a, const auto& b) {
        return a.first != b.first ? a.first < b.first
                                  : a.second[sched::kCpu] + a.second[sched::kGpu] < b.second[sched::kCpu] + b.second[sched::kGpu];
      });
      const MachineNode& has = machine_.nodes[node];
      sched::Amounts used;
      for (const auto& [time, change] : changes) {
        used += change;
        if (used[sched::kCpu] > has.procs * 1000 || used[sched::kGpu] > has.gpus * 1000 ||
            (has.mem_mib > 0 && used[sched::kMemory] > has.mem_mib << 20)) {
          return fmt::format("node {} holds more than it has at {} s", node, seconds_text(time.count()));
        }
      }
    }
    return {};
  }

 private:
  const Machine& machine_;
  std::map<std::uint32_t, std::vector<std::pair<Duration, sched::Amounts>>> changes_;
};

std::string outcome_flaw(const TraceJob& job, const SimulationSettings& settings, const JobOutcome& outcome, bool disturbed) {
  switch (outcome.fate) {
    case Fate::kSucceeded:
      if (!disturbed && job.procs_min == 0 && outcome.ran != job.runtime) return "it ran for another time than its run time";
      return {};
    case Fate::kTimedOut:
      if (!settings.kill) return "it timed out although nothing is killed";
      if (!disturbed && outcome.ran != job.walltime) return "it timed out at another time than its limit";
      return {};
    case Fate::kRejected:
      return outcome.attempts == 0 ? "" : "it was rejected and ran";
    case Fate::kFailed:
    case Fate::kUnfinished:
      return {};
  }
  return {};
}

}  // namespace

std::string flaw(const Trace& trace, const Machine& machine, const SimulationSettings& settings, const SimulationResult& result) {
  RoomReplay room(machine);
  RequestMaker requests(trace, machine);
  std::vector<Duration> free_from;
  std::vector<std::uint32_t> segments(trace.jobs.size());
  for (const TraceJob& job : trace.jobs) free_from.push_back(job.submit);
  for (const Segment& segment : result.segments) {
    const JobRequest made = requests.request(trace.jobs[segment.job]);
    const std::span<const HostRange> hosts = std::span(result.hosts).subspan(segment.hosts_begin, segment.hosts_count);
    const std::string& id = trace.jobs[segment.job].id;
    std::uint32_t tasks = 0;
    for (const HostRange& range : hosts) tasks += (range.last - range.first + 1) * range.tasks;
    const auto least = static_cast<std::uint32_t>(made.tasks_min > 0 ? made.tasks_min : made.tasks);
    if (tasks != segment.tasks || tasks < least || tasks > static_cast<std::uint32_t>(made.tasks_max)) return id + ": a gang is not whole";
    if (segment.start < free_from[segment.job]) return id + ": it starts before it may";
    if (segment.end < segment.start) return id + ": it ends before it starts";
    free_from[segment.job] = segment.end;
    ++segments[segment.job];
    room.hold(segment, made, hosts);
  }
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    const JobOutcome& outcome = result.outcomes[i];
    const bool disturbed = segments[i] > 1;
    if (const std::string wrong = outcome_flaw(trace.jobs[i], settings, outcome, disturbed); !wrong.empty())
      return trace.jobs[i].id + ": " + wrong;
    for (const std::uint32_t other : trace.jobs[i].depends_on) {
      const Fate fate = result.outcomes[other].fate;
      if (outcome.attempts > 0 && fate != Fate::kRejected && outcome.first_start < result.outcomes[other].end) {
        return trace.jobs[i].id + ": it starts before what it depends on has ended";
      }
    }
  }
  return room.flaw();
}

}  // namespace trainyard::sim::testing
