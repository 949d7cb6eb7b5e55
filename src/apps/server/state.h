#pragma once
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "apps/server/data_directory.h"
#include "store/database.h"
#include "store/job_ledger.h"
#include "store/log_store.h"
#include "store/object_store.h"

namespace trainyard::apps {

/// Where an installation keeps what it knows.
struct StateSettings {
  std::string ledger;    ///< URL of the jobs (store/state_url.h); empty: ledger.db in the data directory.
  std::string database;  ///< URL of everything relational, SQLite or PostgreSQL; empty: trainyard.db in the data directory.
  std::string files;     ///< Directory of logs, objects and checkpoints; empty: the data directory.
};

/// Everything durable, opened.
struct State {
  std::unique_ptr<store::JobLedger> ledger;
  std::unique_ptr<store::Database> database;
  std::unique_ptr<store::ObjectStore> objects;
  std::unique_ptr<store::LogStore> logs;
  std::string files;             ///< Directory with logs/, objects/, checkpoints/ and cache/.
  std::string ledger_name;       ///< Where the jobs are, for messages; without secrets.
  std::string database_name;     ///< Where the rest is.
  bool shared_database = false;  ///< Other processes can work on the database.
  bool shared = false;           ///< And on the ledger.
  std::string member;            ///< This data directory's own name among the processes of the installation.
  std::string admin_token;
  std::string installation_key;
  std::optional<Error> disk_full;  ///< Why nothing may be written, if so.
  std::vector<UniqueFd> locks;     ///< Of the files that only one process may use.
};

/// Opens, and brings the tables to the newest step. A database knows the ledger that goes with it, so that neither is ever used with
/// another one by mistake; the same holds for the directory of files. Errors: those of the adapters; INVALID_ARGUMENT "state.url";
/// DATA_LOSS "ledger.missing"; FAILED_PRECONDITION "state.other_ledger", "state.other_files", and "state.in_use" for an SQLite file that
/// another server uses.
Result<State> open_state(const DataDirectory& directory, const StateSettings& settings);

/// SHA-256 of the admin tokens of all data directories that have worked on this database. Blocks.
Result<std::set<std::string>> admin_token_digests(store::Database& database);

}  // namespace trainyard::apps
