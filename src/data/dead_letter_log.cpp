#include "data/dead_letter_log.h"

#include <fmt/format.h>

namespace trainyard::data {
namespace {

constexpr std::size_t kExamples = 5;

Table dead_letter_table(const std::vector<DeadLetter>& letters) {
  std::vector<std::string> sources, raw, codes, columns, reasons;
  std::vector<std::int64_t> lines;
  for (const DeadLetter& letter : letters) {
    sources.push_back(letter.source);
    lines.push_back(letter.line);
    raw.push_back(letter.raw);
    codes.push_back(letter.code);
    columns.push_back(letter.column);
    reasons.push_back(letter.reason);
  }
  Table table;
  table.rows = letters.size();
  table.columns.emplace_back(std::move(sources));
  table.columns.emplace_back(std::move(lines));
  for (std::vector<std::string>* column : {&raw, &codes, &columns, &reasons}) table.columns.emplace_back(std::move(*column));
  return table;
}

}  // namespace

TableSchema dead_letter_schema() {
  return {{"source", ColumnType::kString, 0}, {"line", ColumnType::kInt64, 0},    {"raw", ColumnType::kBinary, 0},
          {"code", ColumnType::kString, 0},   {"column", ColumnType::kString, 0}, {"reason", ColumnType::kString, 0}};
}

Result<void> DeadLetterLog::take(std::vector<DeadLetter>& letters) {
  if (letters.empty()) return {};
  if (!writer_) {
    ASSIGN_OR_RETURN(writer_, tables_.create(path_, dead_letter_schema(), {}));
  }
  for (const DeadLetter& letter : letters) {
    if (examples_.size() < kExamples) examples_.push_back(letter.text());
  }
  count_ += static_cast<std::int64_t>(letters.size());
  TRY(writer_->append(dead_letter_table(letters)));
  letters.clear();
  return {};
}

Result<void> DeadLetterLog::finish() { return writer_ ? writer_->finish() : Result<void>(); }

Result<void> DeadLetterLog::check_budget(std::int64_t rows_in, double budget) const {
  if (static_cast<double>(count_) <= budget * static_cast<double>(rows_in)) return {};
  return invalid_argument(
      "data.dead_letter_budget",
      fmt::format("too many malformed rows, so nothing was published; correct the sources or raise dead_letter_budget: {} of {} "
                  "rows, more than {:g} %; the first: {}",
                  count_, rows_in, budget * 100, fmt::join(examples_, "; ")));
}

}  // namespace trainyard::data
