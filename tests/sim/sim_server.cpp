#include "tests/sim/sim_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <utility>

#include "api/platform/logs.h"
#include "apps/server/job_events.h"
#include "jobs/testing/scripted_backend.h"

namespace trainyard::sim_test {

using adapters::agent_pool::AgentPool;

/// An executor of one life of the server: tasks run in order, each a little later than it was posted.
class SimStrand final : public Executor {
 public:
  SimStrand(SimServer& server, World& world, std::uint64_t life) : server_(server), world_(world), life_(life) {}

  void post(Task task) override {
    tasks_.push_back(std::move(task));
    world_.after(world_.between(Duration(0), Duration(300)), [this, &server = server_, life = life_] { server.run_one(life, *this); });
  }
  void post_at(MonotonicPoint due, Task task) override {
    world_.executor.post_at(due, [this, alive = alive_, task = std::move(task)]() mutable {
      if (*alive) post(std::move(task));
    });
  }
  ~SimStrand() override { *alive_ = false; }

  /// Nothing ran while the process slept; now everything does, in its order.
  void go_on() {
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      world_.after(world_.between(Duration(0), Duration(300)), [this, &server = server_, life = life_] { server.run_one(life, *this); });
    }
  }
  void drop_all() { tasks_.clear(); }
  bool has_task() const { return !tasks_.empty(); }

  Task take() {
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }

