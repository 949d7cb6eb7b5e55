#include "adapters/postgres/postgres_job_ledger.h"

#include <gtest/gtest.h>

#include <thread>

#include "adapters/postgres/testing/tell.h"
#include "base/failpoint.h"
#include "store/testing/commit_and_wait.h"
#include "store/testing/ledger_batches.h"
#include "store/testing/ledger_server_death.h"
#include "store/testing/server_process.h"

namespace trainyard::adapters::postgres {
namespace {

using store::JobLedger;
using store::LedgerRecovery;
using store::testing::batch_of_jobs;
using store::testing::commit_and_wait;
using store::testing::ServerProcess;
using testing::tell;

constexpr Duration kNeverIdle = std::chrono::hours(1);

std::unique_ptr<JobLedger> recovered(const PostgresJobLedgerSettings& settings) {
  std::unique_ptr<JobLedger> ledger = make_postgres_job_ledger(settings).value();
  ledger->recover().value();
  return ledger;
}

/// Tests that kill or stop a server of their own.
class PostgresServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    TRAINYARD_SKIP_WITHOUT_SERVERS();
    Result<std::unique_ptr<ServerProcess>> server = ServerProcess::start_postgres();
    TRAINYARD_REQUIRE_SERVER(server);
    server_ = std::move(server).value();
  }
  std::string url() const { return server_->url(); }

  std::unique_ptr<ServerProcess> server_;
};

TEST_F(PostgresServerTest, acknowledged_batches_survive_the_death_of_the_server_between_commits) {
  store::testing::survive_death_between_commits(
      *server_, [this] { return make_postgres_job_ledger({.url = url(), .idle_check = kNeverIdle}).value(); });
}

TEST_F(PostgresServerTest, death_of_the_server_amid_commits_loses_no_acknowledged_batch_and_tears_none) {
  store::testing::survive_death_amid_commits(*server_,
                                             [this] { return make_postgres_job_ledger({.url = url(), .idle_check = kNeverIdle}).value(); });
}

TEST_F(PostgresServerTest, server_that_does_not_sync_is_refused_with_the_setting) {
  tell(url(), "ALTER SYSTEM SET fsync = off");
  tell(url(), "SELECT pg_reload_conf()");
  while (tell(url(), "SHOW fsync") == "on") std::this_thread::yield();
  const auto refused = make_postgres_job_ledger({.url = url()});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().id, "ledger.unsafe_settings");
  EXPECT_NE(refused.error().message.find("`fsync` must be on"), std::string::npos) << refused.error().describe();
  EXPECT_TRUE(make_postgres_job_ledger({.url = url() + "?unchecked=1"}).ok());
}

TEST_F(PostgresServerTest, commits_are_synced_whatever_the_default_of_the_role_is) {
  tell(url(), "ALTER ROLE postgres SET synchronous_commit = off");
  EXPECT_EQ(tell(url(), "SHOW synchronous_commit"), "on") << "every session of ours sets it";
}

TEST_F(PostgresServerTest, commit_without_an_answer_in_time_has_failed_and_ends_the_ledger) {
  const auto ledger = recovered({.url = url(), .commit_timeout = std::chrono::milliseconds(500)});
  ASSERT_TRUE(commit_and_wait(*ledger, batch_of_jobs(1, 1)).ok());
  // Another session holds what the commit needs.
  std::jthread holding([this] { tell(url(), "BEGIN; LOCK TABLE trainyard.ledger_jobs IN EXCLUSIVE MODE; SELECT pg_sleep(2); COMMIT"); });
  while (tell(url(), "SELECT count(*) FROM pg_locks WHERE mode = 'ExclusiveLock' AND relation = 'trainyard.ledger_jobs'::regclass") ==
         "0") {
    std::this_thread::yield();
  }
  const Result<void> unknown = commit_and_wait(*ledger, batch_of_jobs(2, 1));
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().id, "ledger.unavailable");
  EXPECT_FALSE(commit_and_wait(*ledger, {}).ok());
}

