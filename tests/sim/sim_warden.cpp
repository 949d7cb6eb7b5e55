#include "tests/sim/sim_warden.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "store/log_store.h"

namespace trainyard::sim_test {
namespace {

using Phase = exec::RankObservation::Phase;
using namespace std::chrono_literals;

exec::RankExit ended_with(int code, int signal = 0) {
  exec::RankExit exit;
  exit.code = code;
  exit.signal = signal;
  return exit;
}

exec::RankExit killed_by(int signal) { return ended_with(128 + signal, signal); }

std::string log_record(const RankKey& key, std::uint64_t line, TimePoint time) {
  std::string encoded;
  exec::append_log_record(time, exec::kStdoutStream, fmt::format("{}#{}", text_of(key), line), encoded);
  return encoded;
}

}  // namespace

Result<std::string> SimSpool::part_of(const RankKey& rank, std::string SpooledRank::*file, std::uint64_t from, std::size_t size) const {
  const auto found = ranks.find(rank);
  if (found == ranks.end()) return not_found("io.not_found", "there is no such file: " + text_of(rank));
  const std::string& bytes = found->second.*file;
  return from >= bytes.size() ? std::string() : bytes.substr(static_cast<std::size_t>(from), size);
}

SimWarden::SimWarden(World& world, SimSpool& spool, NodeName node, Listener listener)
    : world_(world), spool_(spool), node_(std::move(node)), listener_(std::move(listener)) {
  for (auto& [key, spooled] : spool_.ranks) recover(key, spooled);
}

SimWarden::~SimWarden() { *alive_ = false; }

void SimWarden::recover(const RankKey& key, SpooledRank& spooled) {
  if (!spooled.exit) {
    exec::ExitRecord record;
    record.rank = key;
    record.started_at = spooled.started_at;
    record.exit = killed_by(9);
    record.exit.lost = true;
    record.exit.ended_at = world_.clock.now();
    spooled.log.resize(exec::whole_log_records(spooled.log));
    spooled.events.resize(spooled.events.rfind('\n') + 1);
    record.log_size = spooled.log.size();
    record.events_size = spooled.events.size();
    spooled.exit = record;
  }
  exec::WardenRank& seen = ranks_[key].seen;
  seen.observation = {key, Phase::kExited, 0, spooled.started_at, spooled.exit->exit};
  seen.stopping = spooled.exit->exit.stop_requested;
  seen.log_size = spooled.exit->log_size;
  seen.events_size = spooled.exit->events_size;
}

void SimWarden::after(Duration wait, std::function<void()> task) {
  world_.after(wait, [alive = alive_, task = std::move(task)] {
    if (*alive) task();
  });
}

void SimWarden::handle(const Document& request) {
  const std::string type = request.string_at("type").value_or("");
  if (type == "start") {
    const Result<exec::RankLaunch> launch = exec::rank_launch_from(request["launch"]);
    if (!launch.ok()) return world_.history.tell(Broken{"a start request cannot be read: " + launch.error().describe()});
    return start(*launch);
  }
  if (type == "prepare") {
    const Result<exec::RankLaunch> launch = exec::rank_launch_from(request["launch"]);
    if (!launch.ok()) return world_.history.tell(Broken{"a prepare request cannot be read: " + launch.error().describe()});
    return prepare(launch->rank);
  }
  const Result<RankKey> key = exec::rank_key_from(request["rank"]);
  if (!key.ok()) return world_.history.tell(Broken{"a request names no rank: " + type});
  if (type == "stop") return request_stop(*key, Duration(request.int_or("grace_us", 0).value_or(0)));
  if (type != "forget") return;
  const auto found = ranks_.find(*key);
  if (found == ranks_.end() || found->second.seen.observation.phase != Phase::kExited) return;
  ranks_.erase(found);
  spool_.ranks.erase(*key);
}

std::vector<exec::WardenRank> SimWarden::ranks() const {
  std::vector<exec::WardenRank> all;
  for (const auto& [key, rank] : ranks_) all.push_back(rank.seen);
  return all;
}

void SimWarden::die(bool power_fails) {
  *alive_ = false;
  for (auto& [key, rank] : ranks_) {
    if (rank.seen.observation.phase == Phase::kPrepared) continue;
    if (rank.alive) world_.history.tell(RankEnded{key, node_, 137, EndedBy::kNode});
    SpooledRank& spooled = spool_.ranks.at(key);
    if (spooled.exit) continue;
    // The record that was being written is torn; without power more of the end is gone.
    const std::string torn = log_record(key, rank.log_lines + 1, world_.clock.now());
    if (world_.one_in(2)) spooled.log += torn.substr(0, world_.rng.below(torn.size()));
    if (world_.one_in(2)) spooled.events += "{\"event\":";
    if (!power_fails) continue;
    spooled.log.resize(world_.rng.below(spooled.log.size() + 1));
    spooled.events.resize(world_.rng.below(spooled.events.size() + 1));
  }
}

SimWarden::Plan SimWarden::draw_plan(const exec::RankLaunch& launch) {
  Plan plan;
  plan.start_delay = world_.between(1ms, 500ms);
  plan.run = world_.between(500ms, 20s);
  plan.log_lines = world_.rng.below(7);
  plan.event_lines = world_.rng.below(5);
  plan.heeds_sigterm = !world_.one_in(6);
  plan.exit = ended_with(0);
  const std::uint64_t fate = world_.rng.below(40);
  if (fate < 4) plan.exit = ended_with(1);
  if (fate == 4) plan.exit = ended_with(64);
  if (fate == 5) plan.exit = ended_with(75);
  if (fate == 6) plan.exit = killed_by(11);
  if (fate == 7) plan.run = 3min;
  if (fate == 8) {
    plan.exit = killed_by(9);
    plan.exit.oom = true;
  }
  if (fate == 9) plan.exit = ended_with(127), plan.exit.launch_error = "no such program: " + launch.argv.front();
  return plan;
}

/// Nothing of it is in the spool: the next warden does not know it.
void SimWarden::prepare(const RankKey& key) {
  if (const auto known = ranks_.find(key); known != ranks_.end()) return listener_.on_rank(known->second.seen);
  exec::RankObservation& seen = ranks_[key].seen.observation;
  seen.rank = key;
  seen.phase = Phase::kPrepared;
  seen.started_at = world_.clock.now();
  if (key.rank == 0) seen.port = static_cast<std::uint16_t>(10'000 + world_.rng.below(10'000));
  world_.history.tell(RankPrepared{key});
  listener_.on_rank(ranks_.at(key).seen);
}

