#include "adapters/postgres/internal/dialect.h"

#include <cctype>

namespace trainyard::adapters::postgres::internal {
namespace {

bool is_word(char letter) { return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_' || letter == '$'; }

/// Length of the literal, quoted name or comment at the front; 0 when there is none. One that does not end reaches to the end.
std::size_t fixed_length(std::string_view sql) {
  const auto up_to = [&](std::string_view end, std::size_t from) {
    const std::size_t at = sql.find(end, from);
    return at == std::string_view::npos ? sql.size() : at + end.size();
  };
  if (sql.starts_with('\'')) return up_to("'", 1);
  if (sql.starts_with('"')) return up_to("\"", 1);
  if (sql.starts_with("--")) return up_to("\n", 2);
  if (sql.starts_with("/*")) return up_to("*/", 2);
  return 0;
}

std::string_view word_at(std::string_view sql) {
  std::size_t size = 0;
  while (size < sql.size() && is_word(sql[size])) ++size;
  return sql.substr(0, size);
}

bool defines(std::string_view sql) {
  const std::size_t start = sql.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return false;
  const std::string_view first = word_at(sql.substr(start));
  return first == "CREATE" || first == "ALTER";
}

}  // namespace

Translated translate(std::string_view sql) {
  Translated translated;
  const bool types = defines(sql);
  while (!sql.empty()) {
    if (const std::size_t fixed = fixed_length(sql); fixed > 0) {
      translated.sql += sql.substr(0, fixed);
      sql.remove_prefix(fixed);
    } else if (const std::string_view word = word_at(sql); !word.empty()) {
      translated.sql += types && word == "BLOB" ? "BYTEA" : word;
      if (types && word == "TEXT") translated.sql += " COLLATE \"C\"";
      sql.remove_prefix(word.size());
    } else {
      translated.sql += sql.front() == '?' ? "$" + std::to_string(++translated.parameters) : std::string(1, sql.front());
      sql.remove_prefix(1);
    }
  }
  return translated;
}

}  // namespace trainyard::adapters::postgres::internal
