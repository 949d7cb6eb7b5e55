#include "agent/agent.h"

#include <optional>
#include <utility>

#include "agent/capacity.h"
#include "agent/hardware.h"
#include "agent/installation.h"
#include "exec/process_groups.h"

namespace trainyard::agent {
namespace {

constexpr Duration kRetryPause = std::chrono::milliseconds(200);

NodeIdentity identity_of(const AgentSettings& settings, const Clock& clock) {
  NodeIdentity node{settings.node, exec::kernel_boot_id(), settings.capacity, {}, {}};
  const Resources found = discover_capacity();
  if (node.capacity.milli_cpu == 0) node.capacity.milli_cpu = found.milli_cpu;
  if (node.capacity.memory_bytes == 0) node.capacity.memory_bytes = found.memory_bytes;
  // Nothing was asked for that might not be there: an error is not possible.
  node.facts = settings.facts ? *settings.facts : describe_node({}, {}, clock).value_or({});
  node.capacity.milli_gpu = 1000 * static_cast<std::int64_t>(node.facts.gpus.size());
  node.installation = installation_id(settings.data_dir);
  return node;
}

}  // namespace

Agent::Agent(AgentSettings settings, Deps deps)
    : settings_(std::move(settings)),
      deps_(deps),
      spool_(settings_.data_dir),
      driver_(identity_of(settings_, deps.clock), {.link = deps.link,
                                                   .spool = spool_,
                                                   .clock = deps.clock,
                                                   .log = deps.log,
                                                   .tell_warden = [this](const Document& request) { return warden_.send(request); },
                                                   .on_refused = deps.on_refused,
                                                   .on_accepted = deps.on_accepted,
                                                   .environment = settings_.environment,
                                                   .server_url = deps.server_url}),
      warden_({settings_.data_dir, settings_.warden_program, settings_.lifeline},
              {[this](const std::string& boot, std::vector<exec::WardenRank> ranks) { driver_.on_warden(boot, std::move(ranks)); },
               [this](exec::WardenRank rank) { driver_.state().update(std::move(rank)); },
               [this](const std::vector<exec::RankGrowth>& growths) { driver_.state().grow(growths); }},
              deps.clock, deps.log) {}

Agent::~Agent() { stop(); }

void Agent::start() {
  warden_.start();
  threads_.emplace_back([this] { poll_loop(); });
  threads_.emplace_back([this] { report_loop(); });
  threads_.emplace_back([this] { ship_loop(); });
}

void Agent::stop() {
  {
    const std::lock_guard lock(stop_mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  deps_.link.interrupt();
  driver_.state().stop();
  warden_.stop();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  threads_.clear();
}

void Agent::shutdown_warden(Duration grace) { warden_.shutdown(grace); }

/// Sleeps unless the agent stops; true when it does.
bool Agent::pause(Duration span) {
  std::unique_lock lock(stop_mutex_);
  return stopped_.wait_for(lock, span, [this] { return stopping_; });
}

/// Waits at the server for a new desired state.
void Agent::poll_loop() {
  driver_.state().wait_for_news(0);
  while (!pause(Duration(0))) {
    if (!driver_.poll(settings_.poll_wait).ok() && pause(kRetryPause)) return;
  }
}

/// Tells the server at once what changed here.
void Agent::report_loop() {
  std::uint64_t seen = 0;
  while (!pause(Duration(0))) {
    seen = driver_.state().wait_for_news(seen);
    while (!pause(Duration(0)) && !driver_.report().ok()) {
      if (pause(kRetryPause)) return;
    }
  }
}

void Agent::ship_loop() {
  while (const std::optional<NodeState::ShipWork> work = driver_.state().next_work()) driver_.ship(*work);
}

}  // namespace trainyard::agent
