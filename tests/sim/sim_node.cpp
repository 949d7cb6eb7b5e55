#include "tests/sim/sim_node.h"

#include <fmt/format.h>

#include <utility>

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

}  // namespace

SimNode::SimNode(World& world, SimServer& server, Settings settings, NodeName name, Resources capacity)
    : world_(world), server_(server), settings_(settings), name_(std::move(name)), capacity_(capacity) {
  world_.history.tell(NodeJoined{name_, capacity_});
  tick();
}

void SimNode::partition(Duration span) { cut_off_until_ = world_.clock.monotonic_now() + span; }

void SimNode::reboot(Duration away) {
  for (const auto& [key, rank] : ranks_) {
    if (rank.seen.observation.phase != Phase::kExited) world_.history.tell(RankEnded{key, name_, 137});
  }
  ranks_.clear();
  ++boots_;
  restart_agent();
  away_until_ = world_.clock.monotonic_now() + away;
  world_.history.tell(NodeRebooted{name_});
}

void SimNode::retire() {
  reboot(Duration(0));
  away_until_ = MonotonicPoint::max();
}

void SimNode::restart_agent() {
  ++agents_;
  desired_version_ = 0;
  never_started_.clear();
  for (auto& [key, rank] : ranks_) rank.shipping = false;
}

void SimNode::heal() {
  const MonotonicPoint now = world_.clock.monotonic_now();
  cut_off_until_ = std::min(cut_off_until_, now);
  if (!is_retired()) away_until_ = std::min(away_until_, now);
}

void SimNode::send(SimServer::Request request) {
  if (cut_off() || world_.fault_one_in(settings_.message_lost_one_in)) return;
  const int copies = world_.fault_one_in(settings_.message_doubled_one_in) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    world_.after(world_.between(200us, 20ms), [this, request] { server_.request(request); });
  }
}

void SimNode::receive(std::uint64_t agent, std::function<void()> task) {
  if (world_.fault_one_in(settings_.message_lost_one_in)) return;
  world_.after(world_.between(200us, 20ms), [this, agent, task = std::move(task)] {
    if (!cut_off() && agent == agents_) task();
  });
}

void SimNode::tick() {
  if (!away()) {
    for (auto& [key, rank] : ranks_) ship(rank);
    sync(world_.one_in(3) ? world_.between(0s, 3s) : Duration(0));
  }
  world_.after(world_.between(300ms, 2s), [this] { tick(); });
}

/// Something changed here: the agent does not wait for its next turn.
void SimNode::tick_soon() {
  world_.after(world_.between(1ms, 30ms), [this] {
    if (away()) return;
    for (auto& [key, rank] : ranks_) ship(rank);
    sync(0s);
  });
}

void SimNode::sync(Duration wait) {
  exec::NodeObservation observation;
  observation.node = name_;
  observation.boot_id = fmt::format("{}-{}", name_.text, boots_);
  observation.capacity = capacity_;
  for (const auto& [key, rank] : ranks_) {
    exec::RankObservation& seen = observation.ranks.emplace_back(rank.seen.observation);
    // An end is held back until all lines are with the server.
    if (seen.exit && rank.shipped < rank.written && !rank.fenced) {
      seen.phase = Phase::kRunning;
      seen.exit.reset();
    }
  }
  for (const auto& [key, exit] : never_started_) observation.ranks.push_back({key, Phase::kExited, 0, exit.ended_at, exit});

  const std::uint64_t seen_version = wait > Duration(0) ? desired_version_ : 0;
  send([this, agent = agents_, observation, seen_version, wait](jobs::JobService&, adapters::agent_pool::AgentPool& pool) {
    pool.sync(observation, seen_version, wait, [this, agent](const Result<exec::DesiredState>& desired) {
      server_.reply([this, agent, desired] {
        receive(agent, [this, desired] {
          if (desired.ok()) apply(*desired);
        });
      });
    });
  });
}

void SimNode::apply(const exec::DesiredState& desired) {
  if (desired.version < desired_version_) return;
  desired_version_ = desired.version;
  std::vector<exec::WardenRank> observed;
  for (const auto& [key, rank] : ranks_) observed.push_back(rank.seen);
  const agent::ReconcileActions actions = agent::plan_reconcile(observed, {}, desired);

  std::map<RankKey, exec::RankExit> never_started;
  for (const RankKey& key : actions.never_started) {
    const auto known = never_started_.find(key);
    exec::RankExit exit = killed_by(15);
    exit.stop_requested = true;
    exit.ended_at = world_.clock.now();
    never_started[key] = known != never_started_.end() ? known->second : exit;
  }
  never_started_ = std::move(never_started);
  // Kills come first: what is to start may need their room.
  for (const agent::ReconcileActions::Stop& stop : actions.stop) request_stop(stop.rank, stop.grace);
  for (const RankKey& key : actions.forget) ranks_.erase(key);
  for (const exec::RankLaunch& launch : actions.start) start(launch);
}

SimNode::Plan SimNode::draw_plan(const exec::RankLaunch& launch) {
  Plan plan;
  plan.start_delay = world_.between(1ms, 500ms);
  plan.run = world_.between(500ms, 20s);
  plan.lines = world_.rng.below(5);
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
  if (fate == 9) plan.exit.launch_error = "no such program: " + launch.argv.front();
  if (!plan.exit.launch_error.empty()) plan.lines = 0;
  return plan;
}

