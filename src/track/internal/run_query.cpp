#include "track/internal/run_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace trainyard::track::internal {
namespace {

enum class AttributeKind { kText, kNumber, kUnknown };

AttributeKind kind_of(const std::string& key) {
  static const std::set<std::string> texts{"run_id",  "run_name", "run name",     "Run name",
                                           "user_id", "status",   "artifact_uri", "experiment_id"};
  static const std::set<std::string> numbers{"start_time", "created", "Created", "end_time"};
  if (texts.contains(key)) return AttributeKind::kText;
  return numbers.contains(key) ? AttributeKind::kNumber : AttributeKind::kUnknown;
}

std::optional<std::string> text_attribute(const RunInfo& info, const std::string& key) {
  if (key == "run_id") return info.id.text;
  if (key == "user_id") return info.user;
  if (key == "status") return std::string(name_of(info.status));
  if (key == "artifact_uri") return info.artifact_uri;
  if (key == "experiment_id") return info.experiment.text;
  return info.name;
}

std::optional<double> number_attribute(const RunInfo& info, const std::string& key) {
  if (key != "end_time") return static_cast<double>(info.started_ms);
  return info.ended_ms ? std::optional(static_cast<double>(*info.ended_ms)) : std::nullopt;
}

template <typename T>
std::optional<T> value_of(const std::map<std::string, T>& values, const std::string& key) {
  const auto found = values.find(key);
  return found == values.end() ? std::nullopt : std::optional(found->second);
}

bool is_number(const std::string& type, const std::string& key) {
  return type == "metric" || (type == "attribute" && kind_of(key) == AttributeKind::kNumber);
}

std::optional<double> number_of(const RunCandidate& candidate, const std::string& type, const std::string& key) {
  return type == "metric" ? value_of(candidate.metrics, key) : number_attribute(candidate.info, key);
}

std::optional<std::string> text_of(const RunCandidate& candidate, const std::string& type, const std::string& key) {
  if (type == "param") return value_of(candidate.params, key);
  if (type == "tag") return value_of(candidate.tags, key);
  return text_attribute(candidate.info, key);
}

/// Values first, then NaN, then what is missing, whichever the direction.
int rank(const std::optional<double>& value) { return !value ? 2 : (std::isnan(*value) ? 1 : 0); }
int rank(const std::optional<std::string>& value) { return value ? 0 : 1; }

template <typename T>
int compare(const std::optional<T>& a, const std::optional<T>& b, bool ascending) {
  if (rank(a) != rank(b)) return rank(a) - rank(b);
  if (rank(a) != 0 || *a == *b) return 0;
  return (*a < *b) == ascending ? -1 : 1;
}

Result<void> check_known(const std::string& type, const std::string& key, std::string_view error_id) {
  const bool known =
      type == "metric" || type == "param" || type == "tag" || (type == "attribute" && kind_of(key) != AttributeKind::kUnknown);
  if (known) return {};
  if (error_id == "track.order_by") {
    return invalid_argument(std::string(error_id), fmt::format("Invalid ordering key in order_by clause '{}'", key));
  }
  return invalid_argument(std::string(error_id),
                          fmt::format("Invalid attribute key '{}' specified. Valid keys are '{{'run_id', 'run_name', 'user_id', "
                                      "'status', 'artifact_uri', 'start_time', 'end_time'}}'",
                                      key));
}

}  // namespace

Result<RunQuery> RunQuery::parse(const std::string& filter, const std::vector<std::string>& order_by) {
  RunQuery query;
  ASSIGN_OR_RETURN(query.clauses_, parse_filter(filter));
  ASSIGN_OR_RETURN(query.orders_, parse_order_by(order_by));
  for (const FilterClause& clause : query.clauses_) {
    TRY(check_known(clause.type, clause.key, "track.filter"));
    // A clause that fits nothing is refused where there are no runs, too.
    TRY(is_number(clause.type, clause.key) ? number_matches(clause, std::nullopt) : text_matches(clause, std::nullopt));
  }
  for (const OrderClause& order : query.orders_) TRY(check_known(order.type, order.key, "track.order_by"));
  return query;
}

std::vector<std::string> RunQuery::keys_of(const std::string& type) const {
  std::set<std::string> keys;
  for (const FilterClause& clause : clauses_) {
    if (clause.type == type) keys.insert(clause.key);
  }
  for (const OrderClause& order : orders_) {
    if (order.type == type) keys.insert(order.key);
  }
  return {keys.begin(), keys.end()};
}

Result<bool> RunQuery::matches(const RunCandidate& candidate) const {
  bool all = true;
  for (const FilterClause& clause : clauses_) {
    ASSIGN_OR_RETURN(const bool satisfied, is_number(clause.type, clause.key)
                                               ? number_matches(clause, number_of(candidate, clause.type, clause.key))
                                               : text_matches(clause, text_of(candidate, clause.type, clause.key)));
    all = all && satisfied;
  }
  return all;
}

bool RunQuery::before(const RunCandidate& a, const RunCandidate& b) const {
  for (const OrderClause& order : orders_) {
    const int compared = is_number(order.type, order.key)
                             ? compare(number_of(a, order.type, order.key), number_of(b, order.type, order.key), order.ascending)
                             : compare(text_of(a, order.type, order.key), text_of(b, order.type, order.key), order.ascending);
    if (compared != 0) return compared < 0;
  }
  if (a.info.started_ms != b.info.started_ms) return a.info.started_ms > b.info.started_ms;
  return a.info.id < b.info.id;
}

void RunQuery::sort(std::vector<RunCandidate>& candidates) const {
  std::sort(candidates.begin(), candidates.end(), [this](const RunCandidate& a, const RunCandidate& b) { return before(a, b); });
}

}  // namespace trainyard::track::internal
