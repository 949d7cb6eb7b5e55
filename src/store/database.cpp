#include "store/database.h"

#include <fmt/format.h>

#include "base/failpoint.h"

namespace trainyard::store {
namespace {

constexpr std::string_view kCreateHistory =
    "CREATE TABLE IF NOT EXISTS schema_migrations("
    "component TEXT NOT NULL, number BIGINT NOT NULL, PRIMARY KEY(component, number))";

const SqlValue& value_at(const std::vector<SqlValue>& values, std::size_t column) {
  CHECK(column < values.size(), "a query has fewer columns than its reader reads");
  return values[column];
}

bool is_blank(std::string_view sql) { return sql.find_first_not_of(" \t\r\n;") == std::string_view::npos; }

/// The statements of `sql`, which are separated by ";\n".
std::vector<std::string_view> statements_of(std::string_view sql) {
  std::vector<std::string_view> statements;
  while (!sql.empty()) {
    const std::size_t end = sql.find(";\n");
    if (const std::string_view statement = sql.substr(0, end); !is_blank(statement)) statements.push_back(statement);
    sql.remove_prefix(end == std::string_view::npos ? sql.size() : end + 2);
  }
  return statements;
}

Result<std::int64_t> newest_step(Connection& connection, std::string_view component) {
  constexpr std::string_view kNewest = "SELECT COALESCE(MAX(number), 0) FROM schema_migrations WHERE component = ?";
  ASSIGN_OR_RETURN(const std::vector<Row> rows, connection.query(kNewest, {std::string(component)}));
  CHECK(rows.size() == 1, "an aggregate yields one row");
  return rows.front().integer(0);
}

Result<void> apply(Connection& connection, std::string_view component, const Migration& migration) {
  // Another process may have applied the step between our look and this transaction.
  ASSIGN_OR_RETURN(const std::int64_t newest, newest_step(connection, component));
  if (newest >= migration.number) return {};
  for (const std::string_view statement : statements_of(migration.sql)) TRY(connection.execute(statement));
  TRY(connection.execute("INSERT INTO schema_migrations(component, number) VALUES(?, ?)", {std::string(component), migration.number}));
  return {};
}

}  // namespace

bool Row::is_null(std::size_t column) const { return std::holds_alternative<std::monostate>(value_at(values_, column)); }

std::int64_t Row::integer(std::size_t column) const {
  const auto* value = std::get_if<std::int64_t>(&value_at(values_, column));
  CHECK(value != nullptr, "a query yields something else than the integer its reader reads");
  return *value;
}

double Row::real(std::size_t column) const {
  if (const auto* integer = std::get_if<std::int64_t>(&value_at(values_, column))) return static_cast<double>(*integer);
  const auto* value = std::get_if<double>(&value_at(values_, column));
  CHECK(value != nullptr, "a query yields something else than the number its reader reads");
  return *value;
}

const std::string& Row::text(std::size_t column) const {
  const auto* value = std::get_if<std::string>(&value_at(values_, column));
  CHECK(value != nullptr, "a query yields something else than the text its reader reads");
  return *value;
}

std::optional<std::string> Row::optional_text(std::size_t column) const {
  if (is_null(column)) return std::nullopt;
  return text(column);
}

std::optional<std::int64_t> Row::optional_integer(std::size_t column) const {
  if (is_null(column)) return std::nullopt;
  return integer(column);
}

Result<void> migrate(Database& database, std::string_view component, const std::vector<Migration>& migrations) {
  for (std::size_t i = 0; i < migrations.size(); ++i) {
    CHECK(migrations[i].number == static_cast<std::int64_t>(i) + 1, "migrations are numbered densely from 1");
  }
  std::int64_t newest = 0;
  const auto read_history = [&](Connection& connection) -> Result<void> {
    TRY(connection.execute(kCreateHistory));
    ASSIGN_OR_RETURN(newest, newest_step(connection, component));
    return {};
  };
  TRY(database.write(read_history));
  if (newest > static_cast<std::int64_t>(migrations.size())) {
    return failed_precondition("db.schema_newer",
                               fmt::format("the database was written by a newer version of this program, install that version or restore a "
                                           "backup; component {}, schema {}, known here {}",
                                           component, newest, migrations.size()));
  }
  for (const Migration& migration : migrations) {
    if (migration.number <= newest) continue;
    Result<void> applied = database.write([&](Connection& connection) { return apply(connection, component, migration); });
    if (applied.ok()) applied = hit_failpoint("database.after_migration");
    if (!applied.ok()) return std::move(applied).error().with_context(fmt::format("migrating {} to step {}", component, migration.number));
  }
  return {};
}

}  // namespace trainyard::store
