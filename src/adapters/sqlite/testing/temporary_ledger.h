#pragma once
#include <memory>
#include <string>

#include "adapters/sqlite/sqlite_job_ledger.h"
#include "base/file.h"

namespace trainyard::adapters::sqlite::testing {

/// A ledger file in a directory of its own, removed with it. The ledger is closed until `reopen`.
class TemporaryLedger {
 public:
  TemporaryLedger() : directory_(make_temporary_directory("trainyard-ledger-").value()) {}
  ~TemporaryLedger() {
    ledger_.reset();
    (void)remove_tree(directory_).ok();
  }
  TemporaryLedger(const TemporaryLedger&) = delete;
  TemporaryLedger& operator=(const TemporaryLedger&) = delete;

  std::string path() const { return directory_ + "/ledger.db"; }
  store::JobLedger& ledger() { return *ledger_; }
  /// Closes the ledger, opens and recovers it as a restarted process does. References to the old one are invalid afterwards.
  store::JobLedger& reopen() {
    ledger_.reset();
    ledger_ = make_sqlite_job_ledger({.path = path()}).value();
    ledger_->recover().value();
    return *ledger_;
  }
  void close() { ledger_.reset(); }

 private:
  std::string directory_;
  std::unique_ptr<store::JobLedger> ledger_;
};

}  // namespace trainyard::adapters::sqlite::testing
