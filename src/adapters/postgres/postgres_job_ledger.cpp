#include "adapters/postgres/postgres_job_ledger.h"

#include <fmt/format.h>

#include <mutex>

#include "adapters/postgres/internal/ledger_tables.h"
#include "adapters/postgres/internal/session.h"
#include "base/failpoint.h"
#include "store/ledger_rules.h"
#include "store/ledger_writer.h"

namespace trainyard::adapters::postgres {
namespace {

using internal::PgResult;
using internal::Session;
using internal::SessionSettings;

/// The errors of a session in the words of the JobLedger port.
Error ledger_error(Error error) {
  if (error.id == "db.unavailable") error.id = "ledger.unavailable";
  if (error.id == "db.access") error.id = "ledger.access";
  if (error.id == "db.corrupt") error.id = "ledger.corrupt";
  if (error.id == "db.unsafe_settings") error.id = "ledger.unsafe_settings";
  // The statements are fixed: that one does not fit the tables, or a number is there twice, says that they are damaged.
  if (error.id == "db.sql" || error.id == "db.unique" || error.id == "db.constraint") {
    error = data_loss("ledger.corrupt", "the ledger's tables are damaged, restore them from a backup: " + error.message);
  }
  return error;
}

template <typename T>
Result<T> as_ledger(Result<T> result) {
  if (!result.ok()) return ledger_error(std::move(result).error());
  return result;
}

class PostgresJobLedger final : public store::JobLedger {
 public:
  struct Sessions {
    std::unique_ptr<Session> writing;
    std::unique_ptr<Session> reading;
  };

  PostgresJobLedger(Sessions sessions, const PostgresJobLedgerSettings& settings)
      : settings_(settings),
        writing_(std::move(sessions.writing)),
        reading_(std::move(sessions.reading)),
        writer_({.take_over = [this] { return as_ledger(take_over()); },
                 .write = [this](const store::LedgerBatch& batch, std::uint64_t epoch) { return as_ledger(write(batch, epoch)); },
                 .after_answer = {}}) {}

  Result<store::LedgerRecovery> recover() override { return writer_.recover(); }
  void commit(store::LedgerBatch batch, Committed done) override { writer_.commit(std::move(batch), std::move(done)); }

  Result<std::vector<store::JobRecord>> list(JobId before, std::size_t limit) override {
    return read([&](Session& session) { return internal::read_jobs(session, before, limit); });
  }
  Result<store::JobRecord> get(JobId id) override {
    return read([&](Session& session) { return internal::read_job(session, id); });
  }
  Result<std::vector<store::EventRecord>> events(EventNumber after, JobId job, std::size_t limit) override {
    return read([&](Session& session) { return internal::read_events(session, after, job, limit); });
  }

 private:
  /// Runs `work`, once more over a new connection when the old one was lost.
  template <typename Work>
  auto read(const Work& work) -> decltype(work(std::declval<Session&>())) {
    const std::lock_guard lock(reading_mutex_);
    const bool fresh = !reading_->connected();
    TRY(as_ledger(connect_reading()));
    auto result = work(*reading_);
    if (!fresh && !reading_->connected()) {
      TRY(as_ledger(connect_reading()));
      result = work(*reading_);
    }
    return as_ledger(std::move(result));
  }

  Result<void> connect_reading() {
    ASSIGN_OR_RETURN(const bool fresh, reading_->connect());
    if (fresh) TRY(internal::prepare_reads(*reading_));
    return {};
  }

