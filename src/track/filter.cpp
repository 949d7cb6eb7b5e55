#include "track/filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

namespace trainyard::track {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return result;
}

Error filter_error(std::string_view text) {
  return invalid_argument("track.filter", fmt::format("Invalid clause(s) in filter string: '{}'", text));
}

struct Token {
  enum class Kind { kWord, kQuoted, kIdentifier, kNumber, kOperator, kEnd };
  Kind kind = Kind::kEnd;
  std::string text;
};

constexpr std::string_view kOperatorCharacters = "=!<>";

bool is_word_character(char c) { return std::string_view(" \t\r\n'\"`(),=!<>").find(c) == std::string_view::npos; }

/// Cuts a filter into words, quoted texts, back-quoted identifiers, numbers and operators.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<Token> next() {
    position_ = std::min(text_.find_first_not_of(" \t\r\n", position_), text_.size());
    if (position_ == text_.size()) return Token{};
    const char c = text_[position_];
    if (c == '\'' || c == '"') return quoted(c, Token::Kind::kQuoted);
    if (c == '`') return quoted(c, Token::Kind::kIdentifier);
    if (c == '(' || c == ')' || c == ',') return Token{Token::Kind::kOperator, std::string(1, text_[position_++])};
    if (kOperatorCharacters.find(c) != std::string_view::npos)
      return run(Token::Kind::kOperator, [](char d) { return kOperatorCharacters.find(d) != std::string_view::npos; });
    Token word = run(Token::Kind::kWord, is_word_character);
    // A key may go on quoted after its type: metrics."my key", tags.`a.b`.
    if (word.text.ends_with('.') && position_ < text_.size() && (text_[position_] == '"' || text_[position_] == '`')) {
      ASSIGN_OR_RETURN(const Token rest, quoted(text_[position_], Token::Kind::kQuoted));
      return Token{Token::Kind::kIdentifier, word.text + rest.text};
    }
    if (is_number(word.text)) word.kind = Token::Kind::kNumber;
    return word;
  }

 private:
  static bool is_number(std::string_view text) {
    double value = 0;
    if (text.starts_with('+')) text.remove_prefix(1);
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    return code == std::errc() && end == text.data() + text.size();
  }

  Result<Token> quoted(char quote, Token::Kind kind) {
    const std::size_t end = text_.find(quote, position_ + 1);
    if (end == std::string_view::npos) return filter_error(text_.substr(position_));
    Token token{kind, std::string(text_.substr(position_ + 1, end - position_ - 1))};
    position_ = end + 1;
    return token;
  }

  template <typename Belongs>
  Token run(Token::Kind kind, Belongs belongs) {
    const std::size_t start = position_;
    while (position_ < text_.size() && belongs(text_[position_])) ++position_;
    return {kind, std::string(text_.substr(start, position_ - start))};
  }

  std::string_view text_;
  std::size_t position_ = 0;
};

/// "metrics.a.b" -> metric, "a.b". A bare key, or a dotted one whose first part is no type, is an attribute.
std::pair<std::string, std::string> type_and_key(std::string_view identifier) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 13> kTypes{{{"metric", "metric"},
                                                                                         {"metrics", "metric"},
                                                                                         {"param", "param"},
                                                                                         {"params", "param"},
                                                                                         {"parameter", "param"},
                                                                                         {"parameters", "param"},
                                                                                         {"tag", "tag"},
                                                                                         {"tags", "tag"},
                                                                                         {"attribute", "attribute"},
                                                                                         {"attributes", "attribute"},
                                                                                         {"attr", "attribute"},
                                                                                         {"run", "attribute"},
                                                                                         {"dataset", "dataset"}}};
  const std::size_t dot = identifier.find('.');
  if (dot != std::string_view::npos) {
    const std::string first = lower(identifier.substr(0, dot));
    for (const auto& [written, type] : kTypes) {
      if (written == first || (type == "dataset" && first == "datasets"))
        return {std::string(type), std::string(identifier.substr(dot + 1))};
    }
  }
  return {"attribute", std::string(identifier)};
}

