#pragma once
#include <map>
#include <string>
#include <vector>

#include "adapters/postgres/internal/session.h"
#include "store/database.h"

namespace trainyard::adapters::postgres::internal {

/// Runs SQL of store::Connection over one session, preparing each text once. Statements belong to a connection: `forget` says that it is
/// a new one.
class Statements {
 public:
  explicit Statements(Session& session) : session_(session) {}

  void forget() { prepared_.clear(); }
  Result<PgResult> run(std::string_view sql, const std::vector<store::SqlValue>& parameters);

 private:
  struct Prepared {
    std::string name;
    std::vector<Oid> parameter_types;
  };
  Result<const Prepared*> prepare(std::string_view sql);

  Session& session_;
  std::map<std::string, Prepared, std::less<>> prepared_;
  std::uint64_t next_name_ = 0;
};

/// All rows of a result that came as text.
Result<std::vector<store::Row>> rows_of(const PGresult& result);
/// How many rows a statement changed; 0 for one that changes none.
std::int64_t changed_rows(PGresult& result);

}  // namespace trainyard::adapters::postgres::internal
