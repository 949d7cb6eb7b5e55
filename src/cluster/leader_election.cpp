#include "cluster/leader_election.h"

#include <fmt/format.h>

namespace trainyard::cluster {
namespace {

using store::Connection;
using store::Row;

Result<std::optional<Leader>> read_leader(Connection& sql) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows, sql.query("SELECT member, url, term, beat FROM leader WHERE id = 1"));
  if (rows.empty()) return std::optional<Leader>();
  const Row& row = rows.front();
  return std::optional(Leader{row.text(0), row.text(1), row.integer(2), row.integer(3)});
}

/// Somebody without a name leads nothing: the row of a leader that has left.
bool is_vacant(const Leader& leader) { return leader.member.empty(); }

}  // namespace

const std::vector<store::Migration>& election_migrations() {
  static const std::vector<store::Migration> migrations{
      {1,
       "CREATE TABLE leader (id BIGINT PRIMARY KEY CHECK (id = 1), member TEXT NOT NULL, url TEXT NOT NULL, term BIGINT NOT NULL, "
       "beat BIGINT NOT NULL)"}};
  return migrations;
}

Result<Standing> LeaderElection::turn() {
  Standing standing;
  TRY(database_.write([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(standing, own_ ? renew(sql) : stand(sql));
    return {};
  }));
  // Only what was committed counts: a transaction may have run more than once.
  if (standing.leads) own_ = standing.leader;
  return standing;
}

Result<Standing> LeaderElection::look() {
  std::optional<Leader> leader;
  TRY(database_.read([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(leader, read_leader(sql));
    return {};
  }));
  if (leader && is_vacant(*leader)) leader.reset();
  return Standing{own_ && leader && leader->member == own_->member && leader->term == own_->term, std::move(leader)};
}

Result<void> LeaderElection::resign() {
  if (!own_) return {};
  const Leader own = *own_;
  own_.reset();
  return database_.write([&](Connection& sql) -> Result<void> {
    TRY(sql.execute("UPDATE leader SET member = '', url = '' WHERE id = 1 AND member = ? AND term = ?", {own.member, own.term}));
    return {};
  });
}

Result<Standing> LeaderElection::renew(Connection& sql) {
  ASSIGN_OR_RETURN(const std::int64_t changed,
                   sql.execute("UPDATE leader SET beat = beat + 1 WHERE id = 1 AND member = ? AND term = ?", {own_->member, own_->term}));
  ASSIGN_OR_RETURN(std::optional<Leader> leader, read_leader(sql));
  if (changed == 1) return Standing{true, std::move(leader)};
  return Error{Category::kAborted,
               "leader.deposed",
               fmt::format("another server has taken the lead while this one was silent, so this one must end; start it again and it will "
                           "stand by; leader: {}",
                           leader && !is_vacant(*leader) ? leader->url : "none"),
               {},
               {}};
}

Result<Standing> LeaderElection::stand(Connection& sql) {
  TRY(sql.execute("INSERT INTO leader (id, member, url, term, beat) VALUES (1, '', '', 0, 0) ON CONFLICT (id) DO NOTHING"));
  ASSIGN_OR_RETURN(const std::optional<Leader> leader, read_leader(sql));
  if (!leader) return internal_error("leader.row", "the row of the leader is gone right after it was made");
  const bool gone = is_vacant(*leader) || leader->member == settings_.member || has_stood_still(*leader);
  if (!gone) return Standing{false, leader};
  Leader own{settings_.member, settings_.url, leader->term + 1, 0};
  ASSIGN_OR_RETURN(const std::int64_t changed,
                   sql.execute("UPDATE leader SET member = ?, url = ?, term = ?, beat = 0 WHERE id = 1 AND term = ? AND beat = ?",
                               {own.member, own.url, own.term, leader->term, leader->beat}));
  if (changed == 1) return Standing{true, std::move(own)};
  return Standing{false, leader};
}

bool LeaderElection::has_stood_still(const Leader& leader) {
  const MonotonicPoint now = clock_.monotonic_now();
  if (seen_ != leader) {
    seen_ = leader;
    seen_since_ = now;
  }
  return now - seen_since_ >= settings_.patience;
}

}  // namespace trainyard::cluster