/// Over the shared server, in a schema of the test's own.
class PostgresJobLedgerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    TRAINYARD_REQUIRE_SERVER(store::testing::shared_postgres());
    server_url_ = store::testing::shared_postgres().value()->url();
    schema_ = store::testing::unused_name();
    url_ = server_url_ + "?schema=" + schema_;
  }
  void TearDown() override { ASSERT_TRUE(arm_failpoints("").ok()); }
  std::string recovery_error() const {
    const auto ledger = make_postgres_job_ledger({.url = url_});
    if (!ledger.ok()) return ledger.error().id;
    const auto recovery = (*ledger)->recover();
    return recovery.ok() ? "ok" : recovery.error().id;
  }

  std::string server_url_;
  std::string schema_;
  std::string url_;
};

TEST_F(PostgresJobLedgerTest, holder_that_stopped_amid_a_commit_is_overtaken) {
  const auto first = recovered({.url = url_});
  ASSERT_TRUE(commit_and_wait(*first, batch_of_jobs(1, 1)).ok());
  // A holder that began a commit and then froze: its session keeps the epoch locked.
  internal::Session frozen({.url = internal::parse_postgres_url(url_).value(),
                            .connect_timeout = std::chrono::seconds(5),
                            .starting_timeout = std::chrono::seconds(5),
                            .answer_timeout = std::chrono::seconds(60),
                            .statement_timeout = Duration(0),
                            .lock_timeout = Duration(0),
                            .idle_transaction_timeout = Duration(0)});
  ASSERT_TRUE(frozen.connect().ok());
  ASSERT_TRUE(frozen
                  .run("UPDATE ledger_holder SET session = pg_backend_pid(), session_started = "
                       "(SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())")
                  .ok());
  ASSERT_TRUE(frozen.run("BEGIN; SELECT 1 FROM ledger_holder FOR SHARE; INSERT INTO ledger_jobs VALUES(2, 1, 1, 1, '')").ok());

  const auto second = make_postgres_job_ledger({.url = url_, .takeover_timeout = std::chrono::milliseconds(200)}).value();
  const Result<LedgerRecovery> taken = second->recover();
  ASSERT_TRUE(taken.ok()) << taken.error().describe();
  EXPECT_EQ(taken->last_job, JobId(1));
  EXPECT_TRUE(commit_and_wait(*second, batch_of_jobs(2, 1)).ok());
  EXPECT_FALSE(frozen.run("COMMIT").ok()) << "its connection was ended";
  EXPECT_EQ(commit_and_wait(*first, {}).error().id, "ledger.fenced");
}

TEST_F(PostgresJobLedgerTest, stranger_that_holds_the_lock_delays_a_takeover_no_longer_than_its_deadline) {
  recovered({.url = url_});
  std::jthread holding([this] { tell(url_, "BEGIN; SELECT 1 FROM ledger_holder FOR SHARE; SELECT pg_sleep(2); COMMIT"); });
  while (tell(url_, "SELECT count(*) FROM pg_locks WHERE relation = 'ledger_holder'::regclass") == "0") std::this_thread::yield();
  const auto ledger = make_postgres_job_ledger({.url = url_, .takeover_timeout = std::chrono::milliseconds(100)}).value();
  EXPECT_EQ(ledger->recover().error().id, "ledger.unavailable");
}

TEST_F(PostgresJobLedgerTest, connection_that_the_server_closed_is_replaced_before_a_commit) {
  const auto ledger = recovered({.url = url_, .idle_check = Duration(0)});
  ASSERT_TRUE(commit_and_wait(*ledger, batch_of_jobs(1, 1)).ok());
  EXPECT_TRUE(ledger->get(JobId(1)).ok());
  tell(url_,
       "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'trainyard' AND pid <> pg_backend_pid() AND "
       "query LIKE '%'");
  const Result<void> done = commit_and_wait(*ledger, batch_of_jobs(2, 1));
  EXPECT_TRUE(done.ok()) << done.error().describe();
  EXPECT_TRUE(ledger->get(JobId(2)).ok());
  EXPECT_EQ(recovery_error(), "ok");
  EXPECT_EQ(commit_and_wait(*ledger, {}).error().id, "ledger.fenced");
}