void SimWarden::start(const exec::RankLaunch& launch) {
  const RankKey key = launch.rank;
  const auto known = ranks_.find(key);
  if (known != ranks_.end() && known->second.seen.observation.phase != Phase::kPrepared) return listener_.on_rank(known->second.seen);
  Rank& rank = ranks_[key];
  rank.seen.observation.phase = Phase::kStarting;
  rank.plan = draw_plan(launch);
  rank.alive = true;
  rank.seen.observation.rank = key;
  rank.seen.observation.started_at = world_.clock.now();
  spool_.ranks[key].started_at = world_.clock.now();
  world_.history.tell(RankStarted{key, node_, launch.resources});
  if (!rank.plan.exit.launch_error.empty()) return end(key, rank.plan.exit, EndedBy::kItself);
  after(rank.plan.start_delay, [this, key] { run(key); });
}

void SimWarden::run(const RankKey& key) {
  const auto found = ranks_.find(key);  // It may have been killed and forgotten meanwhile.
  if (found == ranks_.end() || !found->second.alive) return;
  Rank& rank = found->second;
  rank.seen.observation.phase = Phase::kRunning;
  const Plan& plan = rank.plan;
  const auto spread = [&](std::uint64_t lines, void (SimWarden::*write)(const RankKey&)) {
    for (std::uint64_t line = 1; line <= lines; ++line) {
      after(plan.run * static_cast<std::int64_t>(line) / static_cast<std::int64_t>(lines + 1), [this, key, write] { (this->*write)(key); });
    }
  };
  spread(plan.log_lines, &SimWarden::write_log_line);
  spread(plan.event_lines, &SimWarden::write_event_line);
  after(plan.run, [this, key, exit = plan.exit] { end(key, exit, EndedBy::kItself); });
  listener_.on_rank(rank.seen);
}