 private:
  SimServer& server_;
  World& world_;
  const std::uint64_t life_;
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
  void stop(const AttemptKey& attempt, exec::StopReason reason, Duration grace_max) override {
    around("a stop", [&] { inner_.stop(attempt, reason, grace_max); });
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

/// Tracking: takes time on its own executor and fails now and then.
class SimTracking final : public jobs::AttemptSink {
 public:
  SimTracking(World& world, std::uint64_t fails_one_in) : world_(world), fails_one_in_(fails_one_in) {}
  Result<void> start_run(const jobs::RunStart&) override { return {}; }
  Result<void> record_metrics(const RunId&, AttemptNumber, const std::vector<jobs::MetricPoint>&) override {
    if (world_.fault_one_in(fails_one_in_)) return unavailable("db.unavailable", "tracking is busy");
    return {};
  }
  Result<void> end_run(const RunId&, std::string_view, TimePoint) override { return {}; }

 private:
  World& world_;
  const std::uint64_t fails_one_in_;
};

/// Everything that one server process has in memory.
struct SimServer::Life {
  Life(SimServer& server, World& world, SimLogStore& sim_logs, std::uint64_t life_number, const Settings& settings)
      : number(life_number),
        strand(server, world, life_number),
        bulk(server, world, life_number),
        writes(server, world, life_number),
        log(world, "server"),
        durable(world, server.storage_, server.ledger_settings_, life_number),
        ledger(server, durable),
        logs(sim_logs),
        pool({.lease = settings.lease, .epoch = fmt::format("life-{}", life_number)}, {strand, world.clock, log}),
        backend(server, pool),
        tracking(world, settings.tracking_fails_one_in),
        service({.seed = life_number, .scheduler = scheduler()}, {strand, world.clock, ledger, backend, builder, log},
                {[](const Error& error) { throw KilledHere{"by its own hand: " + error.describe()}; },
                 [&server](const jobs::Job&) { server.crash_point("when an attempt started"); },
                 [&server](const jobs::Job&) { server.crash_point("when a job ended"); }}),
        events({.strand = strand, .writes = writes, .jobs = service, .tracking = &tracking}),
        link({.strand = strand, .pool = pool, .logs = logs, .events = events}) {
    logs.subscribe([this, &server](const RankKey& rank) { bulk.post([&server, rank] { server.show_log(rank); }); });
  }

  /// The standard, with jobs of higher priority that may take the room of others.
  static sched::SchedulerSettings scheduler() {
    sched::SchedulerSettings settings = sched::SchedulerSettings::standard();
    settings.queues.front().preemption = {.enabled = true, .grace = std::chrono::seconds(2)};
    return settings;
  }

  const std::uint64_t number;
  SimStrand strand;
  SimStrand bulk;
  SimStrand writes;
  WatchfulLog log;
  SimLedger durable;
  CrashingLedger ledger;
  api::WatchedLogStore logs;
  AgentPool pool;
  CrashingBackend backend;
  jobs::testing::PlainBuilder builder;
  SimTracking tracking;
  jobs::JobService service;
  apps::JobEvents events;
  adapters::agent_pool::EmbeddedLink link;
  std::vector<std::function<void()>> mourners;
};

SimServer::SimServer(World& world, SimLogStore& logs, Settings settings, SimLedger::Settings ledger)
    : world_(world), logs_(logs), settings_(settings), ledger_settings_(ledger) {}

SimServer::~SimServer() = default;

void SimServer::boot() {
  const std::vector<store::EventRecord> stored = storage_.events(EventNumber(), JobId(), std::size_t{1} << 30);
  life_ = std::make_unique<Life>(*this, world_, logs_, ++lives_, settings_);
  world_.history.tell(ServerStarted{stored.empty() ? EventNumber() : stored.back().number, lives_});
  try {
    if (const Result<void> recovered = life_->service.recover(); !recovered.ok()) {
      world_.history.tell(Broken{"the server does not start: " + recovered.error().describe()});
    }
    life_->service.subscribe([this, life = lives_](const store::EventRecord& event) {
      world_.history.tell(EventPublished{event, life});
      crash_point("after an event was published");
    });
    for (const auto& [node, state] : settings_.forgets_orders ? decltype(orders_)() : orders_)
      life_->pool.set_node_state(node, state, "an operator wants it");
  } catch (const KilledHere& killed) {
    kill(killed.where);
  }
}

void SimServer::end(std::unique_ptr<Life> life, const std::string& where) {
  ++kills_;
  world_.history.tell(ServerKilled{where});
  const std::vector<std::function<void()>> mourners = std::move(life->mourners);
  life->durable.crash();
  life.reset();
  for (const std::function<void()>& told : mourners) told();
}

void SimServer::kill(const std::string& where) {
  if (life_ == nullptr) return;
  end(std::move(life_), where);
  if (world_.fault_one_in(settings_.power_loss_one_in)) logs_.lose_power();
  world_.after(world_.between(Duration(10'000), settings_.down_max), [this] {
    if (life_ == nullptr) boot();
  });
}

void SimServer::end_sleeper(const std::string& where) {
  if (sleeper_ != nullptr) end(std::move(sleeper_), where);
}

void SimServer::replace_while_asleep() {
  if (life_ == nullptr) return;
  end_sleeper("as a sleeper that another one follows");
  world_.history.note("the server falls asleep and is replaced");
  sleeper_ = std::move(life_);
  sleeper_woke_ = false;
  // Its logs are files of its own host.
  sleeper_->bulk.drop_all();
  world_.after(world_.between(Duration(1'000), settings_.asleep_max), [this, life = sleeper_->number] { wake_sleeper(life); });
  boot();
}

void SimServer::wake_sleeper(std::uint64_t life) {
  if (sleeper_ == nullptr || sleeper_->number != life) return;
  world_.history.note("the server that was replaced wakes");
  sleeper_woke_ = true;
  sleeper_->strand.go_on();
  sleeper_->writes.go_on();
}

void SimServer::order(const NodeName& node, exec::NodeState state) {
  orders_[node] = state;
  if (state == exec::NodeState::kReady) world_.history.tell(NodeOrdered{node, state});
  (void)request([this, node, state](const ServerParts& parts) {
    if (!settings_.forgets_orders) parts.pool.set_node_state(node, state, "an operator wants it");
    if (orders_[node] == state && state != exec::NodeState::kReady) world_.history.tell(NodeOrdered{node, state});
  });
}

bool SimServer::has_live_jobs() const {
  const std::vector<store::JobRecord> all = storage_.list(JobId(), std::size_t{1} << 30);
  return std::any_of(all.begin(), all.end(), [](const store::JobRecord& job) { return job.live; });
}

void SimServer::maybe_kill_during_commit() {
  if (!world_.fault_one_in(settings_.kill_during_one_in)) return;
  world_.after(world_.between(Duration(1'000), Duration(2'000'000)), [this, life = lives_] {
    if (life == lives_) kill("during a commit");
  });
}

/// The life of this number, if its process runs.
SimServer::Life* SimServer::awake(std::uint64_t life) {
  if (life_ != nullptr && life_->number == life) return life_.get();
  return sleeper_ != nullptr && sleeper_woke_ && sleeper_->number == life ? sleeper_.get() : nullptr;
}

void SimServer::run_one(std::uint64_t life, SimStrand& strand) {
  if (awake(life) == nullptr || !strand.has_task()) return;
  Executor::Task task = strand.take();
  std::string died;
  try {
    task();
  } catch (const KilledHere& killed) {
    died = killed.where;
  } catch (const std::exception& thrown) {
    world_.history.tell(Broken{fmt::format("the server threw: {}", thrown.what())});
    died = "by an exception";
  }
  task = nullptr;
  if (died.empty()) return;
  if (life_ != nullptr && life_->number == life) return kill(died);
  end_sleeper(died);
}

bool SimServer::request(Request request) {
  if (life_ == nullptr) return false;
  Life& life = *life_;
  life.strand.post([&life, request = std::move(request)] { request({life.service, life.pool, life.events, life.ledger}); });
  return true;
}

bool SimServer::bulk(BulkRequest request) {
  if (life_ == nullptr) return false;
  Life& life = *life_;
  life.bulk.post([this, &life, request = std::move(request)] {
    crash_point("before a log is written");
    request(life.link);
    crash_point("after a log was written");
  });
  return true;
}

void SimServer::on_death(std::function<void()> told) {
  if (life_ != nullptr) life_->mourners.push_back(std::move(told));
}

/// A follower reads what is new and shows it.
void SimServer::show_log(const RankKey& rank) {
  if (life_ == nullptr) return;
  std::uint64_t& position = shown_[rank];
  const Result<store::LogSlice> slice = life_->logs.read(rank, position, std::size_t{1} << 20);
  if (!slice.ok()) return world_.history.tell(Broken{"a log cannot be read: " + slice.error().describe()});
  for (const store::LogRecord& record : slice->records) {
    position += store::kLogRecordOverhead + record.bytes.size();
    world_.history.tell(LogShown{rank, record.bytes});
  }
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
