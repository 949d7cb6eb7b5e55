#pragma once
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "store/testing/commit_and_wait.h"
#include "store/testing/ledger_batches.h"
#include "store/testing/server_process.h"

// What every ledger promises whose data lies in another server: that server is killed, and everything acknowledged is there.
namespace trainyard::store::testing {

/// A ledger over the server that runs, not yet recovered. Its connection must not count as idle and be replaced before a commit, however
/// slowly the test runs.
using OpenLedger = std::function<std::unique_ptr<JobLedger>()>;

inline void expect_recovered(const OpenLedger& open, std::uint64_t jobs) {
  const LedgerRecovery recovery = open()->recover().value();
  EXPECT_EQ(recovery.live_jobs.size(), jobs);
  EXPECT_EQ(recovery.idempotency.size(), jobs);
  EXPECT_EQ(recovery.last_event.value, jobs);
}

/// The server dies between commits.
inline void survive_death_between_commits(ServerProcess& server, const OpenLedger& open) {
  for (std::uint64_t round = 0; round < 3; ++round) {
    const std::unique_ptr<JobLedger> ledger = open();
    ASSERT_TRUE(ledger->recover().ok());
    for (std::uint64_t i = 0; i < 5; ++i) {
      ASSERT_TRUE(commit_and_wait(*ledger, batch_of_jobs(1 + round * 50 + i * 10, 10)).ok());
    }
    server.kill();
    const Result<void> failed = commit_and_wait(*ledger, batch_of_jobs(1 + (round + 1) * 50, 1));
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().id, "ledger.unavailable");
    EXPECT_FALSE(ledger->get(JobId(1)).ok());
    ASSERT_TRUE(server.restart().ok());
    EXPECT_FALSE(commit_and_wait(*ledger, {}).ok()) << "nothing after a failure";
    EXPECT_TRUE(ledger->get(JobId(1)).ok()) << "reads connect again";
    expect_recovered(open, (round + 1) * 50);
  }
}

/// The server dies while commit after commit is sent: what was acknowledged is there, and the last batch wholly or not at all.
inline void survive_death_amid_commits(ServerProcess& server, const OpenLedger& open) {
  constexpr std::uint64_t kBatch = 20;
  std::uint64_t known = 0;
  for (int round = 0; round < 4; ++round) {
    const std::unique_ptr<JobLedger> ledger = open();
    ASSERT_TRUE(ledger->recover().ok());
    std::atomic<std::uint64_t> acknowledged = known;
    std::jthread committing([&] {
      while (commit_and_wait(*ledger, batch_of_jobs(acknowledged + 1, kBatch, std::string(2000, 'b'))).ok()) acknowledged += kBatch;
    });
    while (acknowledged < known + 10 * kBatch) std::this_thread::yield();
    server.kill();
    committing.join();
    ASSERT_TRUE(server.restart().ok());
    known = open()->recover().value().live_jobs.size();
    EXPECT_TRUE(known == acknowledged || known == acknowledged + kBatch) << known << " of " << acknowledged;
    expect_recovered(open, known);
  }
}

}  // namespace trainyard::store::testing
