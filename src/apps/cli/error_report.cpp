#include "apps/cli/error_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "apps/cli/task_lines.h"

namespace trainyard::apps {
namespace {

/// Of a source line; longer ones are cut around the place.
constexpr std::size_t kSourceColumns = 110;

std::optional<std::size_t> last_number(std::string_view& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view digits = text.substr(colon + 1);
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  text = text.substr(0, colon);
  return value;
}

/// "line 4, column 8" -> "train.json:4:8"; empty when `where` is of another form.
std::string place_of_line(std::string_view where, const std::string& source) {
  constexpr std::string_view kLine = "line ";
  constexpr std::string_view kColumn = ", column ";
  const std::size_t column = where.find(kColumn);
  if (!where.starts_with(kLine) || column == std::string_view::npos) return "";
  return fmt::format("{}:{}:{}", source, where.substr(kLine.size(), column - kLine.size()), where.substr(column + kColumn.size()));
}

/// "/tasks" -> "train.yaml:4:8" when the file that was sent says so.
std::string located(const std::string& where, const std::string& source, const SourceReader& read) {
  if (const std::string place = source.empty() ? std::string() : place_of_line(where, source); !place.empty()) return place;
  if (!where.starts_with('/') || source.empty() || parse_file_place(where)) return where;
  constexpr std::string_view kWrapped = "/submit";  // A spec inside the question `what-if`.
  const std::string_view pointer = where.starts_with(kWrapped) ? std::string_view(where).substr(kWrapped.size()) : where;
  const std::optional<std::string> text = read(source);
  if (!text) return where;
  const Result<Document> document = parse_yaml(*text, source);
  // A text that cannot be read has its fault where reading it ends.
  return document.ok() ? place_of(*document, pointer) : document.error().where;
}

std::string caret_at(const std::string& where, const SourceReader& read) {
  const std::optional<FilePlace> place = parse_file_place(where);
  if (!place) return "";
  const std::optional<std::string> text = read(place->file);
  return text ? caret_lines(*place, *text) : "";
}

/// What else was wrong: every entry of `errors` but the one that the error itself tells of.
std::string other_faults(const Document& problem, const std::string& source, const SourceReader& read) {
  std::string out;
  const Document::Array& errors = problem["errors"].items();
  for (std::size_t i = 1; i < errors.size(); ++i) {
    const std::string where = located(errors[i]["pointer"].text(), source, read);
    out += fmt::format("  also: {}{}{}\n", where, where.empty() ? "" : ": ", errors[i]["detail"].text()) + caret_at(where, read);
    if (const std::string& hint = errors[i]["suggestion"].text(); !hint.empty()) out += fmt::format("  did you mean: {}\n", hint);
  }
  return out;
}

/// A line as it can be shown: what is no UTF-8 is replaced.
std::string readable(std::string_view line) {
  const Result<Document> clean = parse_json(to_json(Document(line)));
  return clean.ok() ? clean->text() : "";
}

bool names_a_command(std::string_view text) {
  return text.find("`trainyard ") != std::string_view::npos || text.find(": trainyard ") != std::string_view::npos;
}

}  // namespace

std::optional<FilePlace> parse_file_place(std::string_view text) {
  FilePlace place;
  const std::optional<std::size_t> column = last_number(text);
  const std::optional<std::size_t> line = column ? last_number(text) : std::nullopt;
  if (!line || text.empty() || *line == 0) return std::nullopt;
  return FilePlace{std::string(text), *line, std::max<std::size_t>(1, *column)};
}

std::string caret_lines(const FilePlace& place, std::string_view text) {
  for (std::size_t line = 1; line < place.line; ++line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return "";
    text.remove_prefix(end + 1);
  }
  const std::string line = readable(text.substr(0, text.find_first_of("\r\n")));
  text = line;
  std::size_t at = place.column - 1;
  if (at > text.size()) return "";
  const std::size_t word_end = std::min(text.find_first_of(" \t,:]}#", at + 1), text.size());
  std::size_t marks = std::max<std::size_t>(1, word_end > at ? word_end - at : 1);
  if (at + 20 > kSourceColumns) {
    const std::size_t cut = at - kSourceColumns / 2;
    text.remove_prefix(cut);
    at -= cut;
  }
  text = text.substr(0, kSourceColumns);
  marks = std::min(marks, std::max<std::size_t>(1, kSourceColumns - std::min(at, kSourceColumns)));
  const std::string number = std::to_string(place.line);
  return fmt::format("  {} | {}\n  {} | {}^{}\n", number, fit(text, SIZE_MAX), std::string(number.size(), ' '), std::string(at, ' '),
                     std::string(marks - 1, '~'));
}

std::string_view next_step(const Error& error) {
  if (error.id == "cli.usage" || names_a_command(error.message)) return "";
  switch (error.category) {
    case Category::kNotFound:
      if (error.id.starts_with("job.")) return "`trainyard job ls` lists the jobs";
      if (error.id.starts_with("node.")) return "`trainyard node ls` lists the nodes";
      if (error.id.starts_with("queue.")) return "`trainyard queue ls` lists the queues";
      return "";
    case Category::kUnauthenticated:
      return "`trainyard config explain token_file` says which token is used";
    case Category::kPermissionDenied:
      return "`trainyard whoami` says what you may do";
    case Category::kUnavailable:
    case Category::kDeadlineExceeded:
      return "`trainyard doctor` looks at the server and this machine";
    case Category::kResourceExhausted:
      return "`trainyard queue ls` and `trainyard usage` show what is used";
    case Category::kInvalidArgument:
      return error.id.starts_with("spec.") ? "`trainyard job submit --dry-run` checks a spec without running it" : "";
    case Category::kFailedPrecondition:
    case Category::kCancelled:
    case Category::kUnknown:
    case Category::kAlreadyExists:
    case Category::kAborted:
    case Category::kOutOfRange:
    case Category::kUnimplemented:
    case Category::kInternal:
    case Category::kDataLoss:
      return "";
  }
  return "";
}

std::string error_report(const Error& error, const Document& problem, const std::string& source, const SourceReader& read) {
  if (error.id == "cli.usage") {
    const std::string next = error.where.empty() ? "" : fmt::format("next: `{}` explains it\n", error.where);
    return fmt::format("error: {}: {}\n{}", error.id, error.message, next);
  }
  Error shown = error;
  shown.where = located(error.where, source, read);
  if (shown.where.empty() && !source.empty() && error.id.starts_with("spec.")) shown.where = source + ":1:1";
  shown.context.clear();
  std::string out = fmt::format("error: {}\n", shown.describe()) + caret_at(shown.where, read);
  const Document::Array& errors = problem["errors"].items();
  const std::string hint = errors.empty() ? "" : errors.front()["suggestion"].text();
  if (!hint.empty() && error.message.find(hint) == std::string::npos) out += fmt::format("  did you mean: {}\n", hint);
  out += other_faults(problem, source, read);
  for (const std::string& line : error.context) out += fmt::format("  why: {}\n", line);
  if (const std::string_view next = next_step(error); !next.empty()) out += fmt::format("  next: {}\n", next);
  if (const std::string& type = problem["type"].text(); type.starts_with("http")) out += fmt::format("  docs: {}\n", type);
  if (const std::string& request = problem["request_id"].text(); !request.empty()) out += fmt::format("  request: {}\n", request);
  return out;
}

}  // namespace trainyard::apps
