#pragma once
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/cli/task_lines.h"
#include "base/document.h"

namespace trainyard::apps {

/// A column of a listing.
struct Column {
  std::string title;
  std::string key;                                 ///< Path of members in an item: "used.cpu".
  std::string (*show)(const Document&) = nullptr;  ///< Gets the whole item; null: the member in short, times as ages.
  bool wide = false;                               ///< Only with -o wide.
  bool state = false;                              ///< Coloured on a terminal.
};

/// How things of one kind are listed.
struct ResourceView {
  std::string noun;    ///< "job", as in `-o name`: job/17.
  std::string plural;  ///< Key of the list in an answer.
  std::string id;      ///< Member that names one: "id" or "name".
  std::vector<Column> columns;
};

/// How a command prints, from -o, -q and the terminal.
struct OutputSettings {
  std::string format = "table";  ///< As is_output_format.
  bool quiet = false;
  OutputStyle style;
  bool is_terminal = false;  ///< Tables are cut to its width.
};

/// A list in the asked format. `page` is the answer as it came; tables, names and ids are made of its items.
std::string list_text(const OutputSettings& settings, const Document& page, const ResourceView& view);
/// One thing; `for_people` is what table and wide show.
std::string item_text(const OutputSettings& settings, const Document& item, const ResourceView& view,
                      const std::function<std::string(const Document&)>& for_people);
/// A document that is no resource: for_people, or one of the formats for programs. With `name` it is shown to people.
std::string document_text(const OutputSettings& settings, const Document& document,
                          const std::function<std::string(const Document&)>& for_people);
/// True when the format is for people: table or wide.
bool is_for_people(const OutputSettings& settings);

/// Rows of a listing that come one after the other, as when it is watched: columns stay where they are.
class TableRows {
 public:
  TableRows(const ResourceView& view, const OutputSettings& settings);
  /// The header and all rows, aligned. When more rows will come, there is room for every state.
  std::string first(const std::vector<const Document*>& items, bool more_will_come = false);
  std::string next(const Document& item);

 private:
  std::vector<std::string> cells(const Document& item) const;
  std::string line(const std::vector<std::string>& cells, bool header) const;

  std::vector<Column> columns_;
  OutputSettings settings_;
  std::vector<std::size_t> widths_;
};

/// Prints columns aligned, with a header; for people.
std::string table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);
/// A value as a cell of a table: times as ages, lists and objects in short.
std::string cell(std::string_view key, const Document& value);
/// The member at a path "used.cpu"; null when there is none.
const Document& member_at(const Document& item, std::string_view path);
/// "12s ago", "3m ago".
std::string age(const std::string& rfc3339);
/// Columns of a terminal that a UTF-8 text takes, one for each code point.
std::size_t columns_of(std::string_view text);

/// Writes to a stream at once. When the reader is gone the process ends as by SIGPIPE, without a word. Any other failure is said on stderr
/// with its cause, once, and stays with the stream: from then on nothing is written to it.
void write_out(std::FILE* stream, std::string_view text);
/// True once something could not be written to the stream.
bool is_lost(std::FILE* stream);

}  // namespace trainyard::apps
