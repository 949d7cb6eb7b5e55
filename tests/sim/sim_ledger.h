#pragma once
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "store/testing/fake_job_ledger.h"
#include "tests/sim/world.h"

namespace trainyard::sim_test {

struct SimLedgerSettings {
  Duration commit_max{30'000};
  Duration slow_commit_max{3'000'000};  ///< Of one commit in eight: what happens meanwhile is where the mistakes are.
  std::uint64_t failure_one_in = 500;
  bool answers_too_early = false;
  bool forgets_epoch = false;  ///< Nobody is fenced.
};

/// One server's hold of the durable store, which several may have opened: whoever recovered last holds it. A commit takes a while; when its
/// server dies meanwhile the batch is kept or lost, as the dice fall. It tells the history what became durable. `answers_too_early` and
/// `forgets_epoch` break its contract, to show that the invariants notice.
class SimLedger final : public store::JobLedger {
 public:
  using Settings = SimLedgerSettings;

  /// For the life of the server with this number.
  SimLedger(World& world, store::testing::FakeLedgerStorage& storage, Settings settings, std::uint64_t life)
      : world_(world), settings_(settings), life_(life), inner_(storage) {
    inner_.hold_commits();
  }
  ~SimLedger() override { *alive_ = false; }

  /// The server died: nobody waits for the commit in flight any more.
  void crash() {
    ++generation_;
    done_ = nullptr;
    if (inner_.commit_waits()) (void)settle(world_.one_in(2));
  }

  void commit(store::LedgerBatch batch, Committed done) override {
    if (settings_.answers_too_early && inner_.commit_waits()) (void)settle(true);
    inner_.commit(std::move(batch), [this](Result<void> result) { result_ = std::move(result); });
    done_ = std::move(done);
    if (settings_.answers_too_early) answer({});
    const Duration longest = world_.one_in(8) ? settings_.slow_commit_max : settings_.commit_max;
    world_.after(world_.between(Duration(100), longest), [this, alive = alive_, generation = generation_] {
      if (*alive && generation == generation_) finish();
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
    const Result<void> settled = settle(!fails || world_.one_in(2));
    answer(fails ? Result<void>(unavailable("ledger.simulated", "the disk failed")) : settled);
  }

  /// The commit in flight becomes durable, or is gone: refused when another holds the ledger by now.
  Result<void> settle(bool durable) {
    const store::LedgerBatch batch = inner_.waiting_batch();
    if (!durable) {
      inner_.lose_waiting();
      world_.history.note("a batch was lost");
      return {};
    }
    if (settings_.forgets_epoch) (void)inner_.recover();
    inner_.release();
    if (!result_.ok()) {
      world_.history.note("a batch was refused: " + result_.error().id);
      return result_;
    }
    for (const store::EventRecord& event : batch.events) world_.history.tell(EventDurable{event});
    for (const store::JobRecord& record : batch.jobs) {
      const Result<jobs::Job> job = jobs::decode_job(record.body);
      if (job.ok()) {
        world_.history.tell(JobDurable{*job});
      } else {
        world_.history.tell(Broken{"a record cannot be read: " + job.error().describe()});
      }
    }
    world_.history.tell(BatchDurable{life_});
    return {};
  }

  void answer(const Result<void>& result) {
    if (const Committed done = std::exchange(done_, nullptr)) done(result);
  }

  World& world_;
  const Settings settings_;
  const std::uint64_t life_;
  store::testing::FakeJobLedger inner_;
  Result<void> result_;
  Committed done_;
  std::uint64_t generation_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // shared: watched by timers that outlive the server
};

}  // namespace trainyard::sim_test