  Result<store::LedgerRecovery> take_over() {
    TRY(connect_writing());
    Result<std::uint64_t> epoch = try_to_raise();
    if (!epoch.ok() && epoch.error().id == "db.unavailable" && writing_->connected()) {
      // The holder stopped amid a commit, or is very slow: whatever it does, it is overtaken now.
      TRY(internal::end_holder(*writing_));
      epoch = try_to_raise();
    }
    if (!epoch.ok()) return std::move(epoch).error();
    FAILPOINT("ledger.after_epoch_raised");
    TRY(writing_->run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
    Result<store::LedgerRecovery> recovery = internal::read_recovery(*writing_);
    if (writing_->connected()) TRY(writing_->run("ROLLBACK"));
    if (recovery.ok()) recovery->epoch = *epoch;
    return recovery;
  }

  Result<std::uint64_t> try_to_raise() {
    const std::int64_t timeout_ms = std::max<std::int64_t>(1, settings_.takeover_timeout.count() / 1000);
    TRY(writing_->run(fmt::format("BEGIN; SET LOCAL lock_timeout = {}", timeout_ms)));
    Result<std::uint64_t> epoch = internal::raise_epoch(*writing_);
    if (epoch.ok()) {
      TRY(writing_->run("COMMIT"));
    } else if (writing_->connected()) {
      TRY(writing_->run("ROLLBACK"));
    }
    return epoch;
  }

  Result<bool> connect_writing() {
    ASSIGN_OR_RETURN(const bool fresh, writing_->connect());
    if (fresh) TRY(internal::prepare_writes(*writing_));
    return fresh;
  }

  /// Replaces a connection that the server closed while nothing was to be written.
  Result<void> make_usable(std::uint64_t epoch) {
    const Duration idle = SystemClock().monotonic_now() - writing_->last_used();
    if (writing_->connected() && idle > settings_.idle_check && !writing_->run("SELECT 1").ok()) writing_->close();
    ASSIGN_OR_RETURN(const bool fresh, connect_writing());
    if (!fresh) return {};
    ASSIGN_OR_RETURN(const bool held, internal::note_session(*writing_, epoch));
    return held ? Result<void>() : store::fenced_ledger(epoch);
  }

  Result<void> write(const store::LedgerBatch& batch, std::uint64_t epoch) {
    FAILPOINT("ledger.before_commit");
    TRY(make_usable(epoch));
    TRY(internal::send_batch(*writing_, batch, epoch));
    FAILPOINT("ledger.after_write_before_commit");
    if (Result<void> done = writing_->receive_pipeline("COMMIT"); !done.ok()) {
      // It may be amid a transaction that failed, and takes no other one anyway.
      writing_->close();
      return internal::says_fenced(done.error()) ? store::fenced_ledger(epoch) : done;
    }
    FAILPOINT("ledger.after_commit");
    return {};
  }

  const PostgresJobLedgerSettings settings_;
  std::unique_ptr<Session> writing_;  ///< Of the writer's steps.

  std::mutex reading_mutex_;
  std::unique_ptr<Session> reading_;  // guarded by reading_mutex_

  store::LedgerWriter writer_;
};

Result<std::unique_ptr<store::JobLedger>> open_ledger(const PostgresJobLedgerSettings& settings) {
  ASSIGN_OR_RETURN(const store::StateUrl url, internal::parse_postgres_url(settings.url));
  SessionSettings session{.url = url,
                          .connect_timeout = settings.connect_timeout,
                          .starting_timeout = settings.starting_timeout,
                          .answer_timeout = settings.commit_timeout,
                          .statement_timeout = Duration(0),
                          .lock_timeout = Duration(0),
                          .idle_transaction_timeout = settings.commit_timeout};
  PostgresJobLedger::Sessions sessions;
  sessions.writing = std::make_unique<Session>(session);
  // The server gives up first, so that the connection stays.
  session.answer_timeout = settings.read_timeout + std::chrono::seconds(5);
  session.statement_timeout = settings.read_timeout;
  sessions.reading = std::make_unique<Session>(session);
  TRY(internal::prepare_server(*sessions.reading));
  TRY(internal::prepare_tables(*sessions.reading));
  TRY(internal::prepare_reads(*sessions.reading));
  return std::unique_ptr<store::JobLedger>(std::make_unique<PostgresJobLedger>(std::move(sessions), settings));
}

}  // namespace

Result<std::unique_ptr<store::JobLedger>> make_postgres_job_ledger(const PostgresJobLedgerSettings& settings) {
  return as_ledger(open_ledger(settings));
}

}  // namespace trainyard::adapters::postgres
