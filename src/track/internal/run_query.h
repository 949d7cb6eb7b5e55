#pragma once
#include <map>
#include <string>
#include <vector>

#include "track/filter.h"
#include "track/types.h"

namespace trainyard::track::internal {

/// A run reduced to what a search looks at: its head, and those params, tags and metrics that the search names.
struct RunCandidate {
  RunInfo info;
  std::map<std::string, double> metrics;
  std::map<std::string, std::string> params;
  std::map<std::string, std::string> tags;
};

/// A parsed search over runs. Pure.
class RunQuery {
 public:
  /// Errors: INVALID_ARGUMENT "track.filter", "track.order_by", also for attributes that runs do not have.
  static Result<RunQuery> parse(const std::string& filter, const std::vector<std::string>& order_by);

  /// The keys of one type ("metric", "param", "tag") that filter or order name.
  std::vector<std::string> keys_of(const std::string& type) const;
  Result<bool> matches(const RunCandidate& candidate) const;
  /// By the order of the search, then start time descending, then id.
  void sort(std::vector<RunCandidate>& candidates) const;

 private:
  bool before(const RunCandidate& a, const RunCandidate& b) const;

  std::vector<FilterClause> clauses_;
  std::vector<OrderClause> orders_;
};

}  // namespace trainyard::track::internal
