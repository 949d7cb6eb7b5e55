#include "adapters/sqlite/sqlite_job_ledger.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "adapters/sqlite/internal/ledger_tables.h"
#include "adapters/sqlite/internal/session.h"
#include "base/failpoint.h"
#include "base/file.h"

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
      : writer_(std::move(writer)), checkpoint_pages_(checkpoint_pages), reader_(std::move(reader)), thread_([this] { serve(); }) {}

  ~SqliteJobLedger() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  void commit(store::LedgerBatch batch, Committed done) override {
    {
      const std::lock_guard lock(mutex_);
      CHECK(!in_flight_, "one commit at most is in flight");
      in_flight_ = true;
      request_ = Request{std::move(batch), std::move(done)};
    }
    changed_.notify_one();
  }

  Result<store::LedgerRecovery> recover() override {
    return read([](Session& session) { return internal::read_recovery(session); });
  }
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
  struct Request {
    store::LedgerBatch batch;
    Committed done;
  };

  /// Runs `work` in one snapshot.
  template <typename Work>
  auto read(const Work& work) -> decltype(work(std::declval<Session&>())) {
    const std::lock_guard lock(reader_mutex_);
    TRY(as_ledger(reader_->run("BEGIN")));
    auto result = work(*reader_);
    reader_->roll_back();
    return as_ledger(std::move(result));
  }

  /// The ledger's thread: one request after the other until the ledger is destroyed and none waits.
  void serve() {
    for (;;) {
      std::optional<Request> request;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stopping_ || request_.has_value(); });
        request = std::exchange(request_, std::nullopt);
      }
      if (!request) return;
      Result<void> result = write(request->batch);
      {
        const std::lock_guard lock(mutex_);
        in_flight_ = false;
      }
      request->done(std::move(result));
      // Between two commits, so that the answer above did not wait for it.
      if (writer_ != nullptr && !failed_ && writer_->log_pages() >= checkpoint_pages_) note_failure(writer_->checkpoint());
    }
  }

  Result<void> write(const store::LedgerBatch& batch) {
    if (failed_) return *failed_;
    if (writer_ == nullptr) {
      return unavailable("ledger.read_only", "the ledger is open for reading only, free some space and restart the server");
    }
    Result<void> result = transact(batch);
    if (result.ok()) return result;
    writer_->roll_back();
    note_failure(result);
    return ledger_error(std::move(result).error());
  }

  Result<void> transact(const store::LedgerBatch& batch) {
    FAILPOINT("ledger.before_commit");
    TRY(writer_->run("BEGIN IMMEDIATE"));
    TRY(internal::write_batch(*writer_, batch));
    FAILPOINT("ledger.after_write_before_commit");
    TRY(writer_->run("COMMIT"));
    FAILPOINT("ledger.after_commit");
    return {};
  }

  /// After a failure nothing more is written: what the disk holds is known only after a restart.
  void note_failure(const Result<void>& result) {
    if (result.ok()) return;
    failed_ = ledger_error(result.error());
    failed_->context.emplace_back("the ledger takes no commit after one that failed; restart the server");
  }

  // Of the ledger's thread alone.
  std::unique_ptr<Session> writer_;  ///< None in a ledger that is open for reading only.
  const int checkpoint_pages_;
  std::optional<Error> failed_;

  std::mutex reader_mutex_;
  std::unique_ptr<Session> reader_;  // guarded by reader_mutex_

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Request> request_;  // guarded by mutex_
  bool in_flight_ = false;          // guarded by mutex_
  bool stopping_ = false;           // guarded by mutex_

  std::thread thread_;
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
  TRY(internal::create_tables(*writer));
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
