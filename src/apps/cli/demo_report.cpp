#include "apps/cli/demo_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/command_line.h"
#include "apps/cli/task_lines.h"

namespace trainyard::apps {
namespace {

bool is_of(const Document& run, std::string_view workflow) { return run["workflow"].text() == workflow; }

std::string figure(const Document& result, std::string_view key, std::string_view before, std::string_view after) {
  const Document& value = result[key];
  return value.is_number() ? fmt::format("{}{:.4g}{}", before, value.as_double().value_or(0), after) : "";
}

/// Time during which at least one step ran.
double covered_seconds(const Document& run) {
  std::vector<std::pair<TimePoint, TimePoint>> spans;
  for (const Document& task : run["tasks"].items()) {
    const Result<TimePoint> begin = parse_rfc3339(task["started_at"].text());
    const Result<TimePoint> end = parse_rfc3339(task["ended_at"].text());
    if (begin.ok() && end.ok()) spans.emplace_back(*begin, *end);
  }
  std::sort(spans.begin(), spans.end());
  Duration covered{0};
  TimePoint reached{};
  for (const auto& [begin, end] : spans) {
    const TimePoint from = std::max(begin, reached);
    if (end > from) covered += end - from;
    reached = std::max(reached, end);
  }
  return static_cast<double>(covered.count()) / 1e6;
}

}  // namespace

RunChoice choose_run(const Document& page, std::string_view workflow, bool fresh) {
  const Document* newest = nullptr;
  for (const Document& run : page["workflows"].items()) {
    if (!is_of(run, workflow)) continue;
    newest = &run;
    break;
  }
  if (newest == nullptr) return {};
  const std::string& id = (*newest)["id"].text();
  const std::string& state = (*newest)["state"].text();
  if (fresh) return {RunChoice::Kind::kStart, id, fmt::format("--fresh: a new run; the last one was run {}, {}", id, state)};
  if (state == "RUNNING") return {RunChoice::Kind::kContinue, id, fmt::format("run {} is unfinished: it goes on", id)};
  if (state == "SUCCEEDED") {
    return {RunChoice::Kind::kShow, id,
            fmt::format("run {} has finished, there is nothing left to do: here is what came out; --fresh runs it again", id)};
  }
  return {RunChoice::Kind::kStart, id, fmt::format("run {} ended as {}: a new run starts", id, state)};
}

std::vector<std::string> services_of_earlier_runs(const Document& page, std::string_view workflow) {
  std::vector<std::string> jobs;
  for (const Document& run : page["workflows"].items()) {
    if (!is_of(run, workflow)) continue;
    for (const Document& task : run["tasks"].items()) {
      const Document& output = task["output"];
      if (!output["ready_url"].text().empty() && !output["job_id"].text().empty()) jobs.push_back(output["job_id"].text());
    }
  }
  return jobs;
}

Document summary_of(const Document& run, double seconds) {
  Document steps = Document::array();
  Document accuracy;
  for (const Document& task : run["tasks"].items()) {
    Document step = Document::object();
    step.set("name", task["name"]);
    step.set("ok", task["state"].text() == "SUCCEEDED");
    step.set("seconds", task_seconds(task).value_or(0));
    step.set("figures", task["output"]["result"].is_null() ? Document::object() : task["output"]["result"]);
    if (!task["reason"].text().empty()) step.set("reason", task["reason"]);
    const Document& value = task["output"]["result"]["test_accuracy"];
    if (accuracy.is_null() && value.is_number()) accuracy = value;
    steps.push(std::move(step));
  }
  Document summary = Document::object();
  summary.set("ok", run["state"].text() == "SUCCEEDED");
  summary.set("seconds", seconds);
  summary.set("test_accuracy", accuracy);
  if (const Document& failed = failed_step(run); !failed.is_null()) {
    summary.set("reason", fmt::format("{}: {}", failed["name"].text(), failed["reason"].text()));
  }
  summary.set("steps", std::move(steps));
  return summary;
}

std::string demo_table(const Document& run, const DemoTimes& times) {
  const auto share = [&times](double part) {
    return times.whole_run && times.seconds > 0 ? fmt::format("{:4.0f}%", 100 * part / times.seconds) : std::string();
  };
  std::vector<std::vector<std::string>> rows;
  for (const Document& task : run["tasks"].items()) {
    const std::optional<double> seconds = task_seconds(task);
    const bool started = seconds && task["state"].text() != "UPSTREAM_FAILED";
    rows.push_back({task["name"].text(), task["state"].text(), started ? fmt::format("{:7.1f}", *seconds) : "      -",
                    started ? share(*seconds) : "", task["state"].text() == "SUCCEEDED" ? task_figures(task) : task["reason"].text()});
  }
  if (times.whole_run) {
    const double rest = std::max(0.0, times.seconds - covered_seconds(run));
    rows.push_back({"(rest)", "", fmt::format("{:7.1f}", rest), share(rest),
                    fmt::format("start of the server {:.2f} s, steps between tasks", times.startup_seconds)});
  }
  rows.push_back({"total", run["state"].text(), fmt::format("{:7.1f}", times.seconds), "", ""});
  return table({"STEP", "STATE", "SECONDS", times.whole_run ? "SHARE" : "", "RESULT"}, rows);
}

std::string demo_headline(const Document& run) {
  std::string text;
  for (const Document& task : run["tasks"].items()) {
    const Document& result = task["output"]["result"];
    if (text.empty()) text = figure(result, "test_accuracy", "test accuracy ", "");
    if (!result["p50_ms"].is_number()) continue;
    const std::string prediction = figure(result, "accuracy", "accuracy ", ", ") + figure(result, "p50_ms", "p50 ", " ms, ") +
                                   figure(result, "p99_ms", "p99 ", " ms") + figure(result, "throughput_per_s", ", ", " images/s");
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", task["name"].text(), prediction);
  }
  return text;
}

const Document& failed_step(const Document& run) {
  static const Document none;
  for (const char* state : {"FAILED", "CANCELLED"}) {
    for (const Document& task : run["tasks"].items()) {
      if (task["state"].text() == state) return task;
    }
  }
  return none;
}

std::string failed_job(const Document& step) {
  if (const std::string& job = step["output"]["job_id"].text(); !job.empty()) return job;
  for (const Document& trial : step["output"]["result"]["trials"].items()) {
    if (trial["state"].text() == "FAILED") return trial["job_id"].text();
  }
  return {};
}

std::string last_lines(std::string_view text, std::size_t count) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  std::size_t begin = text.size();
  for (std::size_t lines = 0; begin > 0; --begin) {
    if (text[begin - 1] == '\n' && ++lines == count) break;
  }
  return std::string(text.substr(begin));
}