void SimWarden::write_log_line(const RankKey& key) {
  const auto found = ranks_.find(key);
  if (found == ranks_.end() || !found->second.alive) return;
  Rank& rank = found->second;
  spool_.ranks.at(key).log += log_record(key, ++rank.log_lines, world_.clock.now());
  grown(key);
}

void SimWarden::write_event_line(const RankKey& key) {
  const auto found = ranks_.find(key);
  if (found == ranks_.end() || !found->second.alive) return;
  Rank& rank = found->second;
  ++rank.event_lines;
  spool_.ranks.at(key).events +=
      fmt::format("{{\"event\":\"checkpoint\",\"step\":{},\"manifest\":\"{}#{}\"}}\n", rank.event_lines, text_of(key), rank.event_lines);
  grown(key);
}

void SimWarden::grown(const RankKey& key) {
  Rank& rank = ranks_.at(key);
  const SpooledRank& spooled = spool_.ranks.at(key);
  rank.seen.log_size = spooled.log.size();
  rank.seen.events_size = spooled.events.size();
  world_.history.tell(OutputWritten{key, rank.log_lines, rank.event_lines});
  after(10ms, [this, key] {
    const auto found = ranks_.find(key);
    if (found != ranks_.end()) listener_.on_grown({key, found->second.seen.log_size, found->second.seen.events_size});
  });
}

void SimWarden::request_stop(const RankKey& key, Duration grace) {
  const auto found = ranks_.find(key);
  if (found == ranks_.end() || found->second.seen.observation.phase == Phase::kPrepared) {
    // The stop came before the start: a start that comes later finds the end.
    exec::RankExit exit = killed_by(15);
    exit.stop_requested = true;
    exit.launch_error = "stopped before it started";
    ranks_[key].seen.observation.rank = key;
    spool_.ranks[key].started_at = world_.clock.now();
    return record_exit(key, exit);
  }
  Rank& rank = found->second;
  if (!rank.alive) return;
  if (!std::exchange(rank.seen.stopping, true)) world_.history.tell(StopReached{key});
  exec::RankExit exit = killed_by(9);
  exit.stop_requested = true;
  if (grace <= Duration(0)) return end(key, exit, EndedBy::kStop);
  Duration wait = grace;
  if (rank.plan.heeds_sigterm) {
    const bool checkpointed = world_.one_in(2);
    exit = checkpointed ? ended_with(75) : killed_by(15);
    exit.stop_requested = true;
    wait = world_.between(1ms, grace);
  }
  after(wait, [this, key, exit] { end(key, exit, EndedBy::kStop); });
  listener_.on_rank(rank.seen);
}

void SimWarden::end(const RankKey& key, exec::RankExit exit, EndedBy by) {
  const auto found = ranks_.find(key);
  if (found == ranks_.end() || !found->second.alive) return;
  Rank& rank = found->second;
  // Most programs say something last.
  if (exit.launch_error.empty() && by == EndedBy::kItself && world_.one_in(2)) write_log_line(key);
  rank.alive = false;
  exit.ended_at = world_.clock.now();
  exit.stop_requested = exit.stop_requested || rank.seen.stopping;
  world_.history.tell(RankEnded{key, node_, exit.code, by});
  const Duration drain = world_.one_in(10) ? world_.between(1s, 3s) : world_.between(100us, 20ms);
  after(drain, [this, key, exit] { record_exit(key, exit); });
}

void SimWarden::record_exit(const RankKey& key, const exec::RankExit& exit) {
  Rank& rank = ranks_.at(key);
  SpooledRank& spooled = spool_.ranks.at(key);
  rank.seen.observation.phase = Phase::kExited;
  rank.seen.observation.exit = exit;
  rank.seen.stopping = rank.seen.stopping || exit.stop_requested;
  spooled.exit = exec::ExitRecord{
      .rank = key, .started_at = spooled.started_at, .exit = exit, .log_size = spooled.log.size(), .events_size = spooled.events.size()};
  listener_.on_rank(rank.seen);
}

}  // namespace trainyard::sim_test
