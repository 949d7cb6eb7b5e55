#include "apps/cli/top_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/cli/output.h"
#include "apps/cli/resources.h"
#include "base/describe.h"

namespace trainyard::apps {
namespace {

constexpr std::size_t kBarWidth = 12;
constexpr std::size_t kPage = 10;
constexpr std::size_t kQueuesMax = 4;

std::string heading(std::string_view text, const OutputStyle& style) {
  const std::string line = fit(text, style.columns);
  return style.color ? "\x1b[1m" + line + "\x1b[0m" : line;
}

/// A line cut to the screen; the state in it coloured, the whole of it reversed when it is selected.
std::string row(const std::string& text, const std::string& state, bool selected, const OutputStyle& style) {
  std::string line = fit((selected ? "> " : "  ") + text, style.columns);
  if (selected && style.live)
    return "\x1b[7m" + line + std::string(style.columns - std::min(style.columns, columns_of(line)), ' ') + "\x1b[0m";
  const std::size_t at = state.empty() || !style.color ? std::string::npos : line.find(state);
  if (at == std::string::npos) return line;
  return line.substr(0, at) + std::string(color_of_state(state)) + state + "\x1b[0m" + line.substr(at + state.size());
}

std::string count_states(const std::vector<Document>& jobs) {
  std::size_t running = 0;
  std::size_t queued = 0;
  for (const Document& job : jobs) {
    running += job["state"].text() == "RUNNING" ? 1 : 0;
    queued += job["state"].text() == "QUEUED" ? 1 : 0;
  }
  return fmt::format("{} running, {} queued", running, queued);
}

double number(const Document& value) {
  if (value.is_array()) return static_cast<double>(value.items().size());
  if (value.is_string()) {
    const Result<ByteSize> size = parse_byte_size(value.text());
    return size.ok() ? static_cast<double>(size->bytes) : value.as_double().value_or(0);
  }
  return value.as_double().value_or(0);
}

std::string node_state(const Document& node) {
  const std::string& state = node["state"].text();
  return !state.empty() ? state : node["ready"].as_bool().value_or(false) ? "ready" : "down";
}

std::string gib(double bytes) { return fmt::format("{:.1f}", bytes / (1 << 30)); }

std::string node_line(const Document& node) {
  const Document& used = node["used"];
  std::string line = fmt::format("{:<16} {:<9}", fit(node["name"].text(), 16), node_state(node));
  const double cpu = number(node["cpu"]);
  line += fmt::format(" cpu {} {:>9}", bar(number(used["cpu"]), cpu, kBarWidth), fmt::format("{:.4g}/{:.4g}", number(used["cpu"]), cpu));
  const double memory = number(node["memory"]);
  line +=
      fmt::format(" mem {} {:>13}", bar(number(used["memory"]), memory, kBarWidth), gib(number(used["memory"])) + "/" + gib(memory) + "G");
  const double gpus = number(node["gpus"]);
  if (gpus > 0) line += fmt::format(" gpu {} {:.4g}/{:.4g}", bar(number(used["gpu"]), gpus, kBarWidth), number(used["gpu"]), gpus);
  return line;
}

std::string queue_line(const Document& queue) {
  const bool stopped = queue["stopped"].as_bool().value_or(false);
  return fmt::format("{:<20} {:<8} {:>6} waiting {:>6} running{}", fit(queue["name"].text(), 20), stopped ? "stopped" : "open",
                     cell("", queue["pending"]), cell("", queue["running"]),
                     queue["used"].is_null() ? "" : "  used " + cell("", queue["used"]));
}

std::string job_line(const Document& job) {
  const std::string& began = job["started_at"].text();
  const std::string& time = began.empty() ? job["submitted_at"].text() : began;
  return fmt::format("{:>7} {:<20} {:<10} {:<10} {:>8} {}", job["id"].text(), fit(job["name"].text(), 20), fit(job["kind"].text(), 10),
                     job["state"].text(), age(time), job["reason"].text());
}

/// The part of a list that is on the screen, so that the selected item is in it.
std::size_t first_shown(std::size_t count, std::size_t room, std::size_t selected) {
  if (count <= room || selected < room / 2) return 0;
  return std::min(selected - room / 2, count - room);
}

/// Rows for each part of the screen, headings included.
struct Layout {
  std::size_t queues = 0;
  std::size_t nodes = 0;
  std::size_t jobs = 0;
  std::size_t log = 0;
};

Layout lay_out(const TopData& data, const TopState& state, std::size_t rows) {
  Layout layout;
  std::size_t left = rows > 2 ? rows - 2 : 0;  // Title and footer.
  const auto take = [&left](std::size_t wanted) {
    const std::size_t taken = std::min(wanted, left);
    left -= taken;
    return taken < 2 ? std::size_t{0} : taken;
  };
  const std::size_t jobs_least = std::min<std::size_t>(left, 4);
  left -= jobs_least;
  if (!data.queues.empty()) layout.queues = take(1 + std::min(data.queues.size(), kQueuesMax));
  layout.nodes = take(1 + std::min(data.nodes.size(), std::max<std::size_t>(3, rows / 5)));
  if (state.shows_log) layout.log = take(std::max<std::size_t>(4, rows / 3));
  layout.jobs = jobs_least + left;
  return layout;
}

class Picture {
 public:
  Picture(const TopData& data, const TopState& state, const OutputStyle& style) : data_(data), state_(state), style_(style) {}