std::string shell_word(std::string_view text) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-:@%+=,").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

void find_served_model(const Document& run, WaysOn& ways) {
  for (const Document& task : run["tasks"].items()) {
    if (const std::string& url = task["output"]["ready_url"].text(); !url.empty()) ways.model_url = url;
    if (const std::string& model = task["output"]["result"]["model"].text(); !model.empty()) ways.model = model;
  }
}

std::string commands_to_look_further(const WaysOn& ways) {
  const std::string token = fmt::format("$(cat {})", shell_word(ways.address.token_file));
  const std::string cli =
      fmt::format("{} --url {} --token-file {}", shell_word(ways.program), ways.address.url, shell_word(ways.address.token_file));
  std::string text =
      fmt::format("  curl -s -H \"Authorization: Bearer {}\" {}/api/v1/workflows/{}\n", token, ways.address.url, ways.run_id);
  if (!ways.model_url.empty() && !ways.model.empty()) {
    text += fmt::format("  curl -s -H \"Authorization: Bearer {}\" {}/v2/models/{}\n", token, ways.model_url, ways.model);
  }
  text += fmt::format("  MLFLOW_TRACKING_URI={} MLFLOW_TRACKING_TOKEN={} mlflow runs list --experiment-id 0\n", ways.address.url, token);
  text += fmt::format("  {} workflow get {}\n", cli, ways.run_id);
  text += fmt::format("  {} job ls\n", cli);
  if (!ways.model.empty()) text += fmt::format("  {} model get {}\n", cli, shell_word(ways.model));
  text += fmt::format("  {} dataset ls\n", cli);
  return text + fmt::format("  {} down\n", cli);
}

}  // namespace trainyard::apps
