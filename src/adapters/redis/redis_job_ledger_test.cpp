#include "adapters/redis/redis_job_ledger.h"

#include <gtest/gtest.h>


#include "adapters/redis/internal/connection.h"
#include "store/testing/commit_and_wait.h"
#include "store/testing/ledger_batches.h"
#include "store/testing/ledger_server_death.h"
#include "store/testing/server_process.h"

namespace trainyard::adapters::redis {
namespace {

using store::JobLedger;
using store::LedgerRecovery;
using store::testing::batch_of_jobs;
using store::testing::commit_and_wait;
using store::testing::ServerProcess;

using Words = std::vector<std::string_view>;

constexpr Duration kNeverIdle = std::chrono::hours(1);

std::unique_ptr<JobLedger> recovered(const RedisJobLedgerSettings& settings) {
  std::unique_ptr<JobLedger> ledger = make_redis_job_ledger(settings).value();
  ledger->recover().value();
  return ledger;
}

/// Talks to a server past the ledger.
void tell(const ServerProcess& server, const Words& words) {
  internal::Connection connection(store::parse_state_url(server.url()).value(),
                                  {std::chrono::seconds(5), std::chrono::seconds(60), std::chrono::seconds(10)});
  const Result<internal::Reply> reply = connection.command(words);
  ASSERT_TRUE(reply.ok()) << reply.error().describe();
}

/// Tests that kill, stop or change a server of their own.
class RedisServerTest : public ::testing::Test {
 protected:
  void SetUp() override { start({}); }
  void start(std::vector<std::string> options) {
    TRAINYARD_SKIP_WITHOUT_SERVERS();
    server_.reset();
    Result<std::unique_ptr<ServerProcess>> server = ServerProcess::start_redis(std::move(options));
    TRAINYARD_REQUIRE_SERVER(server);
    server_ = std::move(server).value();
  }
  std::string url(const std::string& options = "") const { return server_->url() + options; }