  std::vector<std::string> draw() {
    const Layout layout = lay_out(data_, state_, style_.rows);
    lines_.push_back(heading(
        fit(fmt::format("trainyard top   {}   {}   {}", data_.url, to_rfc3339(data_.at).substr(11, 8) + "Z", count_states(data_.jobs)),
            style_.columns),
        style_));
    draw_queues(layout.queues);
    draw_nodes(layout.nodes);
    draw_jobs(layout.jobs);
    draw_log(layout.log);
    if (style_.live) {
      while (lines_.size() + 1 < style_.rows) lines_.emplace_back();
    }
    if (style_.live || !data_.problem.empty()) lines_.push_back(footer());
    return std::move(lines_);
  }

 private:
  void draw_queues(std::size_t rows) {
    if (rows == 0) return;
    lines_.push_back(heading("QUEUES", style_));
    for (std::size_t i = 0; i + 1 < rows && i < data_.queues.size(); ++i) {
      const bool stopped = data_.queues[i]["stopped"].as_bool().value_or(false);
      lines_.push_back(row(queue_line(data_.queues[i]), stopped ? "stopped" : "", false, style_));
    }
  }

  void draw_nodes(std::size_t rows) {
    if (rows == 0) return;
    lines_.push_back(heading(fmt::format("NODES ({})", data_.nodes.size()), style_));
    std::size_t selected = 0;
    for (std::size_t i = 0; i < data_.nodes.size(); ++i) {
      if (data_.nodes[i]["name"].text() == state_.selected_node) selected = i;
    }
    const std::size_t first = first_shown(data_.nodes.size(), rows - 1, selected);
    for (std::size_t i = first; i < data_.nodes.size() && i < first + rows - 1; ++i) {
      const bool is_selected = state_.part == TopState::Part::kNodes && i == selected;
      lines_.push_back(row(node_line(data_.nodes[i]), node_state(data_.nodes[i]), is_selected && style_.live, style_));
    }
  }

  void draw_jobs(std::size_t rows) {
    if (rows == 0) return;
    lines_.push_back(heading("JOBS", style_));
    const std::size_t selected = selected_job(state_, data_).value_or(0);
    const std::size_t room = rows - 1;
    const std::size_t first = first_shown(data_.jobs.size(), room, selected);
    for (std::size_t i = first; i < data_.jobs.size() && i < first + room; ++i) {
      const bool is_selected = state_.part == TopState::Part::kJobs && i == selected;
      lines_.push_back(row(job_line(data_.jobs[i]), data_.jobs[i]["state"].text(), is_selected && style_.live, style_));
    }
  }

  void draw_log(std::size_t rows) {
    if (rows == 0 || data_.log_job.empty()) return;
    lines_.push_back(heading("LOG of job " + data_.log_job, style_));
    const std::size_t room = rows - 1;
    const std::size_t first = data_.log.size() > room ? data_.log.size() - room : 0;
    for (std::size_t i = first; i < data_.log.size(); ++i) {
      std::string_view text = data_.log[i];
      while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
      lines_.push_back(fit(text, style_.columns));
    }
  }

  std::string footer() const {
    std::string text = "up/down select   tab jobs or nodes   l log   c cancel   q quit";
    if (!state_.note.empty()) text = state_.note;
    if (!data_.problem.empty()) text = "not fresh: " + data_.problem;
    if (!state_.asks_cancel.empty()) text = fmt::format("cancel job {}? y or n", state_.asks_cancel);
    return fit(text, style_.columns);
  }

