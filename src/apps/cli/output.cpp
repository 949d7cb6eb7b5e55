#include "apps/cli/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <numeric>

#include "apps/cli/json_path.h"
#include "base/time.h"

namespace trainyard::apps {
namespace {

constexpr std::size_t kGap = 2;
/// A column is not cut below this.
constexpr std::size_t kColumnMin = 6;
/// "SUCCEEDED"
constexpr std::size_t kStateWidth = 9;

std::string padded(const std::string& text, std::size_t width) {
  const std::size_t used = columns_of(text);
  return used >= width ? text : text + std::string(width - used, ' ');
}

/// "a long text" -> "a long…", on one line and without control characters.
std::string cut(const std::string& text, std::size_t width) {
  if (columns_of(text) <= width) return fit(text, width);
  return fit(text, width - 1) + "…";
}

/// Takes from the widest column until the line fits.
void shrink_to(std::vector<std::size_t>& widths, std::size_t columns) {
  const auto total = [&widths] { return std::accumulate(widths.begin(), widths.end(), kGap * (widths.size() - 1)); };
  while (!widths.empty() && total() > columns) {
    std::size_t& widest = *std::max_element(widths.begin(), widths.end());
    if (widest <= kColumnMin) return;
    --widest;
  }
}

std::string json_path_text(std::string_view expression, const Document& document) {
  const Result<JsonPath> path = JsonPath::parse(expression);
  std::string text;
  if (!path.ok()) return text;  // Refused when the command line was read.
  for (const Document* found : path->find_in(document)) text += (found->is_string() ? found->text() : to_json(*found)) + "\n";
  return text;
}

/// None when the format is not one of those for programs.
std::optional<std::string> program_text(const OutputSettings& settings, const Document& document) {
  if (settings.format == "json") return to_pretty_json(document) + "\n";
  if (settings.format == "yaml") return to_yaml(document);
  if (settings.format == "ndjson") return to_json(document) + "\n";
  if (settings.format.starts_with("jsonpath=")) return json_path_text(std::string_view(settings.format).substr(9), document);
  return std::nullopt;
}

std::string id_text(const Document& item, const ResourceView& view) {
  const Document& id = item[view.id];
  return id.is_string() ? id.text() : to_json(id);
}

}  // namespace

bool is_for_people(const OutputSettings& settings) { return settings.format == "table" || settings.format == "wide"; }

std::string list_text(const OutputSettings& settings, const Document& page, const ResourceView& view) {
  const Document::Array& items = page[view.plural].items();
  std::string text;
  if (settings.quiet || settings.format == "name") {
    for (const Document& item : items) text += (settings.quiet ? "" : view.noun + "/") + id_text(item, view) + "\n";
    return text;
  }
  if (settings.format == "ndjson") {
    for (const Document& item : items) text += to_json(item) + "\n";
    return text;
  }
  if (std::optional<std::string> made = program_text(settings, page)) return *made;
  std::vector<const Document*> rows;
  for (const Document& item : items) rows.push_back(&item);
  return TableRows(view, settings).first(rows);
}

std::string item_text(const OutputSettings& settings, const Document& item, const ResourceView& view,
                      const std::function<std::string(const Document&)>& for_people) {
  if (settings.quiet) return id_text(item, view) + "\n";
  if (settings.format == "name") return view.noun + "/" + id_text(item, view) + "\n";
  return program_text(settings, item).value_or(is_for_people(settings) ? for_people(item) : "");
}

std::string document_text(const OutputSettings& settings, const Document& document,
                          const std::function<std::string(const Document&)>& for_people) {
  if (std::optional<std::string> made = program_text(settings, document)) return *made;
  return for_people(document);
}

TableRows::TableRows(const ResourceView& view, const OutputSettings& settings) : settings_(settings) {
  for (const Column& column : view.columns) {
    if (!column.wide || settings.format == "wide") columns_.push_back(column);
  }
}

std::vector<std::string> TableRows::cells(const Document& item) const {
  std::vector<std::string> cells;
  for (const Column& column : columns_) {
    const std::string text = column.show != nullptr ? column.show(item) : cell(column.key, member_at(item, column.key));
    cells.push_back(fit(text, SIZE_MAX));
  }
  return cells;
}

std::string TableRows::first(const std::vector<const Document*>& items, bool more_will_come) {
  std::vector<std::vector<std::string>> rows;
  for (const Document* item : items) rows.push_back(cells(*item));
  std::vector<std::string> header;
  widths_.clear();
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    header.push_back(columns_[i].title);
    std::size_t width = columns_of(columns_[i].title);
    for (const std::vector<std::string>& row : rows) width = std::max(width, columns_of(row[i]));
    widths_.push_back(more_will_come && columns_[i].state ? std::max(width, kStateWidth) : width);
  }
  if (settings_.is_terminal && settings_.format != "wide") shrink_to(widths_, settings_.style.columns);
  std::string text = line(header, true);
  for (const std::vector<std::string>& row : rows) text += line(row, false);
  return text;
}

