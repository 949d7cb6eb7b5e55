#pragma once
#include <functional>
#include <utility>

#include "store/testing/fake_job_ledger.h"
#include "tests/sim/world.h"

namespace trainyard::sim_test {

/// The durable store behind the server. A commit takes a while; when the server dies meanwhile the batch is kept or lost, as the dice
/// fall. It tells the history what became durable. `answers_too_early` breaks its contract, to show that the invariants notice.
class SimLedger final : public store::JobLedger {
 public:
  struct Settings {
    Duration commit_max{30'000};
    Duration slow_commit_max{3'000'000};  ///< Of one commit in eight: what happens meanwhile is where the mistakes are.
    std::uint64_t failure_one_in = 500;
    bool answers_too_early = false;
  };

  SimLedger(World& world, Settings settings) : world_(world), settings_(settings) { inner_.hold_commits(); }

  /// The server died: nobody waits for the commit in flight any more.
  void crash() {
    ++generation_;
    if (inner_.commit_waits()) settle(world_.one_in(2));
    done_ = nullptr;
  }

  void commit(store::LedgerBatch batch, Committed done) override {
    if (settings_.answers_too_early && inner_.commit_waits()) settle(true);
    inner_.commit(std::move(batch), [](const Result<void>&) {});
    done_ = std::move(done);
    if (settings_.answers_too_early) answer({});
    const Duration longest = world_.one_in(8) ? settings_.slow_commit_max : settings_.commit_max;
    world_.after(world_.between(Duration(100), longest), [this, generation = generation_] {
      if (generation == generation_) finish();
    });
  }

  Result<store::LedgerRecovery> recover() override { return inner_.recover(); }
  Result<std::vector<store::JobRecord>> list(JobId before, std::size_t limit) override { return inner_.list(before, limit); }
  Result<store::JobRecord> get(JobId id) override { return inner_.get(id); }
  Result<std::vector<store::EventRecord>> events(EventNumber after, JobId job, std::size_t limit) override {
    return inner_.events(after, job, limit);
  }

 private:
  void finish() {
    if (!inner_.commit_waits()) return;
    const bool fails = world_.fault_one_in(settings_.failure_one_in);
    settle(!fails || world_.one_in(2));
    answer(fails ? Result<void>(unavailable("ledger.simulated", "the disk failed")) : Result<void>());
  }

  /// The commit in flight becomes durable, or is gone.
  void settle(bool durable) {
    const store::LedgerBatch batch = inner_.waiting_batch();
    if (!durable) {
      inner_.lose_waiting();
      return world_.history.note("a batch was lost");
    }
    inner_.release();
    for (const store::EventRecord& event : batch.events) world_.history.tell(EventDurable{event});
    for (const store::JobRecord& record : batch.jobs) {
      const Result<jobs::Job> job = jobs::decode_job(record.body);
      if (job.ok()) {
        world_.history.tell(JobDurable{*job});
      } else {
        world_.history.tell(Broken{"a record cannot be read: " + job.error().describe()});
      }
    }
    world_.history.tell(BatchDurable{});
  }

  void answer(const Result<void>& result) {
    if (const Committed done = std::exchange(done_, nullptr)) done(result);
  }

  World& world_;
  const Settings settings_;
  store::testing::FakeJobLedger inner_;
  Committed done_;
  std::uint64_t generation_ = 0;
};

}  // namespace trainyard::sim_test
