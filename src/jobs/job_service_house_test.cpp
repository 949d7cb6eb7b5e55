#include "jobs/testing/service_world.h"

namespace trainyard::jobs {
namespace {

using namespace std::chrono_literals;

class JobServiceHouseTest : public testing::ServiceWorld {
 protected:
  JobId submit_with(const std::string& key) {
    Submission made = submission();
    made.idempotency_key = key;
    made.fingerprint = "print";
    return submit(std::move(made));
  }
  void keep_house(Duration quiet = 10s) {
    service->keep_house(quiet);
    strand.run_ready();
  }
  /// Keys that a service made anew over the ledger would find.
  std::size_t keys_in_ledger() { return ledger.recover()->idempotency.size(); }
};

TEST_F(JobServiceHouseTest, old_keys_leave_ledger_and_memory_of_an_idle_service) {
  submit_with("first");
  clock.advance(23h);
  submit_with("second");
  clock.advance(1h + 1s);
  keep_house();
  EXPECT_EQ(keys_in_ledger(), 1u);
  EXPECT_EQ(submit_with("first"), JobId(3)) << "as if it had never been used";
  EXPECT_EQ(submit_with("second"), JobId(2));
}

TEST_F(JobServiceHouseTest, keys_are_dropped_once_a_minute_at_most) {
  submit_with("first");
  clock.advance(30s);
  submit_with("second");
  clock.advance(24h - 29s);
  keep_house(48h);
  EXPECT_EQ(keys_in_ledger(), 1u);
  clock.advance(31s);
  keep_house(48h);
  EXPECT_EQ(keys_in_ledger(), 1u) << "a minute has not passed";
  clock.advance(30s);
  keep_house(48h);
  EXPECT_EQ(keys_in_ledger(), 0u);
}

TEST_F(JobServiceHouseTest, more_keys_than_one_batch_drops_leave_in_several) {
  constexpr std::size_t kKeys = store::kForgottenKeysMax * 2 + 100;
  settings.live_jobs_max = 2 * kKeys;
  crash();
  boot();
  std::vector<Submission> batch;
  for (std::size_t i = 0; i < kKeys; ++i) {
    Submission made = submission();
    made.spec.hold = true;
    made.idempotency_key = "key " + std::to_string(i);
    batch.push_back(std::move(made));
  }
  service->submit_batch(std::move(batch), [](const Result<std::vector<JobId>>& ids) { EXPECT_TRUE(ids.ok()); });
  strand.run_ready();
  clock.advance(24h + 1s);
  const std::size_t commits = ledger.commit_count();
  keep_house(48h);
  EXPECT_EQ(keys_in_ledger(), 0u);
  EXPECT_EQ(ledger.commit_count() - commits, 3u);
}

TEST_F(JobServiceHouseTest, keys_beyond_the_most_leave_the_ledger_before_their_day) {
  settings.idempotency_keys_max = 2;
  crash();
  boot();
  for (const char* key : {"a", "b", "c"}) {
    submit_with(key);
    clock.advance(1s);
  }
  clock.advance(1min);
  keep_house();
  EXPECT_EQ(keys_in_ledger(), 2u);
}

TEST_F(JobServiceHouseTest, idle_service_learns_that_another_holds_the_ledger) {
  submit();
  store::testing::FakeLedgerStorage storage;
  store::testing::FakeJobLedger mine(storage);
  JobService service_of_mine(settings, JobService::Deps{strand, clock, mine, backend, builder, log},
                             JobService::Hooks{[this](const Error& error) { fatal.push_back(error.id); }, {}, {}});
  ASSERT_TRUE(service_of_mine.recover().ok());
  service_of_mine.keep_house(10s);
  strand.run_ready();
  EXPECT_TRUE(fatal.empty()) << "it is the holder";
  store::testing::FakeJobLedger others(storage);
  ASSERT_TRUE(others.recover().ok());
  clock.advance(9s);
  service_of_mine.keep_house(10s);
  strand.run_ready();
  EXPECT_TRUE(fatal.empty()) << "it was not quiet for long enough to ask";
  clock.advance(1s);
  service_of_mine.keep_house(10s);
  strand.run_ready();
  EXPECT_EQ(fatal, std::vector<std::string>{"ledger.fenced"});
  strand.drop_all();
}

TEST_F(JobServiceHouseTest, busy_service_makes_no_empty_commits) {
  submit();
  const std::size_t commits = ledger.commit_count();
  for (int i = 0; i < 100; ++i) keep_house();
  EXPECT_EQ(ledger.commit_count(), commits);
}

}  // namespace
}  // namespace trainyard::jobs
