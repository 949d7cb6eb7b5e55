#include "tests/sim/sim_server.h"

#include <fmt/format.h>

#include <utility>

#include "jobs/testing/scripted_backend.h"

namespace trainyard::sim_test {

using adapters::agent_pool::AgentPool;

/// The core strand of one life of the server: tasks run in order, each a little later than it was posted.
class SimStrand final : public Executor {
 public:
  SimStrand(World& world, std::function<void()> run_one) : world_(world), run_one_(std::move(run_one)) {}

  void post(Task task) override {
    tasks_.push_back(std::move(task));
    world_.after(world_.between(Duration(0), Duration(300)), run_one_);
  }
  void post_at(MonotonicPoint due, Task task) override {
    world_.executor.post_at(due, [this, alive = alive_, task = std::move(task)]() mutable {
      if (*alive) post(std::move(task));
    });
  }
  ~SimStrand() override { *alive_ = false; }

  Task take() {
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }

 private:
  World& world_;
  std::function<void()> run_one_;
  std::deque<Task> tasks_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // shared: watched by timers that outlive the strand
};

/// Lets the server die before and after each call to its ledger.
class CrashingLedger final : public store::JobLedger {
 public:
  CrashingLedger(SimServer& server, SimLedger& inner) : server_(server), inner_(inner) {}
  void commit(store::LedgerBatch batch, Committed done) override {
    server_.crash_point("before a commit");
    server_.maybe_kill_during_commit();
    inner_.commit(std::move(batch), std::move(done));
    server_.crash_point("after a commit was sent");
  }
  Result<store::LedgerRecovery> recover() override { return inner_.recover(); }
  Result<std::vector<store::JobRecord>> list(JobId before, std::size_t limit) override { return inner_.list(before, limit); }
  Result<store::JobRecord> get(JobId id) override { return inner_.get(id); }
  Result<std::vector<store::EventRecord>> events(EventNumber after, JobId job, std::size_t limit) override {
    return inner_.events(after, job, limit);
  }

 private:
  SimServer& server_;
  SimLedger& inner_;
};

/// Lets the server die before and after each call to its pool.
class CrashingBackend final : public exec::ExecutionBackend {
 public:
  CrashingBackend(SimServer& server, AgentPool& inner) : server_(server), inner_(inner) {}
  void set_observer(exec::AttemptObserver& observer) override { inner_.set_observer(observer); }
  std::vector<exec::NodeView> nodes() const override { return inner_.nodes(); }
  void launch(const exec::GangLaunch& launch) override {
    around("a launch", [&] { inner_.launch(launch); });
  }
  void stop(const AttemptKey& attempt, exec::StopReason reason) override {
    around("a stop", [&] { inner_.stop(attempt, reason); });
  }
  void request_checkpoint(const AttemptKey& attempt) override { inner_.request_checkpoint(attempt); }
  void forget(const AttemptKey& attempt) override {
    around("forgetting", [&] { inner_.forget(attempt); });
  }
  void adopt(const exec::GangLaunch& launch) override {
    around("an adoption", [&] { inner_.adopt(launch); });
  }

 private:
  template <typename Call>
  void around(const char* what, Call call) {
    server_.crash_point(fmt::format("before {}", what));
    call();
    server_.crash_point(fmt::format("after {}", what));
  }

  SimServer& server_;
  AgentPool& inner_;
};

/// An ERROR event fails the run.
class WatchfulLog final : public LogSink {
 public:
  explicit WatchfulLog(World& world) : world_(world) {}
  void write(const LogEvent& event) override {
    if (event.level == LogLevel::kError) world_.history.tell(Broken{fmt::format("the server logged an error: {}", event.name)});
  }

 private:
  World& world_;
};

/// Everything that one server process has in memory.
struct SimServer::Life {
  Life(SimServer& server, World& world, SimLedger& sim_ledger, std::uint64_t life_number, Duration lease)
      : number(life_number),
        strand(world, [&server, life_number] { server.run_one(life_number); }),
        log(world),
        ledger(server, sim_ledger),
        pool({.lease = lease}, {strand, world.clock, log}),
        backend(server, pool),
        service({.seed = life_number}, {strand, world.clock, ledger, backend, builder, log},
                {[](const Error& error) { throw KilledHere{"by its own hand: " + error.describe()}; },
                 [&server](const jobs::Job&) { server.crash_point("when an attempt started"); },
                 [&server](const jobs::Job&) { server.crash_point("when a job ended"); }}) {}

  const std::uint64_t number;
  SimStrand strand;
  WatchfulLog log;
  CrashingLedger ledger;
  AgentPool pool;
  CrashingBackend backend;
  jobs::testing::PlainBuilder builder;
  jobs::JobService service;
};

SimServer::SimServer(World& world, SimLedger& ledger, Settings settings) : world_(world), ledger_(ledger), settings_(settings) {}

SimServer::~SimServer() = default;

void SimServer::boot() {
  const Result<store::LedgerRecovery> stored = ledger_.recover();
  world_.history.tell(ServerStarted{stored.value().last_event});
  life_ = std::make_unique<Life>(*this, world_, ledger_, ++lives_, settings_.lease);
  try {
    if (const Result<void> recovered = life_->service.recover(); !recovered.ok()) {
      world_.history.tell(Broken{"the server does not start: " + recovered.error().describe()});
    }
    life_->service.subscribe([this](const store::EventRecord& event) {
      world_.history.tell(EventPublished{event});
      crash_point("after an event was published");
    });
  } catch (const KilledHere& killed) {
    kill(killed.where);
  }
}

void SimServer::kill(const std::string& where) {
  if (life_ == nullptr) return;
  ++kills_;
  world_.history.tell(ServerKilled{where});
  life_.reset();
  ledger_.crash();
  world_.after(world_.between(Duration(10'000), settings_.down_max), [this] { boot(); });
}

void SimServer::maybe_kill_during_commit() {
  if (!world_.fault_one_in(settings_.kill_during_one_in)) return;
  world_.after(world_.between(Duration(1'000), Duration(2'000'000)), [this, life = lives_] {
    if (life == lives_) kill("during a commit");
  });
}

void SimServer::run_one(std::uint64_t life) {
  if (life_ == nullptr || life_->number != life) return;
  Executor::Task task = life_->strand.take();
  try {
    task();
  } catch (const KilledHere& killed) {
    task = nullptr;
    kill(killed.where);
  }
}

void SimServer::request(Request request) {
  if (life_ == nullptr) return;
  Life& life = *life_;
  life.strand.post([&life, request = std::move(request)] { request(life.service, life.pool); });
}

void SimServer::reply(std::function<void()> to_network) {
  crash_point("before a reply");
  to_network();
  crash_point("after a reply");
}

void SimServer::crash_point(std::string_view where) {
  if (world_.fault_one_in(settings_.kill_one_in)) throw KilledHere{std::string(where)};
}

}  // namespace trainyard::sim_test