void SimNode::start(const exec::RankLaunch& launch) {
  const RankKey key = launch.rank;
  Rank rank;
  rank.launch = launch;
  rank.plan = draw_plan(launch);
  rank.process = ++processes_;
  rank.seen.observation.rank = key;
  const Plan plan = rank.plan;
  ranks_[key] = std::move(rank);
  world_.history.tell(RankStarted{key, name_, launch.resources});
  if (!plan.exit.launch_error.empty()) return end(key, processes_, plan.exit);
  world_.after(plan.start_delay, [this, key, process = processes_] { run(key, process); });
}

SimNode::Rank* SimNode::find(const RankKey& key, std::uint64_t process) {
  const auto found = ranks_.find(key);
  return found == ranks_.end() || found->second.process != process ? nullptr : &found->second;
}

void SimNode::run(const RankKey& key, std::uint64_t process) {
  Rank* rank = find(key, process);
  if (rank == nullptr || rank->seen.observation.phase != Phase::kStarting) return;
  rank->seen.observation.phase = Phase::kRunning;
  rank->seen.observation.started_at = world_.clock.now();
  const Plan& plan = rank->plan;
  for (std::uint64_t line = 1; line <= plan.lines; ++line) {
    const Duration at = plan.run * static_cast<std::int64_t>(line) / static_cast<std::int64_t>(plan.lines + 1);
    world_.after(at, [this, key, process] { write_line(key, process); });
  }
  world_.after(plan.run, [this, key, process, exit = plan.exit] { end(key, process, exit); });
  tick_soon();
}

void SimNode::write_line(const RankKey& key, std::uint64_t process) {
  Rank* rank = find(key, process);
  if (rank == nullptr || rank->seen.observation.phase != Phase::kRunning) return;
  ++rank->written;
  if (world_.one_in(2)) tick_soon();
}

void SimNode::request_stop(const RankKey& key, Duration grace) {
  const auto found = ranks_.find(key);
  if (found == ranks_.end()) return;
  Rank& rank = found->second;
  rank.seen.stopping = true;
  exec::RankExit exit = killed_by(9);
  exit.stop_requested = true;
  if (grace <= Duration(0)) return end(key, rank.process, exit);
  Duration wait = grace;
  if (rank.plan.heeds_sigterm) {
    const bool checkpointed = world_.one_in(2);
    exit = checkpointed ? ended_with(75) : killed_by(15);
    exit.stop_requested = true;
    wait = world_.between(1ms, grace);
  }
  world_.after(wait, [this, key, process = rank.process, exit] { end(key, process, exit); });
}

void SimNode::end(const RankKey& key, std::uint64_t process, exec::RankExit exit) {
  Rank* rank = find(key, process);
  if (rank == nullptr || rank->seen.observation.phase == Phase::kExited) return;
  exit.ended_at = world_.clock.now();
  exit.stop_requested = exit.stop_requested || rank->seen.stopping;
  rank->seen.observation.phase = Phase::kExited;
  rank->seen.observation.exit = exit;
  world_.history.tell(RankEnded{key, name_, exit.launch_error.empty() ? exit.code : 127});
  tick_soon();
}

/// Sends what the server has not acknowledged; on a gap or after a restart it asks first how far the server is.
void SimNode::ship(Rank& rank) {
  if (rank.fenced || rank.shipped >= rank.written) return;
  const RankKey key = rank.seen.observation.rank;
  const bool ask_first = !std::exchange(rank.shipping, true) || world_.one_in(5);
  std::vector<Document> lines;
  for (std::uint64_t i = rank.shipped; i < rank.written; ++i) {
    Document line = Document::object();
    line.set("event", "checkpoint");
    line.set("step", i + 1);
    line.set("manifest", fmt::format("{}#{}", text_of(key), i + 1));
    lines.push_back(std::move(line));
  }
  const auto answer = [this, agent = agents_, key, process = rank.process](const Result<std::uint64_t>& taken) {
    server_.reply([this, agent, key, process, taken] {
      if (taken.ok()) world_.history.tell(LinesAcknowledged{key, *taken});
      receive(agent, [this, key, process, taken] { shipped(key, process, taken); });
    });
  };
  send([key, ask_first, first = rank.shipped, lines = std::move(lines), answer](jobs::JobService& service,
                                                                                adapters::agent_pool::AgentPool&) {
    if (ask_first) return answer(service.events_taken(key));
    service.append_events(key, first, lines, answer);
  });
}

void SimNode::shipped(const RankKey& key, std::uint64_t process, const Result<std::uint64_t>& taken) {
  Rank* rank = find(key, process);
  if (rank == nullptr) return;
  if (taken.ok()) {
    rank->shipped = std::max(rank->shipped, *taken);
  } else if (taken.error().id == "lease.fenced") {
    rank->fenced = true;
  } else {
    rank->shipping = false;
  }
  if (rank->seen.observation.exit && rank->shipped >= rank->written) tick_soon();
}

}  // namespace trainyard::sim_test
