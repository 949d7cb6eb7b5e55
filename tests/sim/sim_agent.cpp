#include "tests/sim/sim_agent.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace trainyard::sim_test {

using namespace std::chrono_literals;

SimAgent::SimAgent(Deps deps, Settings settings, std::uint64_t number, NodeName node, Resources capacity)
    : deps_(deps),
      settings_(settings),
      number_(number),
      log_(deps.world, "agent"),
      driver_({node, "kernel", capacity, {.address = node.text}, "of " + node.text},
              {.link = *this, .spool = deps.spool, .clock = deps.world.clock, .log = log_, .tell_warden = [this](const Document& request) {
                 crash_point("before it told its warden");
                 const bool told = deps_.tell_warden(request);
                 crash_point("after it told its warden");
                 return told;
               }}) {
  for (void (SimAgent::*body)() : {&SimAgent::poll_loop, &SimAgent::report_loop, &SimAgent::ship_loop}) {
    loops_.push_back(std::make_unique<Loop>());
    loops_.back()->fiber = std::make_unique<Fiber>([this, body] { (this->*body)(); });
  }
}

void SimAgent::run_loops() {
  for (bool ran = true; ran;) {
    ran = false;
    for (const std::unique_ptr<Loop>& loop : loops_) {
      if (!loop->ready()) continue;
      running_ = loop.get();
      loop->fiber->resume();
      ran = true;
    }
  }
}

void SimAgent::wait_until(std::function<bool()> ready) {
  if (ready()) return;
  Loop& loop = *running_;
  loop.ready = std::move(ready);
  Fiber::suspend();
}

void SimAgent::pause(Duration span) {
  const MonotonicPoint due = deps_.world.clock.monotonic_now() + span;
  deps_.world.after(span, [&network = deps_.network, number = number_] { network.wake(number); });
  wait_until([this, due] { return deps_.world.clock.monotonic_now() >= due; });
}

// The loops of agent::Agent.

void SimAgent::poll_loop() {
  wait_until([this] { return connected_; });
  for (;;) {
    if (!driver_.poll(settings_.poll_wait).ok()) pause(200ms);
  }
}

void SimAgent::report_loop() {
  std::uint64_t seen = 0;
  for (;;) {
    wait_until([&] { return connected_ && driver_.state().news() != seen; });
    seen = driver_.state().news();
    while (!driver_.report().ok()) pause(200ms);
  }
}

void SimAgent::ship_loop() {
  for (;;) {
    std::optional<agent::NodeState::ShipWork> work;
    wait_until([&] {
      work = driver_.state().take_work();
      return work.has_value();
    });
    driver_.ship(*work);
    // One that was postponed has its turn after the agent's pause.
    deps_.world.after(201ms, [&network = deps_.network, number = number_] { network.wake(number); });
  }
}

void SimAgent::on_warden(const std::string& boot_id, const std::vector<exec::WardenRank>& ranks) {
  driver_.on_warden(boot_id, ranks);
  connected_ = true;
}

void SimAgent::crash_point(std::string_view where) {
  if (deps_.world.fault_one_in(settings_.kill_one_in)) throw AgentKilled{std::string(where)};
}

/// `deliver` runs at the server's host with what it shall call there when it is done; false when nobody listens.
template <typename T>
Result<T> SimAgent::ask(Duration patience, std::function<bool(Done<T>)> deliver) {
  struct Pending {
    std::optional<Result<T>> answer;
  };
  const auto pending = std::make_shared<Pending>();  // shared: an answer may come after the agent stopped waiting
  const auto settle = [&network = deps_.network, number = number_, pending](const Result<T>& result) {
    if (pending->answer) return;
    pending->answer = result;
    network.wake(number);
  };
  const auto fail = [settle] { settle(unavailable("net.connection", "the connection broke")); };
  SimServer& server = deps_.server;
  SimNetwork& network = deps_.network;
  crash_point("before a call");
  network.send(
      [&server, &network, life = server.life(), deliver = std::move(deliver), settle, fail] {
        // A connection ends with the process that accepted it.
        if (server.life() != life) return network.answer(fail, fail);
        server.on_death([&network, fail] { network.answer(fail, fail); });
        const bool heard = deliver([&server, &network, settle, fail](const Result<T>& result) {
          server.reply([&network, settle, fail, result] { network.answer([settle, result] { settle(result); }, fail); });
        });
        if (!heard) network.answer(fail, fail);
      },
      fail);
  deps_.world.after(patience, fail);
  wait_until([pending] { return pending->answer.has_value(); });
  crash_point("after a call");
  return *pending->answer;
}

Result<exec::DesiredState> SimAgent::sync(const exec::NodeObservation& observation, std::uint64_t seen_version, Duration wait) {
  return ask<exec::DesiredState>(
      wait + settings_.sync_patience, [&server = deps_.server, observation, seen_version, wait](const Done<exec::DesiredState>& done) {
        return server.request(
            [observation, seen_version, wait, done](const ServerParts& parts) { parts.pool.sync(observation, seen_version, wait, done); });
      });
}

Result<std::uint64_t> SimAgent::ask_bulk(std::function<Result<std::uint64_t>(agent::AgentLink&)> call) {
  return ask<std::uint64_t>(settings_.patience, [&server = deps_.server, call = std::move(call)](const Done<std::uint64_t>& done) {
    return server.bulk([call, done](agent::AgentLink& link) { done(call(link)); });
  });
}

Result<std::uint64_t> SimAgent::log_end(const RankKey& rank) {
  return ask_bulk([rank](agent::AgentLink& link) { return link.log_end(rank); });
}

Result<std::uint64_t> SimAgent::append_log(const RankKey& rank, std::uint64_t offset, std::string_view encoded) {
  return ask_bulk([&history = deps_.world.history, rank, offset, bytes = std::string(encoded)](agent::AgentLink& link) {
    const Result<std::uint64_t> end = link.append_log(rank, offset, bytes);
    if (end.ok()) history.tell(LogAcknowledged{rank, *end});
    return end;
  });
}

Result<std::uint64_t> SimAgent::events_end(const RankKey& rank) {
  return ask<std::uint64_t>(settings_.patience, [&server = deps_.server, rank](const Done<std::uint64_t>& done) {
    return server.request([rank, done](const ServerParts& parts) { done(parts.events.taken(rank)); });
  });
}

Result<std::uint64_t> SimAgent::append_events(const RankKey& rank, std::uint64_t first, const std::vector<std::string>& lines) {
  return ask<std::uint64_t>(settings_.patience,
                            [&server = deps_.server, &history = deps_.world.history, rank, first, lines](const Done<std::uint64_t>& done) {
                              return server.request([&history, rank, first, lines, done](const ServerParts& parts) {
                                parts.events.append(rank, first, lines, [&history, rank, done](const Result<std::uint64_t>& taken) {
                                  if (taken.ok()) history.tell(LinesAcknowledged{rank, *taken});
                                  done(taken);
                                });
                              });
                            });
}

}  // namespace trainyard::sim_test
