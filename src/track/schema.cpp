#include "track/schema.h"

namespace trainyard::track {
namespace {

constexpr std::string_view kFirstTables = R"sql(CREATE TABLE experiment(
  id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, artifact_location TEXT NOT NULL, deleted BIGINT NOT NULL,
  created_ms BIGINT NOT NULL, updated_ms BIGINT NOT NULL);
CREATE TABLE experiment_tag(
  experiment BIGINT NOT NULL REFERENCES experiment(id), key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(experiment, key));
CREATE TABLE run(
  id TEXT PRIMARY KEY, experiment BIGINT NOT NULL REFERENCES experiment(id), name TEXT NOT NULL, user_id TEXT NOT NULL,
  status TEXT NOT NULL, started_ms BIGINT NOT NULL, ended_ms BIGINT, artifact_uri TEXT NOT NULL, deleted BIGINT NOT NULL);
CREATE INDEX run_by_experiment ON run(experiment, started_ms);
CREATE TABLE run_tag(run TEXT NOT NULL REFERENCES run(id), key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(run, key));
CREATE TABLE run_param(run TEXT NOT NULL REFERENCES run(id), key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(run, key));
CREATE TABLE run_metric(
  run TEXT NOT NULL REFERENCES run(id), key TEXT NOT NULL, value DOUBLE PRECISION NOT NULL, is_nan BIGINT NOT NULL,
  step BIGINT NOT NULL, timestamp_ms BIGINT NOT NULL, PRIMARY KEY(run, key));
CREATE TABLE metric_block(
  run TEXT NOT NULL, key TEXT NOT NULL, number BIGINT NOT NULL, points BIGINT NOT NULL, content BLOB NOT NULL,
  PRIMARY KEY(run, key, number));
CREATE TABLE artifact_directory(path TEXT PRIMARY KEY, parent TEXT NOT NULL);
CREATE INDEX artifact_directory_by_parent ON artifact_directory(parent);
CREATE TABLE artifact_file(
  path TEXT PRIMARY KEY, parent TEXT NOT NULL, object TEXT NOT NULL, size BIGINT NOT NULL, checksum TEXT NOT NULL,
  created_ms BIGINT NOT NULL);
CREATE INDEX artifact_file_by_parent ON artifact_file(parent);
CREATE TABLE registered_model(
  name TEXT PRIMARY KEY, description TEXT NOT NULL, created_ms BIGINT NOT NULL, updated_ms BIGINT NOT NULL);
CREATE TABLE registered_model_tag(
  model TEXT NOT NULL REFERENCES registered_model(name) ON UPDATE CASCADE ON DELETE CASCADE,
  key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(model, key));
CREATE TABLE model_version(
  model TEXT NOT NULL REFERENCES registered_model(name) ON UPDATE CASCADE ON DELETE CASCADE,
  version BIGINT NOT NULL, created_ms BIGINT NOT NULL, updated_ms BIGINT NOT NULL, description TEXT NOT NULL, source TEXT NOT NULL,
  run TEXT NOT NULL, run_link TEXT NOT NULL, stage TEXT NOT NULL, user_id TEXT NOT NULL, dataset TEXT NOT NULL,
  idempotency_key TEXT UNIQUE, deleted BIGINT NOT NULL, PRIMARY KEY(model, version));
CREATE INDEX model_version_by_run ON model_version(run);
CREATE TABLE model_version_tag(
  model TEXT NOT NULL, version BIGINT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(model, version, key),
  FOREIGN KEY(model, version) REFERENCES model_version(model, version) ON UPDATE CASCADE ON DELETE CASCADE);
CREATE TABLE model_alias(
  model TEXT NOT NULL, alias TEXT NOT NULL, version BIGINT NOT NULL, PRIMARY KEY(model, alias),
  FOREIGN KEY(model, version) REFERENCES model_version(model, version) ON UPDATE CASCADE ON DELETE CASCADE))sql";

// Whose runs these are stands in no table here: those of jobs have no namespace until RunRepository::place, and are seen by those who see
// all. The others were nobody's.
constexpr std::string_view kRunNamespaces = R"sql(ALTER TABLE run ADD COLUMN name_space TEXT NOT NULL DEFAULT 'default';
ALTER TABLE run ADD COLUMN job BIGINT NOT NULL DEFAULT 0;
CREATE INDEX run_by_namespace ON run(name_space, started_ms);
UPDATE run SET name_space = '' WHERE id IN (SELECT run FROM run_tag WHERE key = 'trainyard.job_id');
DELETE FROM run_tag WHERE key = 'trainyard.namespace';
INSERT INTO run_tag(run, key, value) SELECT id, 'trainyard.namespace', name_space FROM run WHERE name_space <> '')sql";

}  // namespace

const std::vector<store::Migration>& track_migrations() {
  static const std::vector<store::Migration> migrations{{1, kFirstTables}, {2, kRunNamespaces}};
  return migrations;
}

Result<void> prepare_tracking(store::Database& database, const Clock& clock) {
  TRY(store::migrate(database, "track", track_migrations()));
  const std::int64_t now_ms = micros(clock.now()) / 1000;
  return database.write([now_ms](store::Connection& sql) -> Result<void> {
    TRY(
        sql.execute("INSERT INTO experiment(id, name, artifact_location, deleted, created_ms, updated_ms) "
                    "VALUES(0, 'Default', 'mlflow-artifacts:/0', 0, ?, ?) ON CONFLICT(id) DO NOTHING",
                    {now_ms, now_ms}));
    return {};
  });
}

}  // namespace trainyard::track
