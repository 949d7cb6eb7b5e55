#include "apps/server/state.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include "access/secret_file.h"
#include "access/token_authorizer.h"
#include "access/user_repository.h"
#include "adapters/localfs/local_log_store.h"
#include "adapters/localfs/local_object_store.h"
#include "adapters/postgres/postgres_database.h"
#include "adapters/postgres/postgres_job_ledger.h"
#include "adapters/redis/redis_job_ledger.h"
#include "adapters/sqlite/sqlite_database.h"
#include "adapters/sqlite/sqlite_job_ledger.h"
#include "base/checksum.h"
#include "base/failpoint.h"
#include "base/rng.h"
#include "cluster/leader_election.h"
#include "cluster/node_intents.h"
#include "cluster/queue_intents.h"
#include "data/catalog.h"
#include "jobs/job_history.h"
#include "store/state_url.h"
#include "track/schema.h"
#include "workflow/workflow_repository.h"

namespace trainyard::apps {
namespace {

/// Facts about the installation as a whole, kept where every process of it finds them.
const std::vector<store::Migration>& installation_migrations() {
  static const std::vector<store::Migration> migrations{{1, "CREATE TABLE installation (name TEXT PRIMARY KEY, value TEXT NOT NULL)"}};
  return migrations;
}

/// A server that starts on a full disk still shows what it has. A new directory has nothing to show.
Result<std::optional<Error>> check_room(const DataDirectory& directory) {
  Result<void> room = directory.probe_room();
  if (room.ok()) return std::optional<Error>();
  Error full = std::move(room).error();
  if (full.id != "io.disk_full" || !file_exists(directory.path("trainyard.db")))
    return std::move(full).with_context("writing to " + directory.root());
  return std::optional<Error>(unavailable(
      "server.read_only",
      fmt::format("the disk was full when the server started, so it only reads; make room and restart the server; directory: {}",
                  directory.root())));
}

bool has_bytes(const std::string& path) { return file_size(path).value_or(0) > 0; }

/// Where the jobs of this database are, as far as it can be read and says so.
std::string ledger_told_in(const std::string& database_path) {
  const Result<std::unique_ptr<store::Database>> database =
      adapters::sqlite::make_sqlite_database({.path = database_path, .read_only = true});
  std::string known;
  if (!database.ok()) return known;
  const Result<void> read = (*database)->read([&known](store::Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(const std::vector<store::Row> rows, sql.query("SELECT value FROM installation WHERE name = 'ledger'"));
    if (!rows.empty()) known = rows.front().text(0);
    return {};
  });
  return read.ok() ? known : std::string();
}

/// The ledger is made first. Without it the numbers of jobs would begin again and meet the checkpoints and logs of others.
Result<void> check_ledger_is_there(const DataDirectory& directory) {
  const std::string ledger = directory.path("ledger.db");
  if (has_bytes(ledger) || has_bytes(ledger + "-wal") || !has_bytes(directory.path("trainyard.db"))) return {};
  if (const std::string known = ledger_told_in(directory.path("trainyard.db")); !known.empty() && known != ledger) {
    return failed_precondition(
        "state.other_ledger",
        fmt::format("the jobs of this data directory are kept elsewhere: start the server with --state and the URL of "
                    "where they are, as before; jobs: {}, data directory: {}",
                    known, directory.root()));
  }
  return data_loss(
      "ledger.missing",
      "the ledger of jobs is gone or empty while the other database is there: restore it from a backup, or start in another data "
      "directory with --data: " +
          ledger);
}

/// A URL, or the file of that name in the data directory.
Result<store::StateUrl> url_of(const std::string& setting, const DataDirectory& directory, std::string_view file) {
  if (!setting.empty()) return store::parse_state_url(setting);
  store::StateUrl url;
  url.path = directory.path(file);
  return url;
}

std::string name_of(const store::StateUrl& url) { return url.kind == store::StateKind::kSqlite ? url.path : url.redacted(); }

Result<std::unique_ptr<store::JobLedger>> open_ledger(const store::StateUrl& url, const std::string& text, bool read_only) {
  switch (url.kind) {
    case store::StateKind::kSqlite:
      return adapters::sqlite::make_sqlite_job_ledger({.path = url.path, .read_only = read_only});
    case store::StateKind::kPostgres:
      return adapters::postgres::make_postgres_job_ledger({.url = text});
    case store::StateKind::kRedis:
      return adapters::redis::make_redis_job_ledger({.url = text});
  }
  return internal_error("state.url", "a kind of state that is not known");
}

Result<std::unique_ptr<store::Database>> open_database(const store::StateUrl& url, const std::string& text, bool read_only) {
  switch (url.kind) {
    case store::StateKind::kSqlite:
      return adapters::sqlite::make_sqlite_database({.path = url.path, .read_only = read_only});
    case store::StateKind::kPostgres:
      return adapters::postgres::make_postgres_database({.url = text});
    case store::StateKind::kRedis:
      return invalid_argument("state.url",
                              "Redis can keep the jobs (--state) and not what is relational; give --database sqlite:///path or "
                              "postgresql://host/database: " +
                                  url.redacted());
  }
  return internal_error("state.url", "a kind of state that is not known");
}

Result<void> migrate_all(store::Database& database) {
  TRY(store::migrate(database, "installation", installation_migrations()));
  TRY(store::migrate(database, "catalog", data::catalog_migrations()));
  TRY(store::migrate(database, "workflow", workflow::workflow_migrations()));
  TRY(store::migrate(database, "access", access::access_migrations()));
  TRY(store::migrate(database, "job_history", jobs::job_history_migrations()));
  TRY(store::migrate(database, "node_intent", cluster::node_intent_migrations()));
  TRY(store::migrate(database, "queue_intent", cluster::queue_intent_migrations()));
  TRY(store::migrate(database, "election", cluster::election_migrations()));
  return track::prepare_tracking(database, SystemClock());
}

/// The value under `name`, which is `fresh` when there was none.
Result<std::string> remember(store::Database& database, const std::string& name, const std::string& fresh) {
  std::string value;
  const auto work = [&](store::Connection& sql) -> Result<void> {
    TRY(sql.execute("INSERT INTO installation (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", {name, fresh}));
    ASSIGN_OR_RETURN(const std::vector<store::Row> rows, sql.query("SELECT value FROM installation WHERE name = ?", {name}));
    value = rows.front().text(0);
    return {};
  };
  TRY(database.write(work));
  return value;
}

/// The database outlives any one ledger file: with another ledger the numbers of jobs would begin again.
Result<void> check_ledger_belongs(const State& state) {
  ASSIGN_OR_RETURN(const std::string known, remember(*state.database, "ledger", state.ledger_name));
  if (known == state.ledger_name) return {};
  return failed_precondition("state.other_ledger",
                             fmt::format("this database belongs to the jobs of another ledger, so that both would be confused; start with "
                                         "--state for the first, or with another --database; its ledger: {}; this one: {}",
                                         known, state.ledger_name));
}

/// The value under `name` from now on.
Result<void> replace_fact(store::Database& database, const std::string& name, const std::string& value) {
  return database.write([&](store::Connection& sql) -> Result<void> {
    TRY(sql.execute("INSERT INTO installation (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    {name, value}));
    return {};
  });
}

/// Two processes on one SQLite file would each hold jobs and users in memory and overwrite what the other knows.
Result<void> lock_file_of(const store::StateUrl& url, State& state) {
  if (url.kind != store::StateKind::kSqlite) return {};
  const std::string path = url.path + ".lock";
  ASSIGN_OR_RETURN(UniqueFd lock, open_file(path, O_RDWR | O_CREAT));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return failed_precondition("state.in_use",
                               "SQLite serves one server process, and another one uses this file: stop that one, or run "
                               "several on --database postgresql://.. and --state postgresql://.. or redis://..: " +
                                   url.path);
  }
  state.locks.push_back(std::move(lock));
  return {};
}

/// Logs and checkpoints go with the jobs: a process that looks for them elsewhere would find none.
Result<void> check_files_belong(const State& state) {
  const std::string path = state.files + "/installation.id";
  ASSIGN_OR_RETURN(const std::string own, access::load_or_create_token(path, [] { return secure_random_hex(16); }));
  ASSIGN_OR_RETURN(const std::string known, remember(*state.database, "files", own));
  if (known == own) return {};
  return failed_precondition(
      "state.other_files",
      fmt::format("this installation keeps logs, objects and checkpoints in another directory, which every process of it needs: give it "
                  "with --files; to go on without what is there, write {} into {}",
                  known, path));
}

}  // namespace

Result<std::set<std::string>> admin_token_digests(store::Database& database) {
  std::set<std::string> digests;
  TRY(database.read([&](store::Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(const std::vector<store::Row> rows, sql.query("SELECT value FROM installation WHERE name LIKE 'admin_token:%'"));
    for (const store::Row& row : rows) digests.insert(row.text(0));
    return {};
  }));
  return digests;
}

Result<State> open_state(const DataDirectory& directory, const StateSettings& settings) {
  State state;
  ASSIGN_OR_RETURN(const store::StateUrl ledger, url_of(settings.ledger, directory, "ledger.db"));
  ASSIGN_OR_RETURN(const store::StateUrl database, url_of(settings.database, directory, "trainyard.db"));
  if (settings.ledger.empty() && settings.database.empty()) TRY(check_ledger_is_there(directory));
  ASSIGN_OR_RETURN(state.disk_full, check_room(directory));
  const bool read_only = state.disk_full.has_value();
  state.ledger_name = name_of(ledger);
  state.database_name = name_of(database);
  state.shared_database = database.kind == store::StateKind::kPostgres;
  state.shared = state.shared_database && ledger.kind != store::StateKind::kSqlite;
  state.files = settings.files.empty() ? directory.root() : settings.files;
  if (!settings.ledger.empty()) TRY(lock_file_of(ledger, state));
  if (!settings.database.empty() && settings.database != settings.ledger) TRY(lock_file_of(database, state));
  for (const char* name : {"objects", "logs", "checkpoints", "cache"}) TRY(make_directories(state.files + "/" + name));
  ASSIGN_OR_RETURN(state.admin_token, access::load_or_create_token(directory.path("token"), access::make_personal_token));
  FAILPOINT("server.after_token_file");
  ASSIGN_OR_RETURN(state.installation_key,
                   access::load_or_create_token(directory.path("installation.key"), [] { return secure_random_hex(32); }));
  ASSIGN_OR_RETURN(state.ledger, open_ledger(ledger, settings.ledger, read_only));
  FAILPOINT("server.after_ledger_made");
  ASSIGN_OR_RETURN(state.database, open_database(database, settings.database, read_only));
  ASSIGN_OR_RETURN(state.objects, adapters::localfs::make_local_object_store(state.files + "/objects"));
  ASSIGN_OR_RETURN(state.logs, adapters::localfs::make_local_log_store(state.files + "/logs"));
  if (read_only) return state;
  TRY(migrate_all(*state.database));
  // A ledger in the data directory moves with it.
  if (!settings.ledger.empty() || !settings.database.empty()) TRY(check_ledger_belongs(state));
  if (state.shared_database) {
    ASSIGN_OR_RETURN(state.member, access::load_or_create_token(directory.path("member"), [] { return secure_random_hex(16); }));
    ASSIGN_OR_RETURN(state.installation_key, remember(*state.database, "key", state.installation_key));
    TRY(replace_fact(*state.database, "admin_token:" + state.member, sha256_hex(state.admin_token)));
    TRY(check_files_belong(state));
  }
  return state;
}

}  // namespace trainyard::apps
