#include "adapters/sqlite/sqlite_job_ledger.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "adapters/sqlite/testing/temporary_ledger.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/rng.h"
#include "store/testing/commit_and_wait.h"

namespace trainyard::adapters::sqlite {
namespace {

using store::JobLedger;
using store::LedgerBatch;
using store::LedgerRecovery;
using store::testing::commit_and_wait;
using testing::TemporaryLedger;

LedgerBatch ledger_batch(std::uint64_t first, std::uint64_t count, const std::string& body = R"({"name":"train"})") {
  LedgerBatch batch;
  for (std::uint64_t id = first; id < first + count; ++id) {
    batch.jobs.push_back({JobId(id), true, time_from_micros(static_cast<std::int64_t>(id)), body});
    batch.events.push_back({EventNumber(id), JobId(id), time_from_micros(5), "submitted", body});
    batch.idempotency.push_back({"key-" + std::to_string(id), "print", JobId(id), time_from_micros(5)});
  }
  return batch;
}

/// All that can be read, as one text: equal texts are equal ledgers. The id of the error when something cannot be read.
std::string ledger_text(JobLedger& ledger) {
  std::string text;
  const Result<LedgerRecovery> recovery = ledger.recover();
  if (!recovery.ok()) return recovery.error().id;
  for (const auto& job : recovery->live_jobs) text += job.id.text() + ' ';
  for (const auto& key : recovery->idempotency) text += key.key + key.fingerprint + key.job.text() + std::to_string(micros(key.created_at));
  text += "last " + recovery->last_job.text() + ' ' + recovery->last_event.text();
  const auto jobs = ledger.list(JobId(), 1'000'000);
  if (!jobs.ok()) return jobs.error().id;
  for (const auto& job : *jobs) text += job.id.text() + (job.live ? "live" : "done") + std::to_string(micros(job.changed_at)) + job.body;
  const auto events = ledger.events(EventNumber(), JobId(), 1'000'000);
  if (!events.ok()) return events.error().id;
  for (const auto& event : *events) {
    text += event.number.text() + event.job.text() + event.type + std::to_string(micros(event.time)) + event.body;
    const auto of_job = ledger.events(EventNumber(), event.job, 10);
    if (!of_job.ok()) return of_job.error().id;
    text += std::to_string(of_job->size());
  }
  return text;
}

class SqliteJobLedgerTest : public ::testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(arm_failpoints("").ok()); }
  TemporaryLedger temporary_;
};

