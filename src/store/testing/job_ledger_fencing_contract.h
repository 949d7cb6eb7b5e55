#pragma once
#include <algorithm>
#include <atomic>
#include <map>

#include "base/rng.h"
#include "store/testing/job_ledger_contract.h"

namespace trainyard::store::testing {

/// What every JobLedger does when several open the same storage, and over a long life of restarts.
template <typename Harness>
class JobLedgerFencingContract : public JobLedgerTest<Harness> {
 protected:
  /// What the ledger should hold.
  struct Model {
    std::map<std::uint64_t, JobRecord> jobs;
    std::vector<EventRecord> events;
    std::map<std::string, IdempotencyRecord> keys;
  };

  LedgerBatch random_batch(Rng& rng, const Model& model) {
    LedgerBatch batch;
    const std::uint64_t known = model.jobs.size();
    for (std::uint64_t i = rng.below(20); i > 0; --i) {
      const std::uint64_t id = 1 + rng.below(known + 3);
      batch.jobs.push_back(this->job(id, rng.below(3) != 0, std::string(rng.below(2000), static_cast<char>(rng.below(256)))));
    }
    std::uint64_t number = model.events.size();
    for (std::uint64_t i = rng.below(20); i > 0; --i) batch.events.push_back(this->event(++number, 1 + rng.below(known + 3)));
    for (std::uint64_t i = rng.below(4); i > 0; --i) {
      batch.idempotency.push_back(this->key("key" + std::to_string(rng.below(30)), static_cast<std::int64_t>(rng.below(1000))));
    }
    if (rng.below(4) == 0) batch.forget_keys_before = time_from_micros(static_cast<std::int64_t>(rng.below(1000)));
    return batch;
  }

  static void apply(const LedgerBatch& batch, Model& model) {
    for (const JobRecord& job : batch.jobs) model.jobs.insert_or_assign(job.id.value, job);
    model.events.insert(model.events.end(), batch.events.begin(), batch.events.end());
    if (batch.forget_keys_before) {
      std::erase_if(model.keys, [&](const auto& entry) { return entry.second.created_at < *batch.forget_keys_before; });
    }
    for (const IdempotencyRecord& record : batch.idempotency) model.keys.insert_or_assign(record.key, record);
  }