std::string TableRows::next(const Document& item) { return line(cells(item), false); }

std::string TableRows::line(const std::vector<std::string>& cells, bool header) const {
  std::string text;
  const bool cuts = settings_.is_terminal && settings_.format != "wide";
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const bool last = i + 1 == cells.size();
    const std::string shown = cuts ? cut(cells[i], std::max<std::size_t>(widths_[i], 1)) : cells[i];
    std::string part = last ? shown : padded(shown, widths_[i] + kGap);
    if (columns_[i].state && !header && settings_.style.color && !shown.empty()) {
      part = fmt::format("{}{}\x1b[0m{}", color_of_state(cells[i]), shown, part.substr(shown.size()));
    }
    text += part;
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text + "\n";
}

std::string table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::string& title : header) widths.push_back(columns_of(title));
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  const auto line = [&widths](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i) text += i + 1 < cells.size() ? padded(cells[i], widths[i] + kGap) : cells[i];
    text.erase(text.find_last_not_of(' ') + 1);
    return text + "\n";
  };
  std::string text = line(header);
  for (const auto& row : rows) text += line(row);
  return text;
}

std::string cell(std::string_view key, const Document& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return key.ends_with("_at") || key == "last_seen" || key == "time" ? age(value.text()) : value.text();
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  for (const auto& [name, item] : value.members()) add(name + "=" + cell(name, item));
  for (const Document& item : value.items()) {
    // A layer of a dataset: its newest version says enough.
    add(item["layer"].is_null() ? cell("", item) : fmt::format("{}@{}", item["layer"].text(), cell("", item["version"])));
  }
  if (value.is_object() || value.is_array()) return text.empty() ? "-" : text;
  return to_json(value);
}

const Document& member_at(const Document& item, std::string_view path) {
  const std::size_t dot = path.find('.');
  const Document& member = item[path.substr(0, dot)];
  return dot == std::string_view::npos ? member : member_at(member, path.substr(dot + 1));
}

std::string age(const std::string& rfc3339) {
  const Result<TimePoint> time = parse_rfc3339(rfc3339);
  if (!time.ok()) return "-";
  const auto seconds = std::max<std::int64_t>(0, (SystemClock().now() - *time).count() / 1'000'000);
  if (seconds < 120) return fmt::format("{}s ago", seconds);
  if (seconds < 7200) return fmt::format("{}m ago", seconds / 60);
  if (seconds < 172'800) return fmt::format("{}h ago", seconds / 3600);
  return fmt::format("{}d ago", seconds / 86'400);
}

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char letter) { return (static_cast<unsigned char>(letter) & 0xC0U) != 0x80U; }));
}

void write_out(std::FILE* stream, std::string_view text) {
  if (is_lost(stream)) return;
  const bool written = std::fwrite(text.data(), 1, text.size(), stream) == text.size() && std::fflush(stream) == 0;
  if (written) return;
  const int cause = errno;
  if (cause == EPIPE) {
    // Where SIGPIPE is ignored, as under some parents, the write fails instead: the same end.
    std::signal(SIGPIPE, SIG_DFL);
    (void)std::raise(SIGPIPE);
  }
  if (stream == stderr) return;
  fmt::print(stderr, "error: cli.output: the output cannot be written, what was printed is not all of it: {}\n", std::strerror(cause));
}

bool is_lost(std::FILE* stream) { return std::ferror(stream) != 0; }

}  // namespace trainyard::apps
