#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "track/internal/run_query.h"
#include "track/internal/run_rows.h"
#include "track/internal/transaction.h"
#include "track/page_token.h"
#include "track/run_repository.h"
#include "track/validation.h"

namespace trainyard::track {
namespace {

using internal::RunCandidate;
using internal::RunQuery;
using store::Connection;
using store::Row;
using store::SqlValue;

constexpr std::int64_t kResultsMax = 50'000;

/// "?, ?, ?"
std::string placeholders(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += i == 0 ? "?" : ", ?";
  return text;
}

/// The SQL condition for life cycle, namespaces and experiments, with its parameters.
struct Scope {
  std::string condition;
  std::vector<SqlValue> parameters;
};

Scope scope_of(const RunSearch& search) {
  Scope scope;
  if (search.view != ViewType::kAll) {
    scope.condition = "deleted = ?";
    scope.parameters.emplace_back(std::int64_t{search.view == ViewType::kDeletedOnly});
  } else {
    scope.condition = "deleted >= 0";
  }
  if (!search.name_spaces.all) {
    const std::vector<std::string>& names = search.name_spaces.names;
    scope.condition += names.empty() ? " AND 1 = 0" : fmt::format(" AND name_space IN ({})", placeholders(names.size()));
    scope.parameters.insert(scope.parameters.end(), names.begin(), names.end());
  }
  if (search.experiments.empty()) return scope;
  scope.condition += fmt::format(" AND experiment IN ({})", placeholders(search.experiments.size()));
  for (const ExperimentId& id : search.experiments) scope.parameters.emplace_back(experiment_number(id.text).value_or(-1));
  return scope;
}

using CandidateIndex = std::unordered_map<std::string, RunCandidate*>;

/// Reads rows (run, key, ...) of `table` for the named keys and hands each to `store`.
template <typename Store>
Result<void> load_values(Connection& sql, std::string_view columns, std::string_view table, const std::vector<std::string>& keys,
                         const Scope& scope, CandidateIndex& candidates, Store store) {
  if (keys.empty()) return {};
  std::vector<SqlValue> parameters(keys.begin(), keys.end());
  parameters.insert(parameters.end(), scope.parameters.begin(), scope.parameters.end());
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   sql.query(fmt::format("SELECT {} FROM {} WHERE key IN ({}) AND run IN (SELECT id FROM run WHERE {})", columns, table,
                                         placeholders(keys.size()), scope.condition),
                             parameters));
  for (const Row& row : rows) {
    if (const auto found = candidates.find(row.text(0)); found != candidates.end()) store(*found->second, row);
  }
  return {};
}

Result<std::vector<RunCandidate>> load_candidates(Connection& sql, const RunSearch& search, const RunQuery& query) {
  const Scope scope = scope_of(search);
  ASSIGN_OR_RETURN(std::vector<RunInfo> infos, internal::load_run_infos(sql, "WHERE " + scope.condition, scope.parameters));
  std::vector<RunCandidate> candidates(infos.size());
  CandidateIndex index;
  for (std::size_t i = 0; i < infos.size(); ++i) {
    candidates[i].info = std::move(infos[i]);
    index[candidates[i].info.id.text] = &candidates[i];
  }
  TRY(load_values(sql, "run, key, value", "run_param", query.keys_of("param"), scope, index,
                  [](RunCandidate& candidate, const Row& row) { candidate.params[row.text(1)] = row.text(2); }));
  TRY(load_values(sql, "run, key, value", "run_tag", query.keys_of("tag"), scope, index,
                  [](RunCandidate& candidate, const Row& row) { candidate.tags[row.text(1)] = row.text(2); }));
  TRY(load_values(sql, "run, key, value, is_nan", "run_metric", query.keys_of("metric"), scope, index,
                  [](RunCandidate& candidate, const Row& row) {
                    candidate.metrics[row.text(1)] = row.integer(3) != 0 ? std::numeric_limits<double>::quiet_NaN() : row.real(2);
                  }));
  return candidates;
}

Result<void> check_max_results(std::int64_t max_results) {
  if (max_results <= 0) {
    return invalid_argument(
        "track.max_results",
        fmt::format("Invalid value {} for parameter 'max_results' supplied. It must be a positive integer", max_results));
  }
  if (max_results > kResultsMax) {
    return invalid_argument("track.max_results", fmt::format("Invalid value {} for parameter 'max_results' supplied: It must be at most {}",
                                                             max_results, kResultsMax));
  }
  return {};
}

}  // namespace

Result<RunPage> RunRepository::search(const RunSearch& search) {
  TRY(check_max_results(search.max_results));
  ASSIGN_OR_RETURN(const RunQuery query, RunQuery::parse(search.filter, search.order_by));
  ASSIGN_OR_RETURN(const std::size_t offset, page_offset(search.page_token));
  return internal::read_value<RunPage>(deps_.database, [&](Connection& sql) -> Result<RunPage> {
    ASSIGN_OR_RETURN(std::vector<RunCandidate> candidates, load_candidates(sql, search, query));
    std::vector<RunCandidate> matching;
    for (RunCandidate& candidate : candidates) {
      ASSIGN_OR_RETURN(const bool good, query.matches(candidate));
      if (good) matching.push_back(std::move(candidate));
    }
    query.sort(matching);
    RunPage page;
    const std::size_t end = std::min(matching.size(), offset + static_cast<std::size_t>(search.max_results));
    for (std::size_t i = offset; i < end; ++i) {
      ASSIGN_OR_RETURN(Run run, internal::load_run(sql, std::move(matching[i].info)));
      page.runs.push_back(std::move(run));
    }
    if (end < matching.size()) page.next_page_token = page_token(end);
    return page;
  });
}

}  // namespace trainyard::track
