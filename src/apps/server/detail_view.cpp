// The pages of one job and of one workflow run.
#include <fmt/format.h>

#include "apps/server/page.h"
#include "apps/server/status_view.h"

namespace trainyard::apps {
namespace {

/// A list of names and values; values are HTML.
class Facts {
 public:
  void add(std::string_view name, const std::string& value) { rows_ += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, value); }
  void add_text(std::string_view name, std::string_view text) {
    if (!text.empty()) add(name, "<bdi>" + html_escape(text) + "</bdi>");
  }
  std::string card() const { return "<section class=\"card\" aria-label=\"Facts\"><dl class=\"facts\">\n" + rows_ + "</dl></section>\n"; }

 private:
  std::string rows_;
};

bool is_number(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos; }

std::string progress_bar(const jobs::Progress& progress) {
  const std::string text = fmt::format("{:g} of {:g}", progress.done, progress.total);
  const std::string bar = progress.total > 0 ? fmt::format("<progress max=\"{:g}\" value=\"{:g}\" aria-label=\"{}\"></progress>",
                                                           progress.total, progress.done, text)
                                             : "";
  return bar + text + (progress.message.empty() ? "" : " · <bdi>" + html_escape(progress.message) + "</bdi>");
}

std::string retries_text(const jobs::RetryCounts& retries) {
  std::string out;
  const auto add = [&out](std::int64_t count, std::string_view cause) {
    if (count > 0) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count, cause);
  };
  add(retries.user, "after failures");
  add(retries.oom, "out of memory");
  add(retries.node_lost, "after a lost node");
  add(retries.infrastructure, "after trouble of the platform");
  return out;
}

std::string job_facts(const JobLine& line, TimePoint now) {
  const jobs::Job& job = line.job;
  Facts facts;
  facts.add("State", state_badge(name_of(job.state)));
  facts.add_text("Why", line.why);
  if (job.progress) facts.add("Progress", progress_bar(*job.progress));
  facts.add_text("Kind", job.spec.kind);
  if (!job.spec.command.empty())
    facts.add("Command", "<code>" + html_escape(fmt::format("{}", fmt::join(job.spec.command, " "))) + "</code>");
  facts.add_text("Asks for", fmt::format("{}{}", job.spec.tasks > 1 ? fmt::format("{} tasks of ", job.spec.tasks) : "",
                                         job.spec.resources.resources().text()));
  facts.add_text("Owner", job.owner);
  facts.add("Submitted", time_ago(job.submitted_at, now));
  if (job.started_at) facts.add("Ran for", took(job.started_at, job.ended_at, now));
  if (job.attempt.number.value > 0) facts.add_text("Attempt", job.attempt.number.text());
  facts.add_text("Started again", retries_text(job.retries));
  if (job.exit_code) facts.add_text("Exit code", std::to_string(*job.exit_code));
  facts.add_text("Serves at", job.ready_url);
  if (job.checkpoint) facts.add_text("Checkpoint", fmt::format("step {}", job.checkpoint->step));
  return facts.card();
}

std::string rank_rows(const jobs::Job& job) {
  static constexpr std::string_view kPhases[] = {"LAUNCHING", "RUNNING", "EXITED"};
  std::string rows;
  for (std::size_t i = 0; i < job.attempt.ranks.size(); ++i) {
    const jobs::RankStatus& rank = job.attempt.ranks[i];
    std::string exit;
    if (rank.exit) exit = rank.exit->launch_error.empty() ? fmt::format("{}", rank.exit->code) : rank.exit->launch_error;
    rows +=
        fmt::format("<tr><th scope=\"row\" class=\"num\">{}</th><td><bdi>{}</bdi></td><td>{}</td><td>{}</td><td><bdi>{}</bdi></td></tr>\n",
                    i, html_escape(rank.node.text), state_badge(kPhases[static_cast<std::size_t>(rank.phase)]),
                    text_or_dash(rank.limited_by), text_or_dash(exit));
  }
  return rows;
}

std::string metric_rows(const jobs::Job& job) {
  std::string rows;
  for (const auto& [key, metric] : job.metrics) {
    rows += fmt::format("<tr><th scope=\"row\"><bdi>{}</bdi></th><td class=\"num\">{:.6g}</td><td class=\"num\">{}</td></tr>\n",
                        html_escape(key), metric.value, metric.step);
  }
  return rows;
}