std::optional<Comparison> comparison_from(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, Comparison>, 8> kComparisons{{{"=", Comparison::kEqual},
                                                                                        {"!=", Comparison::kNotEqual},
                                                                                        {">", Comparison::kGreater},
                                                                                        {">=", Comparison::kGreaterEqual},
                                                                                        {"<", Comparison::kLess},
                                                                                        {"<=", Comparison::kLessEqual},
                                                                                        {"like", Comparison::kLike},
                                                                                        {"ilike", Comparison::kIlike}}};
  for (const auto& [written, comparison] : kComparisons) {
    if (written == lower(text)) return comparison;
  }
  return std::nullopt;
}

class FilterParser {
 public:
  explicit FilterParser(std::string_view text) : text_(text), lexer_(text) {}

  Result<std::vector<FilterClause>> parse() {
    std::vector<FilterClause> clauses;
    TRY(advance());
    if (at_end()) return clauses;
    for (;;) {
      ASSIGN_OR_RETURN(FilterClause clause, parse_clause());
      clauses.push_back(std::move(clause));
      if (at_end()) return clauses;
      if (!is_word("and")) return filter_error(token_.text);
      TRY(advance());
    }
  }

 private:
  bool at_end() const { return token_.kind == Token::Kind::kEnd; }
  bool is_word(std::string_view word) const { return token_.kind == Token::Kind::kWord && lower(token_.text) == word; }
  bool is_operator(std::string_view text) const { return token_.kind == Token::Kind::kOperator && token_.text == text; }

  Result<void> advance() {
    ASSIGN_OR_RETURN(token_, lexer_.next());
    return {};
  }

  Result<FilterClause> parse_clause() {
    if (at_end() || token_.kind == Token::Kind::kOperator || token_.kind == Token::Kind::kNumber) return filter_error(text_);
    FilterClause clause;
    std::tie(clause.type, clause.key) = type_and_key(token_.text);
    TRY(advance());
    if (is_word("is")) return parse_null_test(std::move(clause));
    const bool negated = is_word("not");
    if (negated) TRY(advance());
    if (is_word("in")) return parse_in(std::move(clause), negated);
    const std::optional<Comparison> comparison = comparison_from(token_.text);
    if (negated || !comparison) return filter_error(at_end() ? std::string(text_) : token_.text);
    clause.comparison = *comparison;
    TRY(advance());
    TRY(parse_literal(clause));
    return clause;
  }

  Result<FilterClause> parse_null_test(FilterClause clause) {
    TRY(advance());
    clause.comparison = is_word("not") ? Comparison::kIsNotNull : Comparison::kIsNull;
    if (clause.comparison == Comparison::kIsNotNull) TRY(advance());
    if (!is_word("null")) return filter_error(text_);
    TRY(advance());
    return clause;
  }

  Result<FilterClause> parse_in(FilterClause clause, bool negated) {
    clause.comparison = negated ? Comparison::kNotIn : Comparison::kIn;
    TRY(advance());
    if (!is_operator("(")) return filter_error(text_);
    do {
      TRY(advance());
      TRY(parse_literal(clause));
    } while (is_operator(","));
    if (!is_operator(")")) return filter_error(text_);
    TRY(advance());
    return clause;
  }

  Result<void> parse_literal(FilterClause& clause) {
    FilterLiteral literal{token_.text, std::nullopt};
    if (token_.kind == Token::Kind::kNumber) {
      double value = 0;
      const std::string_view digits = std::string_view(token_.text).substr(token_.text.starts_with('+') ? 1 : 0);
      std::from_chars(digits.data(), digits.data() + digits.size(), value);
      literal.number = value;
    } else if (token_.kind != Token::Kind::kQuoted) {
      return filter_error(at_end() ? std::string(text_) : token_.text);
    }
    clause.literals.push_back(std::move(literal));
    return advance();
  }

  std::string_view text_;
  Lexer lexer_;
  Token token_;
};

Error wrong_operator(const FilterClause& clause, std::string_view kind) {
  return invalid_argument("track.filter", fmt::format("Invalid comparator for {} '{}.{}' in filter string", kind, clause.type, clause.key));
}

/// '%' and '_' over bytes; `text` and `pattern` are already in one case.
bool like_bytes(std::string_view text, std::string_view pattern) {
  std::size_t t = 0;
  std::size_t p = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '%') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() && (pattern[p] == '_' || pattern[p] == text[t])) {
      ++t;
      ++p;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '%') ++p;
  return p == pattern.size();
}

}  // namespace