TEST_F(SqliteJobLedgerTest, file_is_private) {
  temporary_.reopen();
  struct stat info {};
  ASSERT_EQ(::stat(temporary_.path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(SqliteJobLedgerTest, next_commit_may_start_in_the_answer_to_the_last) {
  JobLedger& ledger = temporary_.reopen();
  std::promise<std::size_t> finished;
  std::function<void(std::uint64_t)> commit_from = [&](std::uint64_t id) {
    ledger.commit(ledger_batch(id, 1), [&, id](const Result<void>& result) {
      if (!result.ok() || id == 50) {
        finished.set_value(id);
      } else {
        commit_from(id + 1);
      }
    });
  };
  commit_from(1);
  EXPECT_EQ(finished.get_future().get(), 50u);
  EXPECT_EQ(temporary_.reopen().recover().value().live_jobs.size(), 50u);
}

TEST_F(SqliteJobLedgerTest, commit_that_waits_is_carried_out_before_the_ledger_ends) {
  std::atomic<int> answers = 0;
  temporary_.reopen().commit(ledger_batch(1, 1000), [&](const Result<void>& result) { answers += result.ok() ? 1 : 100; });
  temporary_.close();
  EXPECT_EQ(answers, 1);
  EXPECT_EQ(temporary_.reopen().recover().value().live_jobs.size(), 1000u);
}

TEST_F(SqliteJobLedgerTest, failed_commit_ends_all_later_ones) {
  JobLedger& ledger = temporary_.reopen();
  ASSERT_TRUE(commit_and_wait(ledger, ledger_batch(1, 1)).ok());
  ASSERT_TRUE(arm_failpoints("ledger.after_write_before_commit=disk_full").ok());
  const Result<void> failed = commit_and_wait(ledger, ledger_batch(2, 1));
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().id, "io.disk_full");
  const Result<void> later = commit_and_wait(ledger, ledger_batch(3, 1));
  ASSERT_FALSE(later.ok());
  EXPECT_EQ(later.error().category, Category::kResourceExhausted);
  EXPECT_EQ(ledger.list(JobId(), 1).value().front().id, JobId(1)) << "reads go on and show what is durable";
  EXPECT_EQ(ledger.recover().error().id, "io.disk_full");
  EXPECT_EQ(temporary_.reopen().recover().value().last_job, JobId(1));
}

TEST_F(SqliteJobLedgerTest, commit_that_fails_after_it_became_durable_ends_all_later_ones) {
  JobLedger& ledger = temporary_.reopen();
  ASSERT_TRUE(arm_failpoints("ledger.after_commit=io").ok());
  EXPECT_EQ(commit_and_wait(ledger, ledger_batch(1, 1)).error().id, "failpoint.injected");
  EXPECT_FALSE(commit_and_wait(ledger, ledger_batch(2, 1)).ok());
  EXPECT_EQ(temporary_.reopen().recover().value().last_job, JobId(1));
}

TEST_F(SqliteJobLedgerTest, event_number_given_twice_fails_the_whole_batch) {
  JobLedger& ledger = temporary_.reopen();
  ASSERT_TRUE(commit_and_wait(ledger, ledger_batch(1, 1)).ok());
  LedgerBatch again = ledger_batch(2, 1);
  again.events[0].number = EventNumber(1);
  EXPECT_FALSE(commit_and_wait(ledger, again).ok());
  EXPECT_EQ(temporary_.reopen().recover().value().last_job, JobId(1));
}

TEST_F(SqliteJobLedgerTest, log_is_moved_into_the_file_and_stays_short) {
  JobLedger& ledger = temporary_.reopen();
  for (std::uint64_t i = 0; i < 40; ++i) ASSERT_TRUE(commit_and_wait(ledger, ledger_batch(1 + i * 1000, 1000, std::string(300, 'b'))).ok());
  EXPECT_LT(file_size(temporary_.path() + "-wal").value(), 24u << 20) << "40 batches wrote about twice that";
  EXPECT_GT(file_size(temporary_.path()).value(), 16u << 20);
}

TEST_F(SqliteJobLedgerTest, read_only_ledger_shows_what_is_durable_and_takes_nothing) {
  JobLedger& ledger = temporary_.reopen();
  ASSERT_TRUE(commit_and_wait(ledger, ledger_batch(1, 3)).ok());
  // A file and a log as a killed process leaves them.
  TemporaryLedger crashed;
  ASSERT_TRUE(write_file_atomically(crashed.path(), read_file(temporary_.path()).value()).ok());
  const std::string log = read_file(temporary_.path() + "-wal").value();
  ASSERT_TRUE(write_file_atomically(crashed.path() + "-wal", log).ok());
  {
    auto reading = make_sqlite_job_ledger({.path = crashed.path(), .read_only = true});
    ASSERT_TRUE(reading.ok()) << reading.error().describe();
    const LedgerRecovery recovery = (*reading)->recover().value();
    EXPECT_EQ(recovery.live_jobs.size(), 3u);
    EXPECT_EQ(recovery.epoch, 1u) << "nothing is raised";
    EXPECT_EQ(commit_and_wait(**reading, ledger_batch(4, 1)).error().id, "ledger.read_only");
  }
  EXPECT_EQ(read_file(crashed.path() + "-wal").value(), log) << "nothing was written";
  EXPECT_FALSE(file_exists(crashed.path() + "-shm"));
  EXPECT_EQ(crashed.reopen().recover().value().live_jobs.size(), 3u);
  EXPECT_EQ(make_sqlite_job_ledger({.path = crashed.path() + "2", .read_only = true}).error().category, Category::kNotFound);
}

TEST_F(SqliteJobLedgerTest, file_of_a_newer_version_or_of_another_kind_is_refused) {
  temporary_.reopen();
  temporary_.close();
  std::string bytes = read_file(temporary_.path()).value();
  bytes[63] = 3;  // The last byte of user_version in the SQLite header.
  ASSERT_TRUE(write_file_atomically(temporary_.path(), bytes).ok());
  EXPECT_EQ(make_sqlite_job_ledger({.path = temporary_.path()}).error().id, "ledger.newer");
  bytes[71] = 1;  // The last byte of application_id.
  ASSERT_TRUE(write_file_atomically(temporary_.path(), bytes).ok());
  EXPECT_EQ(make_sqlite_job_ledger({.path = temporary_.path()}).error().id, "ledger.corrupt");
}

/// What version 1 of the format was, with a live job, a terminal one, an event and a key; the checksums are its own.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE jobs(id INTEGER PRIMARY KEY, live INTEGER NOT NULL, changed_at INTEGER NOT NULL, crc INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX jobs_live ON jobs(id) WHERE live = 1;
CREATE TABLE events(number INTEGER PRIMARY KEY, job INTEGER NOT NULL, time INTEGER NOT NULL, crc INTEGER NOT NULL, )sql"
                                  R"sql(type TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX events_job ON events(job);
CREATE TABLE idempotency(key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, job INTEGER NOT NULL, )sql"
                                  R"sql(created_at INTEGER NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA application_id=0x54594c47;
PRAGMA user_version=1;
INSERT INTO jobs VALUES(1, 1, 7, 2001680573, '{"name":"old"}'), (2, 0, 8, 1907487416, '{"name":"done"}');
INSERT INTO events VALUES(1, 1, 5, 308610919, 'submitted', '{}');
INSERT INTO idempotency VALUES('key', 'print', 1, 5, 1674087426);
)sql";

void make_version_1(const std::string& path) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, kVersion1, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
  sqlite3_close(database);
}

