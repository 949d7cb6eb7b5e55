#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trainyard::track {

enum class Comparison { kEqual, kNotEqual, kGreater, kGreaterEqual, kLess, kLessEqual, kLike, kIlike, kIn, kNotIn, kIsNull, kIsNotNull };

/// A value to compare with: a quoted text, or a bare number.
struct FilterLiteral {
  std::string text;              ///< Without its quotes; of a number as it was written.
  std::optional<double> number;  ///< Set for a bare number.
};

/// `[type.]key comparison literal`, e.g. metrics.loss < 0.5. Type and keywords are in lower case, "attribute" when no type was written.
struct FilterClause {
  std::string type;
  std::string key;
  Comparison comparison = Comparison::kEqual;
  std::vector<FilterLiteral> literals;  ///< One; several for IN; none for IS NULL.
};

/// Parses `clause (AND clause)*`; an empty text has no clauses. Keys may be `back-quoted` or "quoted". Types are brought to their singular
/// form: metric, param, tag, attribute, dataset. Errors: INVALID_ARGUMENT "track.filter".
Result<std::vector<FilterClause>> parse_filter(std::string_view text);

/// One order of a search: "metrics.loss DESC".
struct OrderClause {
  std::string type;
  std::string key;
  bool ascending = true;
};
/// Errors: INVALID_ARGUMENT "track.order_by", also for a field that is named twice.
Result<std::vector<OrderClause>> parse_order_by(const std::vector<std::string>& clauses);

/// Whether a text, or its absence, satisfies the clause. An absent one satisfies nothing but IS NULL. Errors: INVALID_ARGUMENT
/// "track.filter" for an operator that texts do not have, or a number in place of a text.
Result<bool> text_matches(const FilterClause& clause, const std::optional<std::string>& value);
/// The same for numbers.
Result<bool> number_matches(const FilterClause& clause, std::optional<double> value);

/// SQL's LIKE: '%' is any text, '_' one character.
bool like(std::string_view text, std::string_view pattern, bool ignore_case);

}  // namespace trainyard::track
