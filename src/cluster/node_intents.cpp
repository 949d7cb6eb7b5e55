#include "cluster/node_intents.h"

#include "base/failpoint.h"

namespace trainyard::cluster {

using store::Connection;
using store::Row;

const std::vector<store::Migration>& node_intent_migrations() {
  static const std::vector<store::Migration> migrations{
      {1,
       "CREATE TABLE node_intent (node TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT NOT NULL, set_by TEXT NOT NULL, "
       "since_us BIGINT NOT NULL)"}};
  return migrations;
}

Result<void> NodeIntents::set(const NodeIntent& intent) {
  Result<void> kept = database_.write([&](Connection& sql) -> Result<void> {
    TRY(
        sql.execute("INSERT INTO node_intent (node, state, reason, set_by, since_us) VALUES (?, ?, ?, ?, ?) ON CONFLICT (node) DO UPDATE "
                    "SET state = excluded.state, reason = excluded.reason, set_by = excluded.set_by, since_us = excluded.since_us",
                    {intent.node.text, intent.state, intent.reason, intent.by, micros(intent.since)}));
    return hit_failpoint("cluster.before_intent_commit");
  });
  return kept.ok() ? hit_failpoint("cluster.after_intent_commit") : kept;
}

Result<void> NodeIntents::clear(const NodeName& node) {
  return database_.write([&](Connection& sql) -> Result<void> {
    TRY(sql.execute("DELETE FROM node_intent WHERE node = ?", {node.text}));
    return {};
  });
}

Result<std::vector<NodeIntent>> NodeIntents::list() {
  std::vector<NodeIntent> intents;
  TRY(database_.read([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(const std::vector<Row> rows, sql.query("SELECT node, state, reason, set_by, since_us FROM node_intent ORDER BY node"));
    intents.clear();
    for (const Row& row : rows) {
      intents.push_back({NodeName{row.text(0)}, row.text(1), row.text(2), row.text(3), time_from_micros(row.integer(4))});
    }
    return {};
  }));
  return intents;
}

}  // namespace trainyard::cluster