std::string job_links(const jobs::Job& job) {
  std::string out = fmt::format(
      "<section class=\"card\" aria-labelledby=\"further\"><h2 id=\"further\">Look further</h2><ul>"
      "<li><a href=\"/api/v1/jobs/{0}/logs\">Log</a> <span class=\"soft small\">text</span></li>"
      "<li><a href=\"/api/v1/jobs/{0}\">Everything about this job</a> <span class=\"soft small\">JSON</span></li>",
      job.id.text());
  if (!job.run.text.empty() && job.attempt.number.value > 0) {
    out += fmt::format("<li><a href=\"/api/v1/runs/{}\">Tracked run</a> <span class=\"soft small\">JSON</span></li>",
                       net::percent_encode(job.run.text));
  }
  return out + fmt::format("<li><code>trainyard job logs {0} --follow</code></li>{1}</ul></section>\n", job.id.text(),
                           is_terminal(job.state) ? "" : fmt::format("<li><code>trainyard job cancel {}</code></li>", job.id.text()));
}

std::string task_rows(const workflow::WorkflowRun& run, TimePoint now) {
  std::string rows;
  for (const workflow::TaskInstance& task : run.tasks) {
    const workflow::TaskSpec* spec = run.spec.find(task.name);
    const std::string& job = task.output["job_id"].text();
    rows += fmt::format(
        "<tr><td class=\"num\">{}</td><th scope=\"row\"><bdi>{}</bdi><span class=\"kind\">{}</span></th><td>{}</td><td><bdi>{}</bdi></td>"
        "<td class=\"num wide\">{}</td></tr>\n",
        is_number(job) ? fmt::format("<a href=\"/jobs/{0}\" aria-label=\"Job {0}\">{0}</a>", job) : text_or_dash(""),
        html_escape(task.name), spec == nullptr ? "" : html_escape(spec->kind), state_badge(name_of(task.state)), text_or_dash(task.reason),
        took(task.started_at, task.ended_at, now));
  }
  return rows;
}

std::string footer(bool live) {
  return live ? fmt::format("<footer>This page refreshes itself every {} s until the end.</footer>", kPageRefreshSeconds) : "";
}

}  // namespace

std::string name_of_job(const jobs::Job& job) { return job.spec.name.empty() ? job.spec.kind : job.spec.name; }

std::string render_job(const JobLine& line, TimePoint now) {
  const jobs::Job& job = line.job;
  const TableCard ranks{"ranks",
                        "Ranks",
                        "The processes of the newest attempt.",
                        "<th scope=\"col\">Rank</th><th scope=\"col\">Node</th><th scope=\"col\">Phase</th>"
                        "<th scope=\"col\">Limits</th><th scope=\"col\">Exit</th>",
                        rank_rows(job),
                        "This job was not launched yet."};
  const TableCard metrics{"metrics",
                          "Metrics",
                          "The latest value of each.",
                          "<th scope=\"col\">Metric</th><th scope=\"col\">Value</th><th scope=\"col\">Step</th>",
                          metric_rows(job),
                          "This job reported no metric."};
  return fmt::format(
      "<h1><bdi>{}</bdi></h1><p class=\"soft\"><a href=\"/\">All jobs</a> · job {}</p>\n{}<div "
      "class=\"cards\"><div>{}</div><div>{}</div></div>\n{}{}",
      html_escape(name_of_job(job)), job.id.text(), job_facts(line, now), table_card(ranks), table_card(metrics), job_links(job),
      footer(!is_terminal(job.state)));
}

std::string render_workflow(const workflow::WorkflowRun& run, TimePoint now) {
  Facts facts;
  facts.add("State", state_badge(name_of(run.state)));
  facts.add_text("Owner", run.owner);
  facts.add("Started", time_ago(run.created_at, now));
  facts.add("Ran for", took(run.created_at, run.ended_at, now));
  const TableCard tasks{"tasks",
                        "Tasks",
                        "In the order of the file; the number leads to the job.",
                        "<th scope=\"col\">Job</th><th scope=\"col\">Task</th><th scope=\"col\">State</th><th scope=\"col\">Why</th>"
                        "<th scope=\"col\" class=\"wide\">Took</th>",
                        task_rows(run, now),
                        "This workflow has no task.",
                        true};
  const std::string links = fmt::format(
      "<section class=\"card\" aria-labelledby=\"further\"><h2 id=\"further\">Look further</h2><ul>"
      "<li><a href=\"/api/v1/workflows/{}\">Everything about this run, with the results of its tasks</a> <span class=\"soft "
      "small\">JSON</span></li>"
      "</ul></section>\n",
      run.id.text());
  return fmt::format("<h1><bdi>{}</bdi></h1><p class=\"soft\"><a href=\"/\">Overview</a> · workflow run {}</p>\n{}{}{}{}",
                     html_escape(run.spec.name), run.id.text(), facts.card(), table_card(tasks), links, footer(!is_terminal(run.state)));
}

}  // namespace trainyard::apps
