#include "apps/cli/workflow_view.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "apps/cli/command_line.h"
#include "apps/cli/outage.h"
#include "base/rng.h"
#include "base/time.h"

namespace trainyard::apps {
namespace {

/// How long a server may be away while one of its runs is started or watched.
constexpr auto kPatience = std::chrono::minutes(2);
constexpr std::chrono::milliseconds kRetryPause{200};

bool is_final(const std::string& state) { return state == "SUCCEEDED" || state == "FAILED" || state == "CANCELLED"; }

}  // namespace

Result<Document> start_workflow(client::ApiClient& api, const std::string& file, std::string text) {
  const std::string directory = std::filesystem::absolute(file).parent_path().string();
  const std::string query = "?file=" + net::percent_encode(file) + "&directory=" + net::percent_encode(directory);
  // With a key the request may be sent again when its answer was lost: the server makes one run of it.
  const std::string key = secure_random_hex(16);
  const SystemClock clock;
  const MonotonicPoint deadline = clock.monotonic_now() + kPatience;
  for (bool answer_lost = false;;) {
    Result<Document> run = api.post_text("/api/v1/workflows:run" + query, text, "application/yaml", key);
    if (run.ok()) return run;
    answer_lost = answer_lost || run.error().id == "net.closed";
    if (!answer_lost || !is_transient(run.error()) || clock.monotonic_now() > deadline) return run;
    pause_for(kRetryPause);
  }
}

OutputStyle style_of_output() {
  TerminalFacts facts{.is_terminal = ::isatty(STDOUT_FILENO) == 1};
  winsize size{};
  if (facts.is_terminal && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
    facts.columns = size.ws_col;
    facts.rows = size.ws_row;
  }
  return choose_style(facts, client::process_variables());
}

Result<Document> watch_workflow(client::ApiClient& api, const std::string& id, const WatchSettings& settings) {
  // On a terminal the times of running tasks go on between the changes.
  const std::string wait = settings.style.live ? "?wait=1" : "?wait=10";
  TaskLines lines(settings.style);
  const SystemClock clock;
  MonotonicPoint last_heard = clock.monotonic_now();
  bool away = false;
  std::string query;
  for (;;) {
    Result<Document> run = api.get("/api/v1/workflows/" + id + query);
    if (!run.ok() && settings.reason_to_end) {
      if (std::optional<Error> reason = settings.reason_to_end()) return std::move(*reason);
    }
    if (run.ok()) {
      last_heard = clock.monotonic_now();
      if (std::exchange(away, false)) fmt::print(stderr, "the server is back\n");
      query = wait;
      write_out(stdout, lines.update(*run, clock.now()));
      if (is_final((*run)["state"].text())) return run;
    } else {
      if (!is_transient(run.error()) || clock.monotonic_now() - last_heard > kPatience) {
        return std::move(run).error().with_context(fmt::format("watching run {0}; `trainyard workflow watch {0}` goes on with it", id));
      }
      if (!std::exchange(away, true)) {
        fmt::print(stderr, "the server does not answer, waiting up to {} s for it: {}\n", std::chrono::seconds(kPatience).count(),
                   run.error().describe());
      }
      pause_for(kRetryPause);
    }
  }
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
