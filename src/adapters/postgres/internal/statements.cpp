#include "adapters/postgres/internal/statements.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "adapters/postgres/internal/dialect.h"

namespace trainyard::adapters::postgres::internal {
namespace {

constexpr std::size_t kStatementsMax = 256;

// Of pg_type, fixed for ever (https://www.postgresql.org/docs/15/datatype-oid.html; catalog/pg_type.dat).
constexpr Oid kBool = 16;
constexpr Oid kBytes = 17;
constexpr Oid kBigint = 20;
constexpr Oid kSmallint = 21;
constexpr Oid kInteger = 23;
constexpr Oid kText = 25;
constexpr Oid kReal = 700;
constexpr Oid kDouble = 701;
constexpr Oid kFixedText = 1042;
constexpr Oid kBoundedText = 1043;
constexpr Oid kNumeric = 1700;

std::string_view brief(std::string_view sql) { return sql.substr(0, 200); }

template <typename Number>
std::optional<Number> number_from(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<store::SqlValue> value_of(Oid type, std::string_view text) {
  const auto unreadable = [&] {
    return internal_error("db.sql", fmt::format("a value is not what its type says: {}", text.substr(0, 100)));
  };
  switch (type) {
    case kBool:
      return store::SqlValue(std::int64_t{text == "t"});
    case kBigint:
    case kInteger:
    case kSmallint:
    case kNumeric:
      // A sum of integers is numeric.
      if (const auto integer = number_from<std::int64_t>(text)) return store::SqlValue(*integer);
      if (type != kNumeric) return unreadable();
      [[fallthrough]];
    case kReal:
    case kDouble:
      if (const auto real = number_from<double>(text)) return store::SqlValue(*real);
      return unreadable();
    case kBytes: {
      std::size_t size = 0;
      // The text ends with a NUL byte, as all that libpq hands out.
      const std::string escaped(text);
      unsigned char* bytes = PQunescapeBytea(static_cast<const unsigned char*>(static_cast<const void*>(escaped.c_str())), &size);
      if (bytes == nullptr) return unreadable();
      std::string plain(static_cast<const char*>(static_cast<const void*>(bytes)), size);
      PQfreemem(bytes);
      return store::SqlValue(std::move(plain));
    }
    default:
      return store::SqlValue(std::string(text));
  }
}

bool takes_bytes(Oid type) { return type == kText || type == kBytes || type == kFixedText || type == kBoundedText; }

/// `written` keeps the text of a number.
Result<Bound> bound_of(const store::SqlValue& value, Oid type, std::string& written) {
  if (std::holds_alternative<std::monostate>(value)) return Bound{.is_null = true};
  if (const auto* text = std::get_if<std::string>(&value)) {
    if (takes_bytes(type)) return Bound{.bytes = *text, .binary = true};
    if (text->find('\0') != std::string::npos) return internal_error("db.sql", "a text with a NUL byte was given where a number is due");
    return Bound{.bytes = *text};
  }
  const auto* integer = std::get_if<std::int64_t>(&value);
  written = integer != nullptr ? fmt::format("{}", *integer) : fmt::format("{}", std::get<double>(value));
  return Bound{.bytes = written};
}

}  // namespace

Result<const Statements::Prepared*> Statements::prepare(std::string_view sql) {
  if (const auto found = prepared_.find(sql); found != prepared_.end()) return &found->second;
  if (prepared_.size() >= kStatementsMax) {
    TRY(session_.run("DEALLOCATE ALL"));
    forget();
  }
  const Translated translated = translate(sql);
  Prepared prepared;
  prepared.name = fmt::format("s{}", ++next_name_);
  TRY(session_.prepare(prepared.name, translated.sql));
  ASSIGN_OR_RETURN(const PgResult description, session_.describe(prepared.name));
  for (int i = 0; i < PQnparams(description.get()); ++i) prepared.parameter_types.push_back(PQparamtype(description.get(), i));
  return &prepared_.emplace(sql, std::move(prepared)).first->second;
}

Result<PgResult> Statements::run(std::string_view sql, const std::vector<store::SqlValue>& parameters) {
  ASSIGN_OR_RETURN(const Prepared* prepared, prepare(sql));
  if (prepared->parameter_types.size() != parameters.size()) {
    return internal_error("db.sql", fmt::format("a statement takes {} parameters, not {}: {}", prepared->parameter_types.size(),
                                                parameters.size(), brief(sql)));
  }
  std::vector<std::string> written(parameters.size());
  std::vector<Bound> bounds;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    ASSIGN_OR_RETURN(const Bound bound, bound_of(parameters[i], prepared->parameter_types[i], written[i]));
    bounds.push_back(bound);
  }
  Result<PgResult> result = session_.execute(prepared->name, bounds, false);
  if (!result.ok()) return std::move(result).error().with_context(fmt::format("running {}", brief(sql)));
  return result;
}

Result<std::vector<store::Row>> rows_of(const PGresult& result) {
  std::vector<store::Row> rows;
  const int columns = PQnfields(&result);
  for (int row = 0; row < PQntuples(&result); ++row) {
    std::vector<store::SqlValue> values;
    values.reserve(static_cast<std::size_t>(columns));
    for (int column = 0; column < columns; ++column) {
      if (PQgetisnull(&result, row, column) != 0) {
        values.emplace_back(std::monostate{});
        continue;
      }
      ASSIGN_OR_RETURN(store::SqlValue value, value_of(PQftype(&result, column), text_at(result, row, column)));
      values.push_back(std::move(value));
    }
    rows.emplace_back(std::move(values));
  }
  return rows;
}

std::int64_t changed_rows(PGresult& result) {
  const std::string_view tag = PQcmdStatus(&result);
  if (!tag.starts_with("INSERT") && !tag.starts_with("UPDATE") && !tag.starts_with("DELETE")) return 0;
  return number_from<std::int64_t>(PQcmdTuples(&result)).value_or(0);
}

}  // namespace trainyard::adapters::postgres::internal
