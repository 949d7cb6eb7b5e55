#include "adapters/sqlite/sqlite_job_ledger.h"

#include <mutex>

#include "adapters/sqlite/internal/ledger_tables.h"
#include "adapters/sqlite/internal/session.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "store/ledger_writer.h"

namespace trainyard::adapters::sqlite {
namespace {

using internal::Session;

/// The errors of a session in the words of the JobLedger port.
Error ledger_error(Error error) {
  if (error.id == "db.corrupt") error.id = "ledger.corrupt";
  // The statements are fixed: that one does not fit the file says that the file is damaged.
  if (error.id == "db.sql") error = data_loss("ledger.corrupt", "the ledger file is damaged, restore it from a backup: " + error.message);
  if (error.id == "db.unavailable") error.id = "ledger.unavailable";
  return error;
}

template <typename T>
Result<T> as_ledger(Result<T> result) {
  if (!result.ok()) return ledger_error(std::move(result).error());
  return result;
}

class SqliteJobLedger final : public store::JobLedger {
 public:
  SqliteJobLedger(std::unique_ptr<Session> writer, std::unique_ptr<Session> reader, int checkpoint_pages)
      : session_(std::move(writer)),
        checkpoint_pages_(checkpoint_pages),
        reader_(std::move(reader)),
        writer_({.take_over = [this] { return take_over(); },
                 .write = [this](const store::LedgerBatch& batch, std::uint64_t epoch) { return write(batch, epoch); },
                 .after_answer = [this] { return checkpoint(); }}) {}

  Result<store::LedgerRecovery> recover() override { return writer_.recover(); }
  void commit(store::LedgerBatch batch, Committed done) override { writer_.commit(std::move(batch), std::move(done)); }

  Result<std::vector<store::JobRecord>> list(JobId before, std::size_t limit) override {
    return read([=](Session& session) { return internal::read_jobs(session, before, limit); });
  }
  Result<store::JobRecord> get(JobId id) override {
    return read([=](Session& session) { return internal::read_job(session, id); });
  }
  Result<std::vector<store::EventRecord>> events(EventNumber after, JobId job, std::size_t limit) override {
    return read([=](Session& session) { return internal::read_events(session, after, job, limit); });
  }

 private:
  /// Runs `work` in one snapshot.
  template <typename Work>
  auto read(const Work& work) -> decltype(work(std::declval<Session&>())) {
    const std::lock_guard lock(reader_mutex_);
    TRY(as_ledger(reader_->run("BEGIN")));
    auto result = work(*reader_);
    reader_->roll_back();
    return as_ledger(std::move(result));
  }

  Result<store::LedgerRecovery> take_over() {
    // On a full disk nobody can commit, so that there is nothing to raise.
    if (session_ != nullptr) {
      const auto raise = [this]() -> Result<void> {
        TRY(internal::raise_epoch(*session_));
        return {};
      };
      TRY(as_ledger(transact(raise)));
      FAILPOINT("ledger.after_epoch_raised");
    }
    return read([](Session& session) { return internal::read_recovery(session); });
  }

  Result<void> write(const store::LedgerBatch& batch, std::uint64_t epoch) {
    if (session_ == nullptr) {
      return unavailable("ledger.read_only", "the ledger is open for reading only, free some space and restart the server");
    }
    const auto write_all = [&]() -> Result<void> {
      TRY(internal::check_epoch(*session_, epoch));
      TRY(internal::write_batch(*session_, batch));
      FAILPOINT("ledger.after_write_before_commit");
      return {};
    };
    FAILPOINT("ledger.before_commit");
    TRY(as_ledger(transact(write_all)));
    FAILPOINT("ledger.after_commit");
    return {};
  }

  /// Runs `work` in one durable transaction.
  template <typename Work>
  Result<void> transact(const Work& work) {
    TRY(session_->run("BEGIN IMMEDIATE"));
    Result<void> done = work();
    if (done.ok()) done = session_->run("COMMIT");
    if (!done.ok()) session_->roll_back();
    return done;
  }

  /// Between two commits, so that no answer waits for it.
  Result<void> checkpoint() {
    if (session_ == nullptr || session_->log_pages() < checkpoint_pages_) return {};
    FAILPOINT("ledger.before_checkpoint");
    TRY(as_ledger(session_->checkpoint()));
    FAILPOINT("ledger.after_checkpoint");
    return {};
  }

  std::unique_ptr<Session> session_;  ///< Of the writer's steps; none in a ledger that is open for reading only.
  const int checkpoint_pages_;

  std::mutex reader_mutex_;
  std::unique_ptr<Session> reader_;  // guarded by reader_mutex_

  store::LedgerWriter writer_;
};

Result<std::unique_ptr<store::JobLedger>> open_read_only_ledger(const SqliteJobLedgerSettings& settings) {
  TRY(internal::check_database_file(settings.path));
  ASSIGN_OR_RETURN(std::unique_ptr<Session> reader, Session::open({.path = settings.path, .query_only = true, .exclusive = true}));
  TRY(internal::check_tables(*reader));
  return std::unique_ptr<store::JobLedger>(std::make_unique<SqliteJobLedger>(nullptr, std::move(reader), settings.checkpoint_pages));
}

Result<std::unique_ptr<store::JobLedger>> open_ledger(const SqliteJobLedgerSettings& settings) {
  TRY(internal::prepare_database_file(settings.path));
  ASSIGN_OR_RETURN(std::unique_ptr<Session> writer, Session::open({.path = settings.path, .own_checkpoints = true}));
  TRY(internal::prepare_tables(*writer));
  ASSIGN_OR_RETURN(const std::uint64_t size, file_size(settings.path));
  if (size <= settings.check_bytes_max) TRY(internal::check_pages(*writer));
  ASSIGN_OR_RETURN(std::unique_ptr<Session> reader, Session::open({.path = settings.path, .query_only = true}));
  auto ledger = std::make_unique<SqliteJobLedger>(std::move(writer), std::move(reader), settings.checkpoint_pages);
  return std::unique_ptr<store::JobLedger>(std::move(ledger));
}

}  // namespace

Result<std::unique_ptr<store::JobLedger>> make_sqlite_job_ledger(const SqliteJobLedgerSettings& settings) {
  return as_ledger(settings.read_only ? open_read_only_ledger(settings) : open_ledger(settings));
}

}  // namespace trainyard::adapters::sqlite
