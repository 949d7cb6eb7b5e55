#include "cluster/queue_intents.h"

#include "base/failpoint.h"

namespace trainyard::cluster {

using store::Connection;
using store::Row;

const std::vector<store::Migration>& queue_intent_migrations() {
  static const std::vector<store::Migration> migrations{
      {1,
       "CREATE TABLE queue_intent (queue TEXT PRIMARY KEY, stopped BIGINT NOT NULL, reason TEXT NOT NULL, set_by TEXT NOT NULL, "
       "since_us BIGINT NOT NULL)"}};
  return migrations;
}

Result<void> QueueIntents::set(const QueueIntent& intent) {
  Result<void> kept = database_.write([&](Connection& sql) -> Result<void> {
    TRY(sql.execute(
        "INSERT INTO queue_intent (queue, stopped, reason, set_by, since_us) VALUES (?, ?, ?, ?, ?) ON CONFLICT (queue) DO UPDATE "
        "SET stopped = excluded.stopped, reason = excluded.reason, set_by = excluded.set_by, since_us = excluded.since_us",
        {intent.queue, std::int64_t{intent.stopped}, intent.reason, intent.by, micros(intent.since)}));
    return hit_failpoint("cluster.before_intent_commit");
  });
  return kept.ok() ? hit_failpoint("cluster.after_intent_commit") : kept;
}

Result<void> QueueIntents::clear(const std::string& queue) {
  return database_.write([&](Connection& sql) -> Result<void> {
    TRY(sql.execute("DELETE FROM queue_intent WHERE queue = ?", {queue}));
    return {};
  });
}

Result<std::vector<QueueIntent>> QueueIntents::list() {
  std::vector<QueueIntent> intents;
  TRY(database_.read([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(const std::vector<Row> rows,
                     sql.query("SELECT queue, stopped, reason, set_by, since_us FROM queue_intent ORDER BY queue"));
    intents.clear();
    for (const Row& row : rows) {
      intents.push_back({row.text(0), row.integer(1) != 0, row.text(2), row.text(3), time_from_micros(row.integer(4))});
    }
    return {};
  }));
  return intents;
}

}  // namespace trainyard::cluster
