#include "tests/sim/sim_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace trainyard::sim_test {

using namespace std::chrono_literals;

SimNode::SimNode(World& world, SimServer& server, Settings settings, NodeName name, Resources capacity)
    : world_(world), server_(server), settings_(settings), name_(std::move(name)), capacity_(capacity) {
  world_.history.tell(NodeJoined{name_, capacity_});
  start_agent_after(1ms);
}

void SimNode::trouble() { world_.history.tell(NodeTroubled{name_}); }

void SimNode::partition(Duration span) {
  trouble();
  cut_off_until_ = std::max(cut_off_until_, world_.clock.monotonic_now() + span);
  world_.after(span, [this] { trouble(); });
}

void SimNode::kill_agent(const std::string& where) {
  if (!agent_) return;
  world_.history.note(fmt::format("agent of {} killed {}", name_.text, where));
  agent_.reset();
  connected_ = false;
  ++connections_;
  start_agent_after(world_.between(10ms, 3s));
}

void SimNode::start_agent_after(Duration wait) {
  world_.after(wait, [this, agent = agents_] {
    if (agent == agents_ && !agent_ && !away()) start_agent();
  });
}

void SimNode::start_agent() {
  agent_ = std::make_unique<SimAgent>(SimAgent::Deps{.world = world_,
                                                     .server = server_,
                                                     .network = *this,
                                                     .spool = spool_,
                                                     .tell_warden = [this](const Document& request) { return tell_warden(request); }},
                                      settings_.agent, ++agents_, name_, capacity_);
  connect_after(world_.between(1ms, 30ms));
  wake(agents_);
}

void SimNode::kill_warden() {
  if (!warden_) return;
  world_.history.note("warden of " + name_.text + " killed");
  trouble();
  warden_->die(false);
  warden_.reset();
  connected_ = false;
  ++connections_;
  connect_after(world_.between(1ms, 300ms));
}

void SimNode::reboot(Duration away_for) {
  trouble();
  kill_agent("with its host");
  if (warden_) {
    warden_->die(true);
    warden_.reset();
  }
  away_until_ = world_.clock.monotonic_now() + away_for;
  world_.after(away_for, [this] {
    if (is_retired()) return;
    trouble();
    start_agent_after(1ms);
  });
}

void SimNode::retire() {
  reboot(Duration(0));
  away_until_ = MonotonicPoint::max();
}

void SimNode::heal() {
  const MonotonicPoint now = world_.clock.monotonic_now();
  cut_off_until_ = std::min(cut_off_until_, now);
  if (is_retired()) return;
  away_until_ = std::min(away_until_, now);
  start_agent_after(1ms);
}

/// The agent's connection to its warden, which it starts when there is none.
void SimNode::connect_after(Duration wait) {
  world_.after(wait, [this, agent = agents_] {
    if (agent_ && agent == agents_ && !connected_) connect();
  });
}

void SimNode::connect() {
  if (!warden_) {
    ++boots_;
    warden_ = std::make_unique<SimWarden>(
        world_, spool_, name_,
        SimWarden::Listener{
            .on_rank = [this](const exec::WardenRank& rank) { to_agent([rank](SimAgent& agent) { agent.state().update(rank); }); },
            .on_grown = [this](const exec::RankGrowth& growth) { to_agent([growth](SimAgent& agent) { agent.state().grow({growth}); }); }});
  }
  connected_ = true;
  ++connections_;
  to_agent([boot = fmt::format("{}-{}", name_.text, boots_), ranks = warden_->ranks()](SimAgent& agent) { agent.on_warden(boot, ranks); });
}

void SimNode::to_agent(std::function<void(SimAgent&)> deliver) {
  if (!connected_) return;
  last_to_agent_ = std::max(last_to_agent_, world_.clock.monotonic_now() + world_.between(50us, 2ms));
  world_.executor.post_at(last_to_agent_, [this, connection = connections_, agent = agents_, deliver = std::move(deliver)] {
    if (connection != connections_ || !agent_) return;
    deliver(*agent_);
    wake(agent);
  });
}

bool SimNode::tell_warden(const Document& request) {
  if (!connected_) return false;
  last_to_warden_ = std::max(last_to_warden_, world_.clock.monotonic_now() + world_.between(50us, 2ms));
  world_.executor.post_at(last_to_warden_, [this, boot = boots_, request] {
    // What was sent before the agent died arrives; what was sent to a warden that died does not.
    if (!warden_ || boot != boots_) return;
    if (world_.fault_one_in(settings_.warden_dies_one_in)) return kill_warden();
    warden_->handle(request);
    if (world_.fault_one_in(settings_.warden_dies_one_in)) kill_warden();
  });
  return true;
}

void SimNode::wake(std::uint64_t agent) {
  if (!agent_ || agent != agents_ || away()) return;
  try {
    agent_->run_loops();
  } catch (const AgentKilled& killed) {
    kill_agent(killed.where);
  }
}

Duration SimNode::latency() {
  return world_.fault_one_in(settings_.message_late_one_in) ? world_.between(100ms, 4s) : world_.between(100us, 20ms);
}

void SimNode::send(std::function<void()> deliver, std::function<void()> refused) {
  if (cut_off()) return;
  if (world_.fault_one_in(settings_.message_lost_one_in)) return world_.after(world_.between(1ms, 1s), std::move(refused));
  const int copies = world_.fault_one_in(settings_.message_doubled_one_in) ? 2 : 1;
  for (int i = 0; i < copies; ++i) world_.after(latency(), deliver);
}

void SimNode::answer(std::function<void()> deliver, std::function<void()> broken) {
  if (world_.fault_one_in(settings_.message_lost_one_in)) deliver = std::move(broken);
  world_.after(latency(), [this, deliver = std::move(deliver)] {
    if (!cut_off()) deliver();
  });
}

}  // namespace trainyard::sim_test