  const TopData& data_;
  const TopState& state_;
  const OutputStyle& style_;
  std::vector<std::string> lines_;
};

/// Moves the selection among `items` by `step`, named by the member `key`.
void move(std::string& selected, const std::vector<Document>& items, std::string_view key, std::ptrdiff_t step) {
  if (items.empty()) return;
  std::ptrdiff_t at = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i][key].text() == selected) at = static_cast<std::ptrdiff_t>(i);
  }
  at = std::clamp<std::ptrdiff_t>(at + step, 0, static_cast<std::ptrdiff_t>(items.size()) - 1);
  selected = items[static_cast<std::size_t>(at)][key].text();
}

}  // namespace

std::string bar(double used, double total, std::size_t width) {
  const double share = total > 0 ? std::clamp(used / total, 0.0, 1.0) : 0;
  auto filled = static_cast<std::size_t>(std::llround(share * static_cast<double>(width)));
  if (used > 0 && filled == 0) filled = 1;
  return "[" + std::string(filled, '#') + std::string(width - filled, '-') + "]";
}

std::optional<std::size_t> selected_job(const TopState& state, const TopData& data) {
  if (data.jobs.empty()) return std::nullopt;
  for (std::size_t i = 0; i < data.jobs.size(); ++i) {
    if (data.jobs[i]["id"].text() == state.selected_job) return i;
  }
  return 0;
}

TopAction press(TopState& state, const TopData& data, TopKey key) {
  if (!state.asks_cancel.empty()) {
    // Anything but a clear yes is a no.
    const std::string job = std::exchange(state.asks_cancel, "");
    return key == TopKey::kYes ? TopAction{false, job} : TopAction{key == TopKey::kQuit, ""};
  }
  state.note.clear();
  const std::ptrdiff_t page = key == TopKey::kPageUp || key == TopKey::kPageDown ? static_cast<std::ptrdiff_t>(kPage) : 1;
  switch (key) {
    case TopKey::kUp:
    case TopKey::kDown:
    case TopKey::kPageUp:
    case TopKey::kPageDown: {
      const std::ptrdiff_t step = key == TopKey::kUp || key == TopKey::kPageUp ? -page : page;
      if (state.part == TopState::Part::kJobs) {
        move(state.selected_job, data.jobs, "id", step);
      } else {
        move(state.selected_node, data.nodes, "name", step);
      }
      return {};
    }
    case TopKey::kTab:
      state.part = state.part == TopState::Part::kJobs ? TopState::Part::kNodes : TopState::Part::kJobs;
      return {};
    case TopKey::kLog:
      state.shows_log = !state.shows_log;
      return {};
    case TopKey::kCancel:
      if (const std::optional<std::size_t> at = selected_job(state, data)) state.asks_cancel = data.jobs[*at]["id"].text();
      return {};
    case TopKey::kYes:
    case TopKey::kNo:
      return {};
    case TopKey::kQuit:
      return {true, ""};
  }
  return {};
}

std::vector<TopKey> KeyReader::feed(std::string_view bytes) {
  static constexpr std::pair<std::string_view, TopKey> kSequences[] = {
      {"\x1b[A", TopKey::kUp},   {"\x1bOA", TopKey::kUp},      {"\x1b[B", TopKey::kDown},
      {"\x1bOB", TopKey::kDown}, {"\x1b[5~", TopKey::kPageUp}, {"\x1b[6~", TopKey::kPageDown},
      {"k", TopKey::kUp},        {"j", TopKey::kDown},         {"\t", TopKey::kTab},
      {"l", TopKey::kLog},       {"c", TopKey::kCancel},       {"y", TopKey::kYes},
      {"Y", TopKey::kYes},       {"n", TopKey::kNo},           {"q", TopKey::kQuit},
      {"\x03", TopKey::kQuit},
  };
  begun_ += bytes;
  std::vector<TopKey> keys;
  while (!begun_.empty()) {
    const std::string_view rest = begun_;
    const auto whole =
        std::find_if(std::begin(kSequences), std::end(kSequences), [rest](const auto& known) { return rest.starts_with(known.first); });
    if (whole != std::end(kSequences)) {
      keys.push_back(whole->second);
      begun_.erase(0, whole->first.size());
      continue;
    }
    const bool may_go_on =
        std::any_of(std::begin(kSequences), std::end(kSequences), [rest](const auto& known) { return known.first.starts_with(rest); });
    if (may_go_on) break;
    begun_.erase(0, 1);
  }
  return keys;
}

std::vector<std::string> draw_top(const TopData& data, const TopState& state, const OutputStyle& style) {
  return Picture(data, state, style).draw();
}

}  // namespace trainyard::apps
