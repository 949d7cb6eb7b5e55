#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/record_source.h"
#include "data/table_io.h"

namespace trainyard::data {

/// Columns of the dead letters of a version: source, line, raw, code, column, reason.
TableSchema dead_letter_schema();

/// Collects the dead letters of a task in a table file; memory stays bounded. No file is made when there are none. Not thread-safe.
class DeadLetterLog {
 public:
  DeadLetterLog(TableIo& tables, std::string path) : tables_(tables), path_(std::move(path)) {}

  /// Writes the letters and clears the list.
  Result<void> take(std::vector<DeadLetter>& letters);
  /// Finishes the file.
  Result<void> finish();

  std::int64_t count() const { return count_; }
  const std::string& path() const { return path_; }
  /// The first few letters, as text.
  const std::vector<std::string>& examples() const { return examples_; }

  /// Fails when more than `budget` (a fraction) of `rows_in` rows are dead. Errors: INVALID_ARGUMENT "data.dead_letter_budget" with the
  /// first few of them.
  Result<void> check_budget(std::int64_t rows_in, double budget) const;

 private:
  TableIo& tables_;
  std::string path_;
  std::unique_ptr<TableWriter> writer_;
  std::int64_t count_ = 0;
  std::vector<std::string> examples_;  ///< The first few, for the message.
};

}  // namespace trainyard::data
