#include "apps/cli/task_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace trainyard::apps {
namespace {

constexpr std::size_t kColumnsDefault = 80;
constexpr std::size_t kRowsDefault = 24;
/// Of a line that is not cut to a terminal: enough for a sentence with a path.
constexpr std::size_t kPlainColumnsMax = 400;

/// They say how something was measured, not what came out, and stay in the JSON.
constexpr std::array<std::string_view, 8> kMinorFigures{"seconds",    "batch_size",        "connections", "correct",
                                                        "best_trial", "resumed_from_step", "rows",        "samples_per_second"};

std::size_t widest_name(const Document& run) {
  std::size_t width = 8;
  for (const Document& task : run["tasks"].items()) width = std::max(width, task["name"].text().size());
  return width;
}

constexpr std::array<std::string_view, 4> kGood{"SUCCEEDED", "FINISHED", "ready", "open"};
constexpr std::array<std::string_view, 3> kBusy{"RUNNING", "STARTING", "STOPPING"};
constexpr std::array<std::string_view, 7> kBad{"FAILED", "UPSTREAM_FAILED", "CANCELLED", "TIMED_OUT", "KILLED", "down", "stopped"};

}  // namespace

std::string_view color_of_state(std::string_view state) {
  const auto is_in = [state](const auto& states) { return std::find(states.begin(), states.end(), state) != states.end(); };
  if (is_in(kGood)) return "\x1b[32m";
  if (is_in(kBusy)) return "\x1b[36m";
  return is_in(kBad) ? "\x1b[31m" : "\x1b[2m";
}

OutputStyle choose_style(const TerminalFacts& facts, const Variable& variable) {
  const auto is_set = [&variable](std::string_view name) { return !variable(name).value_or("").empty(); };
  OutputStyle style;
  const bool able = facts.is_terminal && variable("TERM").value_or("") != "dumb";
  style.live = able;
  style.color = !is_set("NO_COLOR") && (able || is_set("FORCE_COLOR"));
  style.columns = !able ? kPlainColumnsMax : facts.columns > 0 ? facts.columns : kColumnsDefault;
  style.rows = facts.rows > 0 ? facts.rows : kRowsDefault;
  return style;
}

std::string fit(std::string_view text, std::size_t columns) {
  std::string cut;
  std::size_t used = 0;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    const bool continues = (byte & 0xC0U) == 0x80U;
    if (!continues && used++ == columns) break;
    cut += byte < 0x20 || byte == 0x7f ? ' ' : letter;
  }
  return cut;
}

std::optional<double> task_seconds(const Document& task, std::optional<TimePoint> now) {
  const Result<TimePoint> started = parse_rfc3339(task["started_at"].text());
  const Result<TimePoint> ended = parse_rfc3339(task["ended_at"].text());
  if (!started.ok() || (!ended.ok() && !now)) return std::nullopt;
  return std::max(0.0, static_cast<double>(((ended.ok() ? *ended : *now) - *started).count()) / 1e6);
}

std::string task_figures(const Document& task) {
  std::string text;
  for (const auto& [key, value] : task["output"]["result"].members()) {
    const bool minor = std::find(kMinorFigures.begin(), kMinorFigures.end(), key) != kMinorFigures.end();
    if (minor || !value.is_number() || value.as_double().value_or(0) == 0) continue;
    if (!text.empty()) text += ", ";
    text += value.kind() == Document::Kind::kDouble ? fmt::format("{} {:.4g}", key, value.as_double().value())
                                                    : fmt::format("{} {}", key, to_json(value));
  }
  return text.empty() ? task["output"]["ready_url"].text() : text;
}

std::string task_progress(const Document& task) {
  const Document& progress = task["output"]["progress"];
  const double done = progress["done"].as_double().value_or(0);
  const double total = progress["total"].as_double().value_or(0);
  std::string text = total > 0 ? fmt::format("{:.0f}/{:.0f} ({:.0f}%)", done, total, 100 * std::clamp(done / total, 0.0, 1.0)) : "";
  if (const std::string& message = progress["message"].text(); !message.empty()) text += (text.empty() ? "" : " ") + message;
  return text;
}

std::string task_line(const Document& task, std::size_t name_width, TimePoint now, const OutputStyle& style) {
  const std::string& state = task["state"].text();
  const std::optional<double> seconds = task_seconds(task, now);
  const std::string time = seconds && state != "UPSTREAM_FAILED" ? fmt::format("{:7.1f}s", *seconds) : std::string(8, ' ');
  const std::string tail = state == "RUNNING" ? task_progress(task) : state == "SUCCEEDED" ? task_figures(task) : task["reason"].text();
  const std::string name = fmt::format("{:<{}} ", task["name"].text(), name_width);
  std::string line = fit(fmt::format("{}{:<15} {}  {}", name, state, time, tail), style.columns - 1);
  while (!line.empty() && line.back() == ' ') line.pop_back();
  const std::size_t state_end = name.size() + state.size();
  if (style.color && line.size() >= state_end) {
    line.insert(state_end, "\x1b[0m");
    line.insert(name.size(), color_of_state(state));
  }
  return line;
}

std::string TaskLines::update(const Document& run, TimePoint now) {
  const auto& tasks = run["tasks"].items();
  const std::size_t width = widest_name(run);
  // A block higher than the terminal scrolls away and could not be reached again.
  const bool live = style_.live && tasks.size() + 1 < style_.rows;
  std::string text = live && drawn_ > 0 ? fmt::format("\x1b[{}A", drawn_) : "";
  states_.resize(tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const std::string& state = tasks[i]["state"].text();
    if (live) {
      text += "\x1b[2K" + task_line(tasks[i], width, now, style_) + "\n";
    } else if (states_[i] != state && state != "WAITING") {
      text += task_line(tasks[i], width, now, style_) + "\n";
    }
    states_[i] = state;
  }
  if (live) drawn_ = tasks.size();
  return text;
}

}  // namespace trainyard::apps