TEST_F(SqliteJobLedgerTest, file_of_version_1_is_brought_to_this_one_in_place) {
  make_version_1(temporary_.path());
  JobLedger& ledger = temporary_.reopen();
  EXPECT_EQ(ledger.get(JobId(1)).value().body, R"({"name":"old"})");
  EXPECT_FALSE(ledger.get(JobId(2)).value().live);
  ASSERT_TRUE(
      commit_and_wait(
          ledger, {{{JobId(3), true, time_from_micros(9), "{}"}}, {{EventNumber(2), JobId(3), time_from_micros(9), "submitted", "{}"}}, {}})
          .ok());
  temporary_.reopen();
  const LedgerRecovery recovery = temporary_.ledger().recover().value();
  EXPECT_EQ(recovery.live_jobs.size(), 2u);
  EXPECT_EQ(recovery.last_event, EventNumber(2));
  EXPECT_EQ(recovery.epoch, 3u);
  ASSERT_EQ(recovery.idempotency.size(), 1u);
  EXPECT_EQ(recovery.idempotency[0].key, "key");
}

TEST_F(SqliteJobLedgerTest, file_of_version_1_is_read_on_a_full_disk_as_it_is) {
  make_version_1(temporary_.path());
  auto reading = make_sqlite_job_ledger({.path = temporary_.path(), .read_only = true});
  ASSERT_TRUE(reading.ok()) << reading.error().describe();
  const LedgerRecovery recovery = (*reading)->recover().value();
  EXPECT_EQ(recovery.live_jobs.size(), 1u);
  EXPECT_EQ(recovery.epoch, 0u);
}