  void expect_holds(const Model& model, const LedgerRecovery& recovery) {
    Numbers live;
    for (const auto& [id, job] : model.jobs) {
      if (job.live) live.push_back(id);
    }
    EXPECT_EQ(this->ids(recovery.live_jobs), live);
    EXPECT_EQ(recovery.last_job.value, model.jobs.empty() ? 0 : model.jobs.rbegin()->first);
    EXPECT_EQ(recovery.last_event.value, model.events.size());
    ASSERT_EQ(recovery.idempotency.size(), model.keys.size());
    for (const IdempotencyRecord& record : recovery.idempotency) {
      ASSERT_TRUE(model.keys.contains(record.key));
      EXPECT_EQ(record.created_at, model.keys.at(record.key).created_at);
    }
    const std::vector<JobRecord> listed = this->ledger().list(JobId(), 100'000).value();
    ASSERT_EQ(listed.size(), model.jobs.size());
    for (const JobRecord& job : listed) {
      EXPECT_TRUE(job.body == model.jobs.at(job.id.value).body && job.live == model.jobs.at(job.id.value).live) << job.id.value;
    }
    const std::vector<EventRecord> events = this->events();
    ASSERT_EQ(events.size(), model.events.size());
    for (std::size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].job, model.events[i].job);
  }
};
TYPED_TEST_SUITE_P(JobLedgerFencingContract);

TYPED_TEST_P(JobLedgerFencingContract, every_recovery_raises_the_epoch) {
  std::uint64_t last = this->reopen().epoch;
  EXPECT_GE(last, 2u);
  for (int i = 0; i < 3; ++i) {
    this->commit({});
    const std::uint64_t next = this->reopen().epoch;
    EXPECT_EQ(next, last + 1);
    last = next;
  }
}

TYPED_TEST_P(JobLedgerFencingContract, commit_before_the_recovery_is_refused) {
  const auto other = this->open();
  const Result<void> refused = commit_and_wait(*other, {{this->job(1)}, {}, {}});
  EXPECT_EQ(this->id_of(refused), "ledger.not_recovered");
  this->commit({{this->job(2)}, {}, {}});
  EXPECT_EQ(this->ids(this->reopen().live_jobs), (Numbers{2})) << "who only opened the ledger takes nothing over";
}

TYPED_TEST_P(JobLedgerFencingContract, commit_of_an_earlier_holder_is_fenced_and_leaves_nothing) {
  this->commit({{this->job(1)}, {this->event(1, 1)}, {this->key("first", 1)}});
  const auto other = this->open();
  const Result<LedgerRecovery> taken = other->recover();
  ASSERT_TRUE(taken.ok()) << taken.error().describe();
  EXPECT_EQ(this->ids(taken->live_jobs), (Numbers{1}));

  LedgerBatch late{{this->job(1, false, "late"), this->job(2)}, {this->event(2, 2)}, {this->key("late", 2)}};
  late.forget_keys_before = time_from_micros(100);
  const Result<void> fenced = commit_and_wait(this->ledger(), late);
  EXPECT_EQ(this->id_of(fenced), "ledger.fenced");
  EXPECT_EQ(fenced.error().category, Category::kAborted);
  EXPECT_EQ(this->id_of(commit_and_wait(this->ledger(), {})), "ledger.fenced") << "it stays fenced";
  EXPECT_EQ(this->ledger().get(JobId(1)).value().body, this->job(1).body) << "it still reads";

  const Result<void> held = commit_and_wait(*other, {{this->job(3)}, {this->event(2, 3)}, {}});
  EXPECT_TRUE(held.ok()) << held.error().describe();
  const LedgerRecovery recovery = this->reopen();
  EXPECT_EQ(this->ids(recovery.live_jobs), (Numbers{1, 3}));
  EXPECT_EQ(recovery.live_jobs[0].body, this->job(1).body);
  EXPECT_EQ(this->keys(recovery), (std::vector<std::string>{"first"}));
  EXPECT_EQ(this->numbers(this->events(0, 2)), (Numbers{}));
  EXPECT_EQ(this->id_of(commit_and_wait(*other, {})), "ledger.fenced") << "and so is the other one now";
}

TYPED_TEST_P(JobLedgerFencingContract, empty_batch_tells_an_earlier_holder_that_it_was_fenced) {
  const auto other = this->open();
  ASSERT_TRUE(other->recover().ok());
  EXPECT_EQ(this->id_of(commit_and_wait(this->ledger(), {})), "ledger.fenced");
}

TYPED_TEST_P(JobLedgerFencingContract, holder_overtaken_amid_commits_adds_nothing_to_what_was_recovered) {
  std::atomic<std::uint64_t> acknowledged = 0;
  std::atomic<bool> fenced = false;
  std::jthread committing([&] {
    for (std::uint64_t id = 1; id < 100'000; ++id) {
      const Result<void> done = commit_and_wait(this->ledger(), {{this->job(id)}, {this->event(id, id)}, {}});
      if (!done.ok()) {
        EXPECT_EQ(this->id_of(done), "ledger.fenced");
        fenced = true;
        return;
      }
      acknowledged = id;
    }
  });
  while (acknowledged < 20 && !fenced) std::this_thread::yield();
  const auto other = this->open();
  const Result<LedgerRecovery> taken = other->recover();
  ASSERT_TRUE(taken.ok()) << taken.error().describe();
  committing.join();
  EXPECT_TRUE(fenced);
  EXPECT_EQ(acknowledged, taken->last_job.value) << "acknowledged and recovered are the same";
  EXPECT_EQ(taken->last_event.value, taken->last_job.value);
  EXPECT_EQ(other->list(JobId(), 1).value().front().id, taken->last_job);
}

TYPED_TEST_P(JobLedgerFencingContract, of_many_that_recover_at_once_one_holds_the_ledger) {
  constexpr std::size_t kOthers = 4;
  std::vector<std::unique_ptr<JobLedger>> others;
  for (std::size_t i = 0; i < kOthers; ++i) others.push_back(this->open());
  std::vector<std::uint64_t> epochs(kOthers);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kOthers; ++i) {
      threads.emplace_back([&, i] {
        const Result<LedgerRecovery> taken = others[i]->recover();
        ASSERT_TRUE(taken.ok()) << taken.error().describe();
        epochs[i] = taken->epoch;
      });
    }
  }
  std::size_t holders = 0;
  for (std::size_t i = 0; i < kOthers; ++i) {
    const bool holds = epochs[i] == *std::max_element(epochs.begin(), epochs.end());
    EXPECT_EQ(this->id_of(commit_and_wait(*others[i], {})), holds ? "ok" : "ledger.fenced");
    holders += holds ? 1u : 0u;
  }
  EXPECT_EQ(holders, 1u);
}

TYPED_TEST_P(JobLedgerFencingContract, random_batches_with_restarts_between_match_a_model) {
  constexpr std::uint64_t kSeed = 20'260'301;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  SeededRng rng(kSeed);
  typename JobLedgerFencingContract<TypeParam>::Model model;
  for (int step = 0; step < 40; ++step) {
    const LedgerBatch batch = this->random_batch(rng, model);
    this->commit(batch);
    this->apply(batch, model);
    if (rng.below(3) != 0) continue;
    this->expect_holds(model, this->reopen());
    if (this->HasFailure()) return;
  }
  this->expect_holds(model, this->reopen());
}

REGISTER_TYPED_TEST_SUITE_P(JobLedgerFencingContract, every_recovery_raises_the_epoch, commit_before_the_recovery_is_refused,
                            commit_of_an_earlier_holder_is_fenced_and_leaves_nothing,
                            empty_batch_tells_an_earlier_holder_that_it_was_fenced,
                            holder_overtaken_amid_commits_adds_nothing_to_what_was_recovered,
                            of_many_that_recover_at_once_one_holds_the_ledger, random_batches_with_restarts_between_match_a_model);

}  // namespace trainyard::store::testing
