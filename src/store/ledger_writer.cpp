#include "store/ledger_writer.h"

#include <utility>

#include "store/ledger_rules.h"

namespace trainyard::store {

LedgerWriter::LedgerWriter(Steps steps) : steps_(std::move(steps)), thread_([this] { serve(); }) {}

LedgerWriter::~LedgerWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

Result<LedgerRecovery> LedgerWriter::recover() {
  const std::lock_guard lock(steps_mutex_);
  // What the storage shows after a write that failed may not be what it holds.
  if (failed_) return *failed_;
  ASSIGN_OR_RETURN(LedgerRecovery recovery, steps_.take_over());
  epoch_ = recovery.epoch;
  last_event_ = recovery.last_event;
  return recovery;
}

void LedgerWriter::commit(LedgerBatch batch, JobLedger::Committed done) {
  {
    const std::lock_guard lock(mutex_);
    CHECK(!in_flight_, "one commit at most is in flight");
    in_flight_ = true;
    request_ = Request{std::move(batch), std::move(done)};
  }
  changed_.notify_one();
}

void LedgerWriter::serve() {
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
    finish_answer();
  }
}

Result<void> LedgerWriter::write(const LedgerBatch& batch) {
  const std::lock_guard lock(steps_mutex_);
  if (failed_) return *failed_;
  if (!epoch_) return failed_precondition("ledger.not_recovered", "a ledger is recovered before it takes a commit");
  Result<void> result = check_event_numbers(batch, last_event_);
  if (result.ok()) result = steps_.write(batch, *epoch_);
  if (!result.ok()) {
    note_failure(result.error());
  } else if (!batch.events.empty()) {
    last_event_ = batch.events.back().number;
  }
  return result;
}

void LedgerWriter::finish_answer() {
  const std::lock_guard lock(steps_mutex_);
  if (!steps_.after_answer || failed_) return;
  if (const Result<void> done = steps_.after_answer(); !done.ok()) note_failure(done.error());
}

void LedgerWriter::note_failure(const Error& error) {
  failed_ = error;
  failed_->context.emplace_back("the ledger takes no commit after one that failed; restart the server");
}

}  // namespace trainyard::store