TEST_F(SqliteJobLedgerTest, file_of_version_1_with_other_tables_is_refused) {
  make_version_1(temporary_.path());
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(temporary_.path().c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, "CREATE TABLE more(x)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(database);
  EXPECT_EQ(make_sqlite_job_ledger({.path = temporary_.path()}).error().id, "ledger.corrupt");
}

TEST_F(SqliteJobLedgerTest, fresh_file_opened_by_several_at_once_is_made_once) {
  std::vector<std::jthread> openers;
  std::mutex mutex;
  std::set<std::uint64_t> epochs;
  for (int i = 0; i < 4; ++i) {
    openers.emplace_back([&] {
      auto ledger = make_sqlite_job_ledger({.path = temporary_.path()});
      ASSERT_TRUE(ledger.ok()) << ledger.error().describe();
      const auto recovery = (*ledger)->recover();
      ASSERT_TRUE(recovery.ok()) << recovery.error().describe();
      const std::lock_guard lock(mutex);
      epochs.insert(recovery->epoch);
    });
  }
  openers.clear();
  EXPECT_EQ(epochs, (std::set<std::uint64_t>{1, 2, 3, 4}));
}

TEST_F(SqliteJobLedgerTest, another_process_on_the_file_fences_this_one) {
  int pipe_ends[2] = {};
  ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    if (::read(pipe_ends[0], &byte, 1) != 1) ::_exit(1);
    auto other = make_sqlite_job_ledger({.path = temporary_.path()});
    if (!other.ok() || !(*other)->recover().ok()) ::_exit(2);
    ::_exit(commit_and_wait(**other, ledger_batch(2, 1)).ok() ? 0 : 3);
  }
  JobLedger& ledger = temporary_.reopen();
  ASSERT_TRUE(commit_and_wait(ledger, ledger_batch(1, 1)).ok());
  ASSERT_EQ(::write(pipe_ends[1], "g", 1), 1);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
  EXPECT_EQ(commit_and_wait(ledger, ledger_batch(2, 1)).error().id, "ledger.fenced");
  EXPECT_EQ(ledger.get(JobId(2)).value().body, ledger_batch(2, 1).jobs[0].body) << "what the other process committed";
}

/// Runs commits in a child process that dies at a failpoint; returns how many were acknowledged.
std::uint64_t commit_until_death(const std::string& path, const std::string& failpoint, std::uint64_t batches) {
  int pipe_ends[2] = {};
  EXPECT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto ledger = make_sqlite_job_ledger({.path = path, .checkpoint_pages = 20});
    if (!ledger.ok() || !(*ledger)->recover().ok() || !arm_failpoints(failpoint).ok()) ::_exit(1);
    for (std::uint64_t i = 0; i < batches; ++i) {
      if (!commit_and_wait(**ledger, ledger_batch(1 + i * 10, 10)).ok()) ::_exit(2);
      if (::write(pipe_ends[1], "a", 1) != 1) ::_exit(3);
    }
    ::_exit(0);
  }
  ::close(pipe_ends[1]);
  std::uint64_t acknowledged = 0;
  char byte = 0;
  while (::read(pipe_ends[0], &byte, 1) == 1) ++acknowledged;
  ::close(pipe_ends[0]);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 137) << status;
  return acknowledged;
}

TEST_F(SqliteJobLedgerTest, death_at_any_failpoint_loses_no_acknowledged_commit_and_tears_none) {
  for (const char* point : {"ledger.before_commit", "ledger.after_write_before_commit", "ledger.after_commit"}) {
    for (const int hit : {1, 2, 7, 20}) {
      TemporaryLedger crashed;
      const std::uint64_t acknowledged = commit_until_death(crashed.path(), std::string(point) + "=exit@" + std::to_string(hit), 30);
      EXPECT_EQ(acknowledged, static_cast<std::uint64_t>(hit) - 1);
      const LedgerRecovery recovery = crashed.reopen().recover().value();
      const std::uint64_t durable = std::string(point) == "ledger.after_commit" ? acknowledged + 1 : acknowledged;
      EXPECT_EQ(recovery.live_jobs.size(), durable * 10) << point << " hit " << hit;
      EXPECT_EQ(recovery.idempotency.size(), durable * 10);
      EXPECT_EQ(recovery.last_job, JobId(durable * 10));
      EXPECT_EQ(recovery.last_event, EventNumber(durable * 10));
    }
  }
}

