#include "apps/cli/workflow_view.h"

#include <fmt/format.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "apps/cli/command_line.h"
#include "base/time.h"

namespace trainyard::apps {
namespace {

bool is_final(const std::string& state) { return state == "SUCCEEDED" || state == "FAILED" || state == "CANCELLED"; }

std::string task_line(const Document& task) {
  const std::string& state = task["state"].text();
  std::string text = fmt::format("{:<10} {:<15}", task["name"].text(), state);
  if (const std::optional<double> seconds = task_seconds(task)) text += fmt::format(" {:6.1f}s ", *seconds);
  if (state == "RUNNING") {
    const Document& progress = task["output"]["progress"];
    const double total = progress["total"].as_double().value_or(0);
    if (total > 0) text += fmt::format(" {:3.0f}%", 100 * progress["done"].as_double().value_or(0) / total);
    text += " " + progress["message"].text();
  } else if (state == "SUCCEEDED") {
    text += " " + task_figures(task);
  } else {
    text += " " + task["reason"].text();
  }
  return text.substr(0, 140);
}

/// Redraws the block of task lines on a terminal; elsewhere prints a task again only when its state changed.
class LiveView {
 public:
  explicit LiveView(bool terminal) : terminal_(terminal) {}

  void show(const Document& run) {
    const auto& tasks = run["tasks"].items();
    if (terminal_ && drawn_ > 0) fmt::print("\x1b[{}A", drawn_);
    states_.resize(tasks.size());
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      const std::string& state = tasks[i]["state"].text();
      if (terminal_) {
        fmt::print("\x1b[2K{}\n", task_line(tasks[i]));
      } else if (states_[i] != state && state != "WAITING") {
        fmt::print("{}\n", task_line(tasks[i]));
      }
      states_[i] = state;
    }
    drawn_ = tasks.size();
    std::fflush(stdout);
  }

 private:
  bool terminal_;
  std::size_t drawn_ = 0;
  std::vector<std::string> states_;
};

void pause(std::chrono::milliseconds span) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, span);
}

}  // namespace

Result<Document> start_workflow(client::ApiClient& api, const std::string& file, std::string text) {
  const std::string directory = std::filesystem::absolute(file).parent_path().string();
  const std::string query = "?file=" + net::percent_encode(file) + "&directory=" + net::percent_encode(directory);
  return api.post_text("/api/v1/workflows:run" + query, std::move(text), "application/yaml");
}

Result<Document> watch_workflow(client::ApiClient& api, const std::string& id, bool terminal) {
  constexpr auto kPatience = std::chrono::minutes(2);
  LiveView view(terminal);
  const SystemClock clock;
  MonotonicPoint last_heard = clock.monotonic_now();
  std::string query;
  for (;;) {
    Result<Document> run = api.get("/api/v1/workflows/" + id + query);
    if (run.ok()) {
      last_heard = clock.monotonic_now();
      query = "?wait=10";
      view.show(*run);
      if (is_final((*run)["state"].text())) return run;
    } else {
      const bool transient = run.error().category == Category::kUnavailable || run.error().category == Category::kDeadlineExceeded;
      if (!transient || clock.monotonic_now() - last_heard > kPatience) return run;
      pause(std::chrono::milliseconds(500));
    }
  }
}

std::optional<double> task_seconds(const Document& task) {
  const Result<TimePoint> started = parse_rfc3339(task["started_at"].text());
  const Result<TimePoint> ended = parse_rfc3339(task["ended_at"].text());
  if (!started.ok() || !ended.ok()) return std::nullopt;
  return static_cast<double>((*ended - *started).count()) / 1e6;
}

std::string task_figures(const Document& task) {
  std::string text;
  const auto add = [&text](std::string_view key, const Document& value) {
    if (!value.is_number()) return;
    if (!text.empty()) text += ", ";
    text += value.kind() == Document::Kind::kDouble ? fmt::format("{} {:.4g}", key, value.as_double().value())
                                                    : fmt::format("{} {}", key, to_json(value));
  };
  for (const auto& [key, value] : task["output"]["result"].members()) add(key, value);
  if (text.empty()) text = task["output"]["ready_url"].text();
  return text;
}

std::string workflow_table(const Document& run) {
  std::vector<std::vector<std::string>> rows;
  for (const Document& task : run["tasks"].items()) {
    const std::optional<double> seconds = task_seconds(task);
    const bool succeeded = task["state"].text() == "SUCCEEDED";
    rows.push_back({task["name"].text(), task["state"].text(), seconds ? fmt::format("{:.1f}", *seconds) : "-",
                    succeeded ? task_figures(task) : task["reason"].text()});
  }
  return fmt::format("workflow {} run {}: {}\n", run["workflow"].text(), run["id"].text(), run["state"].text()) +
         table({"TASK", "STATE", "SECONDS", "RESULT"}, rows);
}

}  // namespace trainyard::apps