TEST_F(PostgresJobLedgerTest, failpoint_before_and_after_the_commit_ends_the_ledger) {
  struct Case {
    const char* failpoint;
    std::uint64_t durable;
  };
  std::uint64_t known = 0;
  for (const Case& one : {Case{"ledger.before_commit=io", 0}, Case{"ledger.after_commit=io", 1}}) {
    const auto ledger = recovered({.url = url_});
    ASSERT_TRUE(arm_failpoints(one.failpoint).ok());
    EXPECT_EQ(commit_and_wait(*ledger, batch_of_jobs(known + 1, 1)).error().id, "failpoint.injected");
    ASSERT_TRUE(arm_failpoints("").ok());
    EXPECT_FALSE(commit_and_wait(*ledger, {}).ok());
    known += one.durable;
    EXPECT_EQ(recovered({.url = url_})->list(JobId(), 10).value().size(), known) << one.failpoint;
  }
}

TEST_F(PostgresJobLedgerTest, row_that_was_changed_or_is_gone_is_found) {
  ASSERT_TRUE(commit_and_wait(*recovered({.url = url_}), batch_of_jobs(1, 5)).ok());
  tell(url_, "UPDATE ledger_jobs SET body = 'damaged' WHERE id = 3");
  EXPECT_EQ(recovery_error(), "ledger.corrupt");
  const auto ledger = make_postgres_job_ledger({.url = url_}).value();
  EXPECT_EQ(ledger->get(JobId(3)).error().id, "ledger.corrupt");
  EXPECT_EQ(ledger->list(JobId(), 10).error().id, "ledger.corrupt");
  EXPECT_TRUE(ledger->get(JobId(2)).ok());
  tell(url_, "DELETE FROM ledger_events WHERE number = 3");
  EXPECT_EQ(ledger->events(EventNumber(), JobId(), 10).error().id, "ledger.corrupt");
}

TEST_F(PostgresJobLedgerTest, epoch_that_was_changed_or_is_gone_is_found) {
  recovered({.url = url_});
  tell(url_, "UPDATE ledger_holder SET epoch = 77");
  EXPECT_EQ(recovery_error(), "ledger.corrupt");
  tell(url_, "DELETE FROM ledger_holder");
  EXPECT_EQ(recovery_error(), "ledger.corrupt");
}

TEST_F(PostgresJobLedgerTest, tables_that_are_gone_fail_the_commit) {
  const auto ledger = recovered({.url = url_});
  tell(url_, "DROP TABLE ledger_jobs");
  EXPECT_EQ(commit_and_wait(*ledger, batch_of_jobs(1, 1)).error().id, "ledger.corrupt");
}

TEST_F(PostgresJobLedgerTest, ledger_of_a_newer_format_is_refused) {
  recovered({.url = url_});
  tell(url_, "UPDATE ledger_holder SET version = 2");
  EXPECT_EQ(recovery_error(), "ledger.newer");
}

TEST_F(PostgresJobLedgerTest, password_stays_out_of_errors) {
  tell(server_url_,
       "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'weak') THEN CREATE ROLE weak LOGIN PASSWORD 's3cret'; "
       "END IF; END $$");
  std::string weak = url_;
  weak.replace(weak.find("postgres@"), 9, "weak:s3cret@");
  // The role may connect, but not make a schema.
  const auto refused = make_postgres_job_ledger({.url = weak});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().id, "ledger.access");
  EXPECT_EQ(refused.error().describe().find("s3cret"), std::string::npos) << refused.error().describe();
  const auto absent = make_postgres_job_ledger({.url = "postgresql://me:s3cret@127.0.0.1:1/d?sslpassword=s3cret"});
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().id, "ledger.unavailable");
  EXPECT_EQ(absent.error().describe().find("s3cret"), std::string::npos) << absent.error().describe();
  EXPECT_NE(absent.error().describe().find("127.0.0.1"), std::string::npos);
}

TEST(PostgresJobLedger, url_of_another_kind_or_with_unknown_options_is_refused) {
  for (const char* url : {"sqlite:///a/b", "redis://h/0", "postgresql://h/d?nonsense=1", "postgresql://h/d?schema=",
                          "postgresql://h/d?schema=A;B", "postgresql://h/d?schema=pg_x", "postgresql://h/d?unchecked=yes", "no url"}) {
    EXPECT_EQ(make_postgres_job_ledger({.url = url}).error().id, "state.url") << url;
  }
}

}  // namespace
}  // namespace trainyard::adapters::postgres