/// A ledger that a killed process left: a file with checkpointed batches and a log with later ones.
class DamagedLedgerTest : public SqliteJobLedgerTest {
 protected:
  void SetUp() override {
    JobLedger& ledger = temporary_.reopen();
    for (std::uint64_t i = 0; i < 6; ++i) ASSERT_TRUE(commit_and_wait(ledger, ledger_batch(1 + i * 40, 40, std::string(150, 'b'))).ok());
    LedgerBatch finished;
    for (std::uint64_t id = 1; id < 100; id += 2) finished.jobs.push_back({JobId(id), false, time_from_micros(9), "finished"});
    ASSERT_TRUE(commit_and_wait(ledger, finished).ok());
    temporary_.close();
    clean_ = read_file(temporary_.path()).value();
    text_ = ledger_text(temporary_.reopen());
    ASSERT_GT(text_.size(), 10'000u);
    temporary_.close();
  }
  /// What a ledger over these bytes tells.
  std::string text_of(const std::string& file, const std::string& log) {
    TemporaryLedger damaged;
    EXPECT_TRUE(write_file_atomically(damaged.path(), file).ok());
    if (!log.empty()) {
      EXPECT_TRUE(write_file_atomically(damaged.path() + "-wal", log).ok());
    }
    auto ledger = make_sqlite_job_ledger({.path = damaged.path()});
    return ledger.ok() ? ledger_text(**ledger) : ledger.error().id;
  }
  std::string clean_;
  std::string text_;
};

TEST_F(DamagedLedgerTest, flip_of_a_bit_in_the_file_is_found_or_harmless) {
  constexpr std::uint64_t kSeed = 20260117;
  SeededRng rng(kSeed);
  int found = 0;
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t bit = rng.below(clean_.size() * 8);
    std::string bytes = clean_;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    const std::string text = text_of(bytes, "");
    if (text == text_) continue;
    EXPECT_TRUE(text == "ledger.corrupt" || text == "ledger.newer") << "seed " << kSeed << " bit " << bit << ": " << text.substr(0, 100);
    ++found;
  }
  EXPECT_GT(found, 100) << "most of the file is data";
}

TEST_F(DamagedLedgerTest, file_cut_anywhere_is_found) {
  for (std::size_t size = 1; size < clean_.size(); size += clean_.size() / 37) {
    EXPECT_EQ(text_of(clean_.substr(0, size), ""), "ledger.corrupt") << size;
  }
}

TEST_F(DamagedLedgerTest, cut_log_recovers_a_prefix_of_the_commits) {
  JobLedger& ledger = temporary_.reopen();
  std::vector<std::string> states{ledger_text(ledger)};
  for (std::uint64_t first = 241; first < 261; first += 5) {
    ASSERT_TRUE(commit_and_wait(ledger, ledger_batch(first, 5)).ok());
    states.push_back(ledger_text(ledger));
  }
  const std::string log = read_file(temporary_.path() + "-wal").value();
  std::size_t last_state = 0;
  for (std::size_t size = 0; size <= log.size(); size += 2000) {
    const std::string text = text_of(clean_, log.substr(0, size));
    const auto state = static_cast<std::size_t>(std::find(states.begin(), states.end(), text) - states.begin());
    ASSERT_LT(state, states.size()) << "cut at " << size << ": " << text.substr(0, 100);
    EXPECT_GE(state, last_state) << "a longer log never holds less";
    last_state = state;
  }
  EXPECT_EQ(text_of(clean_, log), states.back());
}

TEST_F(DamagedLedgerTest, flip_of_a_bit_in_the_log_is_found_or_costs_the_last_commit_alone) {
  JobLedger& ledger = temporary_.reopen();
  for (std::uint64_t first = 241; first < 261; first += 5) ASSERT_TRUE(commit_and_wait(ledger, ledger_batch(first, 5)).ok());
  const std::string before_last = ledger_text(ledger);
  ASSERT_TRUE(commit_and_wait(ledger, ledger_batch(261, 5)).ok());
  const std::string log = read_file(temporary_.path() + "-wal").value();
  const std::string all = ledger_text(ledger);
  constexpr std::uint64_t kSeed = 20260118;
  SeededRng rng(kSeed);
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t bit = rng.below(log.size() * 8);
    std::string bytes = log;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    const std::string text = text_of(clean_, bytes);
    EXPECT_TRUE(text == all || text == before_last || text == "ledger.corrupt")
        << "seed " << kSeed << " bit " << bit << ": " << text.substr(0, 100);
  }
}

}  // namespace
}  // namespace trainyard::adapters::sqlite