  std::unique_ptr<ServerProcess> server_;
};

TEST_F(RedisServerTest, acknowledged_batches_survive_the_death_of_the_server_between_commits) {
  store::testing::survive_death_between_commits(*server_,
                                                [this] { return make_redis_job_ledger({.url = url(), .idle_check = kNeverIdle}).value(); });
}

TEST_F(RedisServerTest, death_of_the_server_amid_commits_loses_no_acknowledged_batch_and_tears_none) {
  store::testing::survive_death_amid_commits(*server_,
                                             [this] { return make_redis_job_ledger({.url = url(), .idle_check = kNeverIdle}).value(); });
}

TEST_F(RedisServerTest, server_that_would_lose_commits_is_refused_with_the_setting) {
  const auto refusal = [this](const char* name, const char* value) {
    tell(*server_, {"CONFIG", "SET", name, value});
    const auto ledger = make_redis_job_ledger({.url = url()});
    EXPECT_EQ(ledger.error().id, "ledger.unsafe_settings");
    EXPECT_TRUE(make_redis_job_ledger({.url = url("?unchecked=1")}).ok());
    return ledger.error().message;
  };
  EXPECT_NE(refusal("appendfsync", "everysec").find("`appendfsync always`"), std::string::npos);
  tell(*server_, {"CONFIG", "SET", "appendfsync", "always"});
  EXPECT_NE(refusal("no-appendfsync-on-rewrite", "yes").find("`no-appendfsync-on-rewrite no`"), std::string::npos);
  tell(*server_, {"CONFIG", "SET", "no-appendfsync-on-rewrite", "no"});
  tell(*server_, {"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  EXPECT_TRUE(make_redis_job_ledger({.url = url()}).ok()) << "without a limit nothing is dropped";
  EXPECT_NE(refusal("maxmemory", "100mb").find("`maxmemory-policy noeviction`"), std::string::npos);
  tell(*server_, {"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_NE(refusal("appendonly", "no").find("`appendonly yes`"), std::string::npos);
}

TEST_F(RedisServerTest, server_that_hides_its_settings_is_refused_unless_told) {
  start({"--rename-command", "CONFIG", ""});
  const auto ledger = make_redis_job_ledger({.url = url()});
  ASSERT_FALSE(ledger.ok());
  EXPECT_EQ(ledger.error().id, "ledger.unsafe_settings");
  EXPECT_NE(ledger.error().message.find("unchecked=1"), std::string::npos);
  EXPECT_TRUE(make_redis_job_ledger({.url = url("?unchecked=1")}).ok());
}

TEST_F(RedisServerTest, password_opens_the_ledger_and_stays_out_of_errors) {
  tell(*server_, {"CONFIG", "SET", "requirepass", "s3cret-word"});
  const std::string place = "127.0.0.1:" + std::to_string(server_->port()) + "/0";
  for (const std::string& wrong : {"redis://" + place, "redis://:not-s3cret@" + place, "redis://someone:s3cret-word@" + place}) {
    const auto refused = make_redis_job_ledger({.url = wrong});
    ASSERT_FALSE(refused.ok()) << wrong;
    EXPECT_EQ(refused.error().id, "ledger.access");
    EXPECT_EQ(refused.error().describe().find("s3cret"), std::string::npos) << refused.error().describe();
  }
  const auto ledger = recovered({.url = "redis://:s3cret-word@" + place});
  EXPECT_TRUE(commit_and_wait(*ledger, batch_of_jobs(1, 1)).ok());
  server_->kill();
  const Result<void> lost = commit_and_wait(*ledger, batch_of_jobs(2, 1));
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().describe().find("s3cret"), std::string::npos);
  EXPECT_NE(lost.error().describe().find(place), std::string::npos) << "but it says which server";
}

TEST_F(RedisServerTest, server_that_loads_its_data_is_waited_for_up_to_a_deadline) {
  {
    const auto ledger = recovered({.url = url()});
    for (std::uint64_t i = 0; i < 40; ++i) ASSERT_TRUE(commit_and_wait(*ledger, batch_of_jobs(1 + i * 100, 100)).ok());
  }
  server_->kill();
  // Each command of the log takes this many microseconds more. While it loads, the server answers after every 1,024th.
  ASSERT_TRUE(server_->restart_until_listening({"--key-load-delay", "300"}).ok());
  const auto hasty = make_redis_job_ledger({.url = url(), .loading_timeout = Duration(1)});
  ASSERT_FALSE(hasty.ok());
  EXPECT_NE(hasty.error().message.find("loads its data"), std::string::npos) << hasty.error().describe();
  const auto ledger = make_redis_job_ledger({.url = url()});
  ASSERT_TRUE(ledger.ok()) << ledger.error().describe();
  EXPECT_EQ((*ledger)->recover().value().live_jobs.size(), 4000u);
}

TEST_F(RedisServerTest, commit_without_an_answer_in_time_has_failed_and_ends_the_ledger) {
  const auto ledger = recovered({.url = url(), .commit_timeout = std::chrono::milliseconds(200)});
  ASSERT_TRUE(commit_and_wait(*ledger, batch_of_jobs(1, 1)).ok());
  server_->stop_running();
  const Result<void> unknown = commit_and_wait(*ledger, batch_of_jobs(2, 1));
  server_->go_on();
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().id, "ledger.unavailable");
  EXPECT_FALSE(commit_and_wait(*ledger, {}).ok());
  const std::uint64_t durable = make_redis_job_ledger({.url = url()}).value()->recover().value().last_job.value;
  EXPECT_TRUE(durable == 1 || durable == 2) << durable;
}

TEST_F(RedisServerTest, idle_connection_that_the_server_closed_is_replaced_before_a_commit) {
  const auto ledger = recovered({.url = url(), .idle_check = Duration(0)});
  ASSERT_TRUE(commit_and_wait(*ledger, batch_of_jobs(1, 1)).ok());
  tell(*server_, {"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  const Result<void> done = commit_and_wait(*ledger, batch_of_jobs(2, 1));
  EXPECT_TRUE(done.ok()) << done.error().describe();
  EXPECT_TRUE(ledger->get(JobId(2)).ok());
}

TEST_F(RedisServerTest, scripts_that_the_server_forgot_are_sent_again) {
  const auto ledger = recovered({.url = url()});
  ASSERT_TRUE(commit_and_wait(*ledger, batch_of_jobs(1, 1)).ok());
  tell(*server_, {"SCRIPT", "FLUSH"});
  EXPECT_TRUE(commit_and_wait(*ledger, batch_of_jobs(2, 1)).ok());
  EXPECT_EQ(make_redis_job_ledger({.url = url()}).value()->recover().value().live_jobs.size(), 2u);
}

TEST_F(RedisServerTest, full_memory_fails_the_whole_commit) {
  const auto ledger = recovered({.url = url()});
  ASSERT_TRUE(commit_and_wait(*ledger, batch_of_jobs(1, 1)).ok());
  tell(*server_, {"CONFIG", "SET", "maxmemory", "1"});
  const Result<void> full = commit_and_wait(*ledger, batch_of_jobs(2, 5));
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().id, "ledger.memory_full");
  tell(*server_, {"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_EQ(make_redis_job_ledger({.url = url()}).value()->recover().value().last_event, EventNumber(1));
}

TEST_F(RedisServerTest, ledgers_of_different_names_and_databases_keep_apart) {
  for (const std::string& place : {url("?name=a"), url("?name=b"), server_->url().substr(0, server_->url().size() - 1) + "1?name=a"}) {
    const auto ledger = recovered({.url = place});
    EXPECT_EQ(ledger->list(JobId(), 10).value().size(), 0u) << place;
    EXPECT_TRUE(commit_and_wait(*ledger, batch_of_jobs(1, 3)).ok());
  }
}

/// What was changed behind the ledger's back.
class DamagedRedisLedgerTest : public RedisServerTest {
 protected:
  void SetUp() override {
    RedisServerTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const auto ledger = recovered({.url = url()});
    ASSERT_TRUE(commit_and_wait(*ledger, batch_of_jobs(1, 5)).ok());
  }
  std::unique_ptr<JobLedger> opened() { return make_redis_job_ledger({.url = url()}).value(); }
  std::string recovery_after(const Words& damage) {
    tell(*server_, damage);
    const Result<LedgerRecovery> recovery = opened()->recover();
    return recovery.ok() ? "ok" : recovery.error().id;
  }
};

TEST_F(DamagedRedisLedgerTest, record_of_a_job_that_was_changed_is_found) {
  EXPECT_EQ(recovery_after({"HSET", "trainyard:{main}:jobs", "3", "damaged"}), "ledger.corrupt");
  EXPECT_EQ(opened()->get(JobId(3)).error().id, "ledger.corrupt");
  EXPECT_EQ(opened()->list(JobId(), 10).error().id, "ledger.corrupt");
  EXPECT_TRUE(opened()->get(JobId(2)).ok());
}

TEST_F(DamagedRedisLedgerTest, record_of_another_job_in_its_place_is_found) {
  tell(*server_, {"EVAL", "redis.call('HSET', KEYS[1], '3', redis.call('HGET', KEYS[1], '2'))", "1", "trainyard:{main}:jobs"});
  EXPECT_EQ(opened()->get(JobId(3)).error().id, "ledger.corrupt");
}

TEST_F(DamagedRedisLedgerTest, live_job_that_is_gone_is_found) {
  EXPECT_EQ(recovery_after({"HDEL", "trainyard:{main}:jobs", "3"}), "ledger.corrupt");
}

TEST_F(DamagedRedisLedgerTest, idempotency_key_that_is_gone_is_found) {
  EXPECT_EQ(recovery_after({"HDEL", "trainyard:{main}:keys", "key-2"}), "ledger.corrupt");
}

TEST_F(DamagedRedisLedgerTest, event_that_is_gone_is_found) {
  EXPECT_EQ(recovery_after({"XDEL", "trainyard:{main}:events", "3-0"}), "ok") << "recovery looks at the newest alone";
  EXPECT_EQ(opened()->events(EventNumber(), JobId(), 10).error().id, "ledger.corrupt");
  EXPECT_EQ(opened()->events(EventNumber(), JobId(3), 10).error().id, "ledger.corrupt");
  EXPECT_EQ(recovery_after({"XDEL", "trainyard:{main}:events", "5-0"}), "ledger.corrupt");
}

TEST_F(DamagedRedisLedgerTest, meta_record_that_is_gone_is_found) {
  EXPECT_EQ(recovery_after({"DEL", "trainyard:{main}:meta"}), "ledger.corrupt");
}

TEST_F(DamagedRedisLedgerTest, ledger_of_a_newer_format_is_refused) {
  EXPECT_EQ(recovery_after({"HSET", "trainyard:{main}:meta", "format", "2"}), "ledger.newer");
}

TEST_F(DamagedRedisLedgerTest, data_that_was_flushed_fences_the_holder) {
  const auto ledger = recovered({.url = url()});
  tell(*server_, {"FLUSHALL"});
  EXPECT_EQ(commit_and_wait(*ledger, {}).error().id, "ledger.fenced");
}

TEST(RedisJobLedger, url_of_another_kind_or_with_unknown_options_is_refused) {
  for (const char* url : {"sqlite:///a/b", "postgresql://h/d", "redis://h/0?nam=x", "redis://h/0?name=", "redis://h/0?name=a:b",
                          "redis://h/0?unchecked=yes", "no url"}) {
    EXPECT_EQ(make_redis_job_ledger({.url = url}).error().id, "state.url") << url;
  }
}

TEST(RedisJobLedger, server_that_is_not_there_is_unavailable) {
  const auto ledger = make_redis_job_ledger({.url = "redis://:hidden@127.0.0.1:1/0"});
  EXPECT_EQ(ledger.error().id, "ledger.unavailable");
  EXPECT_EQ(ledger.error().describe().find("hidden"), std::string::npos);
}

}  // namespace
}  // namespace trainyard::adapters::redis