Result<std::vector<FilterClause>> parse_filter(std::string_view text) { return FilterParser(text).parse(); }

Result<std::vector<OrderClause>> parse_order_by(const std::vector<std::string>& clauses) {
  std::vector<OrderClause> orders;
  std::set<std::pair<std::string, std::string>> seen;
  for (const std::string& text : clauses) {
    const Error bad = invalid_argument("track.order_by", fmt::format("Invalid ordering key in order_by clause '{}'", text));
    Lexer lexer(text);
    ASSIGN_OR_RETURN(const Token identifier, lexer.next());
    ASSIGN_OR_RETURN(const Token direction, lexer.next());
    ASSIGN_OR_RETURN(const Token rest, lexer.next());
    const std::string word = lower(direction.text);
    const bool well_formed = !identifier.text.empty() && identifier.kind != Token::Kind::kOperator && rest.kind == Token::Kind::kEnd;
    if (!well_formed || (!word.empty() && word != "asc" && word != "desc")) return bad;
    OrderClause order;
    std::tie(order.type, order.key) = type_and_key(identifier.text);
    order.ascending = word != "desc";
    if (!seen.emplace(order.type, order.key).second) {
      return invalid_argument("track.order_by", fmt::format("`order_by` contains duplicate fields: ['{}']", fmt::join(clauses, "', '")));
    }
    orders.push_back(std::move(order));
  }
  return orders;
}

bool like(std::string_view text, std::string_view pattern, bool ignore_case) {
  return ignore_case ? like_bytes(lower(text), lower(pattern)) : like_bytes(text, pattern);
}

Result<bool> text_matches(const FilterClause& clause, const std::optional<std::string>& value) {
  if (clause.comparison == Comparison::kIsNull) return !value.has_value();
  if (clause.comparison == Comparison::kIsNotNull) return value.has_value();
  for (const FilterLiteral& literal : clause.literals) {
    if (literal.number) {
      return invalid_argument("track.filter",
                              fmt::format("Expected a quoted string value for {} '{}', got {}", clause.type, clause.key, literal.text));
    }
  }
  const auto listed = [&] {
    return std::any_of(clause.literals.begin(), clause.literals.end(),
                       [&](const FilterLiteral& literal) { return literal.text == *value; });
  };
  const std::string& literal = clause.literals.front().text;
  switch (clause.comparison) {
    case Comparison::kEqual:
      return value && *value == literal;
    case Comparison::kNotEqual:
      return value && *value != literal;
    case Comparison::kLike:
      return value && like(*value, literal, false);
    case Comparison::kIlike:
      return value && like(*value, literal, true);
    case Comparison::kIn:
      return value && listed();
    case Comparison::kNotIn:
      return value && !listed();
    case Comparison::kIsNull:
    case Comparison::kIsNotNull:
    case Comparison::kGreater:
    case Comparison::kGreaterEqual:
    case Comparison::kLess:
    case Comparison::kLessEqual:
      return wrong_operator(clause, "text");
  }
  return false;
}

Result<bool> number_matches(const FilterClause& clause, std::optional<double> value) {
  if (clause.literals.size() != 1) return wrong_operator(clause, "number");
  if (!clause.literals.front().number) {
    return invalid_argument("track.filter", fmt::format("Expected numeric value type for {} '{}', got '{}'", clause.type, clause.key,
                                                        clause.literals.front().text));
  }
  const double literal = *clause.literals.front().number;
  switch (clause.comparison) {
    case Comparison::kEqual:
      return value && *value == literal;
    case Comparison::kNotEqual:
      return value && *value != literal;
    case Comparison::kGreater:
      return value && *value > literal;
    case Comparison::kGreaterEqual:
      return value && *value >= literal;
    case Comparison::kLess:
      return value && *value < literal;
    case Comparison::kLessEqual:
      return value && *value <= literal;
    case Comparison::kLike:
    case Comparison::kIlike:
    case Comparison::kIn:
    case Comparison::kNotIn:
    case Comparison::kIsNull:
    case Comparison::kIsNotNull:
      return wrong_operator(clause, "number");
  }
  return false;
}

}  // namespace trainyard::track
